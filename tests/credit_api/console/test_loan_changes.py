"""Tranches, substitution, write-off, choices of a restructuring and holiday; steps and parked loans; the products."""

from datetime import timedelta

import pytest
from ready_worlds import begun
from sqlalchemy import update
from test_console_forms import Browser

from credit_api.console.texts import TEXTS
from financing.lending.business_day.steps import STEPS
from financing.lending.collateral.coverage import CoverageStatus
from financing.lending.loans.book import Fault
from financing.lending.loans.loan import SCHEMES
from financing.lending.loans.store import account_t

BANK, BORROWER = "bank-gusu", "dev-a"


def lending(world):
    return world.loan(pledge_kg=200_000, amount_fen=200_000)


sqlite_world = begun(lending, "officer")


@pytest.fixture
def officer(sqlite_world):
    """A bank's browser on a running loan, with a second reservation of the borrower waiting."""
    loan, pledge, issuance = sqlite_world.given
    browser = Browser(sqlite_world).act_as(BANK)
    browser.loan_id, browser.pledge_id = loan["loan_id"], pledge["pledge_id"]
    browser.loan, browser.issuance_id = f"/console/loans/{loan['loan_id']}", issuance["issuance_id"]
    return browser


def later(world, officer, days):
    """Days pass: the session ran out, and the bank signs in again."""
    world.now += timedelta(days=days)
    officer.client.cookies.clear()
    return officer.act_as(BANK)


def reserve(world, officer, kg, **more):
    body = {"bank_id": BANK, "issuance_id": officer.issuance_id, "quantity_kg": kg} | more
    return world.post(BORROWER, "/v1/pledges", body)["pledge_id"]


def drawn_in_parts(world, first_fen=200_000):
    """A loan on a pool of which `first_fen` of more that was committed is drawn: (address, left in fen)."""
    world.fund(BANK, 100_000_000)
    issuance, inquiry = world.borrower()
    world.price(3_000)
    body = {"bank_id": BANK, "issuance_id": issuance["issuance_id"], "quantity_kg": 400_000,
            "product": "mixed_pool_pledge"}  # fmt: skip
    pledge = world.post(BORROWER, "/v1/pledges", body)
    wanted = {"borrower_id": BORROWER, "inquiry_id": inquiry["inquiry_id"], "amount_fen": 500_000, "tenor_days": 180,
              "pledge_ids": [pledge["pledge_id"]], "product": "mixed_pool_pledge"}  # fmt: skip
    decision = world.post(BANK, "/v1/decisions", wanted)
    draw = {"decision_id": decision["decision_id"], "amount_fen": first_fen, "registration_number": "REG-1"}
    return world.post(BANK, "/v1/loans", draw)["loan_id"], decision["max_amount_fen"] - first_fen


def test_a_further_tranche_is_paid_up_to_the_commitment(sqlite_world):
    loan_id, left = drawn_in_parts(sqlite_world)
    browser, path = Browser(sqlite_world).act_as(BANK), f"/console/loans/{loan_id}"
    over = browser.hidden(path, "tranche") | {"amount": f"{(left + 1) / 100:.2f}"}
    before = sqlite_world.snapshot()
    refused = browser.post(f"{path}/tranches", over, status=409)
    assert "credit_standard_not_met" in refused.text
    assert over["amount"] in refused.text
    assert sqlite_world.snapshot() == before
    cash = sqlite_world.balance(BORROWER, "cash")
    browser.post(f"{path}/tranches", browser.hidden(path, "tranche") | {"amount": "1000.00"})
    assert 0 < sqlite_world.balance(BORROWER, "cash") - cash <= 100_000
    kinds = [each["event"]["kind"] for each in sqlite_world.get(BANK, f"/v1/loans/{loan_id}/events")]
    assert kinds == ["disbursement", "disbursement"]


def test_a_product_of_one_tranche_offers_no_further_one(officer):
    assert 'value="tranche"' not in officer.get(officer.loan).text


def test_a_tranche_of_nothing_is_refused_beside_its_field(sqlite_world):
    loan_id, _ = drawn_in_parts(sqlite_world)
    browser, path = Browser(sqlite_world).act_as(BANK), f"/console/loans/{loan_id}"
    refused = browser.post(f"{path}/tranches", browser.hidden(path, "tranche") | {"amount": "abc"}, status=422)
    assert 'id="tranche-amount" name="amount" type="text" value="abc"' in refused.text
    assert 'aria-invalid="true"' in refused.text


def test_other_credits_take_the_place_of_pledged_ones_only_if_they_cover_the_debt(sqlite_world, officer):
    form, action = f"substitute-{officer.pledge_id}", f"{officer.loan}/substitutions/{officer.pledge_id}"
    assert f'value="{form}"' not in officer.get(officer.loan).text
    small = reserve(sqlite_world, officer, 1_000)
    before = sqlite_world.snapshot()
    chosen = officer.hidden(officer.loan, form) | {"by_pledge_id": small, "registration_number": "R2"}
    assert "coverage_insufficient" in officer.post(action, chosen, status=409).text
    assert sqlite_world.snapshot() == before
    enough = reserve(sqlite_world, officer, 220_000)
    officer.post(action, officer.hidden(officer.loan, form) | {"by_pledge_id": enough, "registration_number": "R3"})
    assert sqlite_world.get(BANK, f"/v1/loans/{officer.loan_id}")["pledge_ids"] == [enough]


def test_an_amended_registration_takes_the_place_of_the_first(sqlite_world, officer):
    later(sqlite_world, officer, 3)
    form, action = f"amend-{officer.pledge_id}", f"{officer.loan}/registrations/{officer.pledge_id}"
    nameless = officer.post(action, officer.hidden(officer.loan, form) | {"registration_number": ""}, status=422)
    assert f'id="{form}-registration_number"' in nameless.text
    assert 'aria-invalid="true"' in nameless.text
    same = officer.post(action, officer.hidden(officer.loan, form) | {"registration_number": "REG-1"}, status=409)
    assert "invalid_state" in same.text
    officer.post(action, officer.hidden(officer.loan, form) | {"registration_number": "REG-1/变更"})
    shown = next(each for each in sqlite_world.get(BANK, "/v1/pledges") if each["pledge_id"] == officer.pledge_id)
    assert shown["registration_number"] == "REG-1/变更"
    assert shown["registered_on"] == sqlite_world.now.date().isoformat()
    assert "REG-1/变更" in officer.get(officer.loan).text
    route, number = f"/v1/pledges/{officer.pledge_id}/registration", {"registration_number": "REG-9"}
    for blank in ("   ", "\u3000"):
        sqlite_world.assert_refused(BANK, route, {"registration_number": blank}, "invalid_request", status=422)
    sqlite_world.assert_refused(BORROWER, route, number, "not_permitted", status=403)
    sqlite_world.assert_refused("bank-taihu", route, number, "not_permitted", status=403)


def test_a_form_of_one_loan_leaves_the_pledges_of_another_alone(sqlite_world, officer):
    other = reserve(sqlite_world, officer, 1_000)
    fields = officer.hidden(officer.loan, f"substitute-{officer.pledge_id}")
    before = sqlite_world.snapshot()
    chosen = fields | {"by_pledge_id": other, "registration_number": "R"}
    assert "invalid_state" in officer.post(f"{officer.loan}/substitutions/{other}", chosen, status=409).text
    assert sqlite_world.snapshot() == before


def test_a_loan_that_is_not_late_is_not_written_off(sqlite_world, officer):
    fields = officer.hidden(officer.loan, "write-off") | {"kind": "write_off", "value_on": ""}
    before = sqlite_world.snapshot()
    refused = officer.post(f"{officer.loan}/events", fields, status=409)
    assert "invalid_state" in refused.text
    assert sqlite_world.snapshot() == before


def test_a_loss_is_written_off(sqlite_world, officer):
    later(sqlite_world, officer, 180 + 400)
    fields = officer.hidden(officer.loan, "write-off") | {"kind": "write_off", "value_on": ""}
    before = sqlite_world.snapshot()
    officer.post(f"{officer.loan}/events", fields)
    assert sqlite_world.snapshot() == before
    (waiting,) = sqlite_world.get(BANK, "/v1/proposals?waiting=true")
    # Whoever made it cannot confirm it, on the page or past it.
    confirmation = f"/console/proposals/{waiting['proposal_id']}/confirmation"
    assert confirmation not in officer.get("/console/proposals").text
    own = {"csrf": fields["csrf"], "key": "own", "form": "confirm"}
    assert "not_permitted" in officer.post(confirmation, own, status=403).text
    assert sqlite_world.snapshot() == before
    second = Browser(sqlite_world)
    second.post("/session", second.hidden("/sign-in", "enter") | {"second": BANK})
    second.post(confirmation, second.hidden("/console/proposals", "confirm"))
    assert sqlite_world.get(BANK, f"/v1/loans/{officer.loan_id}")["state"] == "written_off"
    assert 'value="write-off"' not in officer.get(officer.loan).text


def changed(officer, **fields):
    return officer.hidden(officer.loan, "serve") | {"value_on": "", "until": "", "rate": "", "scheme": "kept"} | fields


@pytest.mark.parametrize(
    ("entered", "wrong"),
    [({"kind": "nonsense"}, "kind"), ({"kind": "holiday"}, "until"), ({"kind": "rate"}, "annual_rate"),
     ({"kind": "restructuring", "scheme": "balloon"}, "scheme")],
)  # fmt: skip
def test_what_the_form_does_not_offer_or_lacks_is_refused_by_name(sqlite_world, officer, entered, wrong):
    before = sqlite_world.snapshot()
    refused = officer.post(f"{officer.loan}/events", changed(officer, **entered), status=422)
    assert f"<dt>field</dt><dd>{wrong}</dd>" in refused.text
    assert sqlite_world.snapshot() == before


def test_a_holiday_and_a_restructuring_take_what_was_chosen(sqlite_world, officer):
    until = str(sqlite_world.now.date() + timedelta(days=30))
    officer.post(f"{officer.loan}/events", changed(officer, kind="holiday", until=until, full="yes"))
    officer.post(f"{officer.loan}/events", changed(officer, kind="unfreeze") | {"kind": "freeze"})
    officer.post(f"{officer.loan}/events", changed(officer, kind="unfreeze"))
    matures = str(sqlite_world.now.date() + timedelta(days=240))
    chosen = changed(officer, kind="restructuring", until=matures, scheme="annuity")
    officer.post(f"{officer.loan}/events", chosen)
    kinds = [each["event"]["kind"] for each in sqlite_world.get(BANK, f"/v1/loans/{officer.loan_id}/events")]
    assert kinds == ["disbursement", "holiday", "freeze", "unfreeze", "restructuring"]
    ahead = sqlite_world.get(BANK, f"/v1/loans/{officer.loan_id}/schedule")["to_come"]
    assert len(ahead) > 1
    assert ahead[-1]["due_on"] == matures


def test_the_borrower_sees_no_form_of_the_lender(sqlite_world, officer):
    reserve(sqlite_world, officer, 1_000)
    page = Browser(sqlite_world).act_as(BORROWER).get(officer.loan).text
    for form in ("serve", "write-off", "tranche", f"substitute-{officer.pledge_id}"):
        assert f'value="{form}"' not in page
    assert 'value="repay"' in page


def test_a_closed_date_shows_every_step_and_the_loan_it_left_behind(sqlite_world, officer):
    number = sqlite_world.parts.writer.execute(lambda unit: unit.loans.get(officer.loan_id).terms.number)
    spoil = update(account_t).where(account_t.c.number == number).values(rate_bps=9_999)
    sqlite_world.parts.writer.execute(lambda unit: unit.connection.execute(spoil))
    later(sqlite_world, officer, 1)
    days = "/console/business-days"
    officer.post(days, officer.hidden(days, "close-days"))
    officer.client.cookies.set("tanxin_lang", "en")
    page = officer.get(days).text
    for step in ("Interest and instalments", "Revaluation", "Classes and allowance", "Margin calls", "Surrender dates"):
        assert step in page
    assert f'href="{officer.loan}"' in page
    assert TEXTS["fault.rate"][1] in page


def test_every_step_standing_fault_and_scheme_has_a_text():
    groups = {
        "step": [step.__name__ for step in STEPS],
        "found": [each.label for each in CoverageStatus if each is not CoverageStatus.UNVALUED],
        "fault": [each.name.lower() for each in Fault if each is not Fault.NONE],
        "scheme": SCHEMES,
    }
    assert [
        f"{group}.{name}" for group, names in groups.items() for name in names if f"{group}.{name}" not in TEXTS
    ] == []


def test_every_product_is_a_card_with_its_rates_and_people(sqlite_world, officer):
    page = officer.get("/console/products").text
    for product in sqlite_world.get(BANK, "/v1/products"):
        assert f'id="product-{product["product"]}"' in page
        assert product["file_sha256"] in page
        assert product["prepared_by"] in page
        assert product["approved_by"] in page
    assert f"¥{50_000_000 / 100:,.2f}" in page
    Browser(sqlite_world).act_as(BORROWER).get("/console/products", status=403)
