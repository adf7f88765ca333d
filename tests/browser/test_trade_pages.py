"""Public data, trade beside the book and neutrality by clicking, on a phone's width."""

import re
from datetime import timedelta

import pytest
from person import PHONE, WIDE
from test_console_pages import OUTLINE

pytestmark = pytest.mark.browser


@pytest.fixture
def on_a_phone(person):
    person.size(PHONE)
    return person


def require_fit(person):
    found = person.browser.execute_script(OUTLINE)
    where = person.path
    assert not found["overflow"], where
    for flaw in ("unlabelled", "nameless", "twice"):
        assert found[flaw] == [], (flaw, where)
    for flaw in ("headless", "pictures", "styled"):
        assert found[flaw] == 0, (flaw, where)
    assert found["levels"].count(1) == 1, (found["levels"], where)
    steps = zip(found["levels"], found["levels"][1:], strict=False)
    assert all(after - before <= 1 for before, after in steps), (found["levels"], where)


def test_the_subsidy_calculator_says_how_its_rate_is_known(on_a_phone):
    person = on_a_phone.open("/public")
    require_fit(person)
    assert "PV1" in person.text("#statistics") or "PV" in person.text("#statistics")
    person.fill("subsidy", capacity="100", connected_on="2026-03-01")
    person.click("#form-subsidy .actions button")
    assert "recollection" in person.text("#known")
    assert len(person.all("#years tbody tr")) == 3
    require_fit(person)


def test_a_listing_is_bought_and_retired_in_one_step(on_a_phone, story_world):
    person = on_a_phone.act_as("dev-a").open("/console/trade")
    require_fit(person)
    person.fill("listing", quantity="20", price="30", days="5").click("#form-listing .actions button")
    assert "¥600.00" in person.text("#confirm")
    require_fit(person)
    person.send("confirm")
    assert "in escrow" in person.text(".notice.good")

    person.act_as("buyer-a").open("/console/trade")
    person.click("#listings td.row-actions a")
    require_fit(person)
    before = story_world.snapshot()
    person.fill("take", quantity="4", beneficiary="buyer-a", purpose="a fair in 2026")
    person.click("#form-take .actions button")
    assert "¥120.00" in person.text("#confirm")
    assert story_world.snapshot() == before
    require_fit(person)
    person.send("confirm", confirm=True)
    number = person.text("#certificate-number")
    assert re.fullmatch(r"SIP-RET-2026-\d{8}-\d{2}", number)
    assert "Download the signed PDF" in person.text()
    document = story_world.client.get(f"/v1/certificates/{number}/document")
    assert document.content.startswith(b"%PDF")


def test_an_english_auction_ends_in_a_paid_contract(on_a_phone, story_world):
    person = on_a_phone.act_as("dev-a").open("/console/trade/auctions")
    require_fit(person)
    person.fill("auction", quantity="10", reserve="28", start="25", hours="2").send("auction", confirm=True)
    path = person.path
    require_fit(person)
    person.act_as("buyer-a").open(path).fill("bid", price="24").send("bid", confirm=True)
    assert "bid_too_low" in person.text("#refusal")
    person.fill("bid", price="29").send("bid", confirm=True)
    assert "¥29.00/t" in person.text("#bids")
    now = story_world.now
    try:
        story_world.now += timedelta(hours=3)
        person.open(path).send("close")
        assert "To be signed" in person.text()
        require_fit(person)
        for side in ("buyer-a", "dev-a"):
            person.act_as(side).open(path).click("form[id^='form-sign-'] button", confirm=True)
        person.act_as("buyer-a").open(path).click("form[id^='form-pay-'] button")
        assert "Paid" in person.text("section[id^='contract-'] .card-head")
    finally:
        story_world.now = now


def test_a_sealed_bid_stays_in_the_browser_until_it_is_revealed(on_a_phone, story_world):
    person = on_a_phone.act_as("dev-a").open("/console/trade/auctions")
    person.fill("auction", format="vickrey", quantity="5", reserve="28", start="28", hours="2", reveal_hours="24")
    person.send("auction", confirm=True)
    path = person.path
    person.act_as("buyer-a").open(path)
    person.one("#seal-price").send_keys("31")
    require_fit(person)
    person.click("#form-seal .actions button")
    assert "sealed" in person.text("#bids")
    now = story_world.now
    try:
        story_world.now += timedelta(hours=3)
        person.open(path)
        assert person.one("#reveal-price").get_attribute("value") == "31"
        person.click("#form-reveal .actions button")
        assert "¥31.00/t" in person.text("#bids")
    finally:
        story_world.now = now


def test_a_claim_of_neutrality_reaches_its_public_page(on_a_phone, story_world):
    person = on_a_phone.act_as("buyer-a").open("/console/neutrality")
    require_fit(person)
    person.fill(
        "neutral",
        subject="Fair 2026",
        boundary="the hall",
        starts_on="2026-01-01",
        ends_on="2026-01-31",
        source1="electricity",
        scope1="2",
        emitted1="3.5",
        evidence1="meter",
        measure1="LED light",
        reduced1="0.5",
        proof1="bill",
    )
    person.send("neutral")
    path = person.path
    person.send("match", confirm=True)
    require_fit(person)
    person.act_as("verifier-cqc").open(path).send("certify", confirm=True)
    assert re.fullmatch(r"/neutrality/SIP-CN-2026-[0-9-]+", person.path)
    for size in (WIDE, PHONE):
        person.size(size)
        require_fit(person)
    assert "3.000 t" in person.text(".certificate-quantity")
    assert person.all("#signature-valid")
    number = person.text("#certificate-number")
    assert story_world.client.get(f"/v1/neutrality-certificates/{number}/document").content.startswith(b"%PDF")


def test_a_deal_settles_and_a_quote_is_given(on_a_phone):
    person = on_a_phone.act_as("dev-a").open("/console/trade/deals")
    require_fit(person)
    person.fill("deal", side="sell", counterparty_id="buyer-a", quantity="2", price="30").send("deal")
    for side in ("dev-a", "buyer-a"):
        person.act_as(side).open("/console/trade/deals").click("form[id^='form-sign-'] button", confirm=True)
    assert "Settled" in person.text("section[id^='deal-']")
    require_fit(person)
    person.open("/console/trade/quotes").fill("wish", quantity="3").send("wish")
    person.act_as("dev-a").open("/console/trade/quotes")
    person.one("form[id^='form-answer-'] [name='price']").send_keys("31")
    person.click("form[id^='form-answer-'] .actions button")
    assert person.all(".notice.good"), person.text()
    person.act_as("buyer-a").open("/console/trade/quotes")
    require_fit(person)
    person.click("form[id^='form-take-'] button", confirm=True)
    assert "Taken" in person.text("section[id^='request-']")
