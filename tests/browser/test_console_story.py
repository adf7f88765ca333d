"""The whole story by clicking: score, pledge, decide, lend, move the price, cure, retire, look the certificate up."""

import re

import pytest

pytestmark = pytest.mark.browser


def test_the_whole_story_in_the_browser(person, story_world):
    # The firm signs a consent; its bank records what it was handed and asks for the score.
    person.act_as("dev-a").open("/console/record").fill("sign", bank_id="bank-gusu").send("sign")
    signed = person.one("#signed-consent").get_attribute("value")
    person.act_as("bank-gusu").open(f"/console/scores/{story_world.subject_id}")
    person.fill("consent", signed=signed).send("consent")
    assert "consent is recorded" in person.text(".notice.good")
    person.send("ask")
    assert person.path.startswith("/console/inquiries/inq_")
    score = int(person.text(".gauge-score"))
    assert 300 <= score <= 850
    assert person.text(".gauge-grade") in "ABCDE"
    assert len(person.all(".reasons li")) <= 4
    assert "Generated data" in person.text(".page-head")
    assert "bank and electricity data" in person.text()

    # The developer looks at a preview, which changes nothing, and reserves credits for the bank.
    person.act_as("dev-a").open("/console/assets/pledge")
    before = story_world.snapshot()
    person.fill("pledge", quantity="400", bank_id="bank-gusu").send("pledge")
    assert person.text("#lendable") == "¥5,400.00"  # 400 t x ¥30.00 x 45 %
    assert "¥12,000.00" in person.text("#preview")
    assert story_world.snapshot() == before
    person.send("reserve")
    assert "Reserved for the bank" in person.text(".notice.good")
    assert "Reserved" in person.text("#pledges")

    # The bank decides from score and collateral, and pays the loan out.
    person.act_as("bank-gusu").follow("Decide")
    person.fill("decide", amount="5000", tenor_days="180").send("decide")
    assert person.text("h1").startswith("Approve")
    assert "How the rate came about" in person.text()
    person.fill("draw", registration_number="REG-2026-0001").send("draw", confirm=True)
    loan_path = person.path
    assert loan_path.startswith("/console/loans/loan_")
    assert "¥5,000.00" in person.text(".tiles")
    assert "Healthy" in person.text(".page-head")
    assert person.one("svg.chart.wide").is_displayed()

    # The exchange moves the price. Such a jump waits for a second person; who made it is offered no confirmation.
    person.act_as("exchange-seee").fill("price", asset_class="PHCER", price="18").send("price")
    assert person.path == "/console/proposals"
    assert "another person confirms it" in person.text("section.card")
    assert not person.all("form[action$='/confirmation']")
    person.act_as("exchange-seee", second=True).open("/console/proposals")
    assert "¥18.00/t" in person.text(".facts")
    person.click("form[action$='/confirmation'] button", confirm=True)
    assert "carried out" in person.text(".notice.good")

    # The bank sees the call; the developer sees it with its exact cure, and pays that.
    person.act_as("bank-gusu")
    assert "Margin call" in person.text(".book")
    person.act_as("dev-a").open(loan_path)
    cure = person.one("[data-cash-cure]").get_attribute("data-cash-cure")
    # ¥5,000.00 of debt on 400 t x ¥18.00 x 45 % = ¥3,240.00
    assert cure == "1760.00"
    assert person.one("#repay-amount").get_attribute("value") == cure
    person.send("repay")
    assert "margin call is cured" in person.text(".notice.good")
    assert not person.all("#margin-call")

    # Credits that are not pledged are retired, and anyone can look the certificate up.
    person.open("/console/assets/retire")
    person.fill("retire", quantity="12.345", beneficiary="Suzhou marathon", purpose="event of 2026")
    person.send("retire", confirm=True)
    number = person.text("#certificate-number")
    assert re.fullmatch(r"SIP-RET-2026-\d{8}-\d{2}", number)
    assert "12.345 t" in person.text(".certificate-quantity")
    person.browser.delete_all_cookies()
    person.open("/certificates").one("#number").send_keys(number.lower())
    person.click("#form-certificate button")
    assert person.path == f"/certificates/{number}"
    assert "Suzhou marathon" in person.text()

    # What was done is on the chain, and the chain verifies.
    person.act_as("dev-a").open("/console/ledger").send("verify")
    assert "hashes and balances" in person.text(".notice.good")
    # And the first page tells it.
    person.open("/")
    assert "12.345 t" in person.text(".pipeline")
    story_world.verify()


def test_a_purchase_and_a_withdrawn_consent(person, story_world):
    person.act_as("dev-a").follow("List credits")
    person.fill("listing", buyer_id="buyer-a", quantity="2", price="31.50").click("#form-listing .actions button")
    assert "Only buyer-a sees it" in person.text("#confirm")
    person.send("confirm")
    assert "Listed" in person.text(".notice.good")
    person.act_as("bank-gusu").open("/console/trade")
    assert "31.50" not in person.text("#listings")
    person.act_as("buyer-a")
    person.click("#listings .row-actions a")
    person.fill("take", quantity="2").click("#form-take .actions button")
    assert "¥63.04" in person.text("#confirm")  # ¥63.00 and the fee
    person.send("confirm")
    assert "Bought" in person.text(".notice.good")
    assert "2.000 t" in person.text(".tiles")

    person.act_as("bank-gusu").open(f"/console/scores/{story_world.subject_id}")
    while person.all("[id^='form-withdraw-']"):
        form = person.one("[id^='form-withdraw-']").get_attribute("id").removeprefix("form-")
        person.send(form, confirm=True)
    assert "nothing may be asked" in person.text("#ask")
    assert "Withdrawn" in person.text()


def test_verifier_and_registry_work_in_the_browser(person, story_world):
    story_world.project("dev-a", "PV9")
    story_world.post("grid-sip", "/v1/meters/M-PV9/readings", story_world.readings_body(10))
    person.act_as("dev-a").follow("roof PV9")
    assert person.one("svg.chart.wide .bar")
    person.fill("submit", starts_on="2025-03-02", ends_on="2025-03-09").send("submit")
    assert "submitted for verification" in person.text(".notice.good")
    person.act_as("verifier-cqc").click("main table a")
    person.fill("state", generation="1").send("state")
    assert "statement_mismatch" in person.text("#refusal")
    person.open(person.path.removesuffix("/statement"))
    person.send("state")
    assert "statement is signed" in person.text(".notice.good")
    person.act_as("registry-sip")
    person.click("[id^='form-issue-'] button", confirm=True)
    assert "credits are issued" in person.text(".notice.good")
    assert "PV9" in person.text()
