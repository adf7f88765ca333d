"""A loan officer at the browser, wide and on a phone: changes a loan, closes the business dates, reads the products."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from person import PHONE, WIDE

pytestmark = pytest.mark.browser
BANK, BORROWER = "bank-gusu", "dev-a"
OVERFLOW = "return document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def loan(story_world):
    """A loan drawn two days ago, two thirds of its commitment, and a reservation that could replace its pledge."""
    world = story_world
    reserve = {"bank_id": BANK, "issuance_id": world.issuance["issuance_id"], "product": "mixed_pool_pledge"}
    pledge = world.post(BORROWER, "/v1/pledges", reserve | {"quantity_kg": 200_000})
    score = world.score(BANK, world.subject_id)
    wanted = {"borrower_id": BORROWER, "inquiry_id": score["inquiry_id"], "amount_fen": 240_000, "tenor_days": 180,
              "pledge_ids": [pledge["pledge_id"]], "product": "mixed_pool_pledge"}  # fmt: skip
    decision = world.post(BANK, "/v1/decisions", wanted)
    draw = {"decision_id": decision["decision_id"], "amount_fen": 160_000, "registration_number": "REG-LOAN"}
    found = world.post(BANK, "/v1/loans", draw)
    world.post(BORROWER, "/v1/pledges", reserve | {"quantity_kg": 210_000})
    world.now += timedelta(days=2)
    return f"/console/loans/{found['loan_id']}"


@pytest.fixture
def picture(person, tmp_path):
    """Keep a picture of the page; `TANXIN_PICTURES_LOAN` names the folder to look at."""
    folder = Path(os.environ.get("TANXIN_PICTURES_LOAN", str(tmp_path)))

    def take(name):
        assert not person.browser.execute_script(OVERFLOW), name
        person.picture(folder / name)
        assert (folder / name).stat().st_size > 10_000

    return take


def unfold(person):
    """Open every folded part, as a person who looks at all of it."""
    person.browser.execute_script("document.querySelectorAll('main details').forEach((e) => { e.open = true; })")


@pytest.mark.parametrize(("size", "rate", "amount"), [(WIDE, "410", "100.00"), (PHONE, "420", "90.00")])
def test_the_loan_is_changed_paid_out_and_refused_at_its_page(person, loan, picture, size, rate, amount):
    person.size(size)
    person.act_as(BANK).open(loan)
    unfold(person)
    picture(f"loan-{size[0]}.png")
    person.fill("serve", kind="holiday", annual_rate="").send("serve")
    assert person.one("#serve-until").get_attribute("aria-invalid") == "true"
    assert person.one("#form-serve").is_displayed()
    picture(f"loan-refused-{size[0]}.png")
    person.open(loan)
    unfold(person)
    person.fill("serve", kind="rate", annual_rate=rate).send("serve")
    assert f"{int(rate) / 100:.2f} %" in person.text("#events")
    person.fill("tranche", amount=amount).send("tranche", confirm=True)
    assert f"¥{amount}" in person.text("#events")
    unfold(person)
    person.send("write-off", confirm=True)
    assert "invalid_state" in person.text("#refusal")


@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_the_business_dates_are_closed_and_their_steps_read(person, story_world, loan, picture, size):
    person.size(size)
    person.act_as(BANK).open("/console/business-days")
    if person.all("#form-close-days"):
        person.send("close-days")
    assert not person.all("#form-close-days")
    assert len(person.all("#closed tbody tr")) == 2
    unfold(person)
    assert "Classes and allowance" in person.text("#closed")
    picture(f"days-{size[0]}.png")
    person.open("/console/products")
    assert len(person.all("section[id^='product-']")) == len(story_world.get(BANK, "/v1/products"))
    picture(f"products-{size[0]}.png")
