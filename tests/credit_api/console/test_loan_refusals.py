"""What the loan officer's and the borrower's forms refuse: nothing moves, and the input stays."""

from datetime import timedelta

import pytest
from ready_worlds import begun, with_a_loan
from test_console_forms import Browser

BANK, BORROWER = "bank-gusu", "dev-a"


sqlite_world = begun(with_a_loan, "running")


@pytest.fixture
def running(sqlite_world):
    """A loan, two days old: (address, loan id, pledge id)."""
    loan, pledge, _ = sqlite_world.given
    sqlite_world.now += timedelta(days=2)
    return f"/console/loans/{loan['loan_id']}", loan["loan_id"], pledge["pledge_id"]


def test_a_repayment_takes_an_earlier_day_and_no_later_one(sqlite_world, running):
    path, loan_id, _ = running
    borrower, today = Browser(sqlite_world).act_as(BORROWER), sqlite_world.now.date()
    before = sqlite_world.snapshot()
    fields = borrower.hidden(path, "repay") | {"amount": "100.00", "value_on": str(today + timedelta(days=5))}
    refused = borrower.post(f"{path}/repayments", fields, status=422)
    assert "period_invalid" in refused.text
    assert 'value="100.00"' in refused.text
    assert sqlite_world.snapshot() == before
    earlier = str(today - timedelta(days=1))
    borrower.post(f"{path}/repayments", borrower.hidden(path, "repay") | {"amount": "100.00", "value_on": earlier})
    last = sqlite_world.get(BORROWER, f"/v1/loans/{loan_id}/events")[-1]
    assert (last["event"]["kind"], last["event"]["value_on"]) == ("repayment", earlier)


def test_what_is_no_repayment_is_not_reversed(sqlite_world, running):
    path, _, _ = running
    officer = Browser(sqlite_world).act_as(BANK)
    before = sqlite_world.snapshot()
    refused = officer.post(
        f"{path}/events/1/reversal", officer.hidden(path, "serve") | {"form": "reverse-1"}, status=409
    )
    assert "invalid_state" in refused.text
    assert sqlite_world.snapshot() == before


def test_an_auction_that_starts_below_the_reserve_is_refused(sqlite_world, running):
    path, _, pledge_id = running
    sqlite_world.price(2_100, confirmed=True)
    sqlite_world.price(1_500, confirmed=True)
    officer, form = Browser(sqlite_world).act_as(BANK), f"auction-{pledge_id}"
    fields = officer.hidden(path, form) | {
        "quantity": "100", "start": "0.01", "decrement": "0.5", "minutes": "30", "hours": "24",
    }  # fmt: skip
    before = sqlite_world.snapshot()
    refused = officer.post(f"{path}/auctions/{pledge_id}", fields, status=422)
    assert 'id="refusal"' in refused.text
    assert 'value="0.01"' in refused.text
    assert sqlite_world.snapshot() == before


def test_who_made_a_large_decision_does_not_check_it_and_it_is_not_drawn_unchecked(sqlite_world):
    sqlite_world.fund(BANK, 1_000_000_000)
    issuance, inquiry = sqlite_world.borrower()
    sqlite_world.price(500_000)
    body = {"bank_id": BANK, "issuance_id": issuance["issuance_id"], "quantity_kg": 400_000}
    pledge = sqlite_world.post(BORROWER, "/v1/pledges", body)
    maker, desk = Browser(sqlite_world).act_as(BANK), f"/console/desk/decide?borrower={BORROWER}"
    fields = maker.hidden(desk, "decide") | {
        "borrower_id": BORROWER, "inquiry_id": inquiry["inquiry_id"], "product": "phcer_pledge_loan",
        "amount": "600000.00", "tenor_days": "180", "pledge_ids": pledge["pledge_id"],
    }  # fmt: skip
    path = maker.post("/console/desk/decisions", fields).headers["location"]
    assert "officer" in maker.get(path).text
    before = sqlite_world.snapshot()
    word = maker.hidden(path, "check") | {"outcome": "confirmed", "note": "my own"}
    assert "decision_unchecked" in maker.post(f"{path}/approval", word, status=409).text
    assert 'value="draw"' not in maker.get(path).text
    draw = word | {"form": "draw", "amount": "600000.00", "registration_number": "R"}
    assert "decision_unchecked" in maker.post(f"{path}/loan", draw, status=409).text
    assert sqlite_world.snapshot() == before
    second = Browser(sqlite_world)
    second.post("/session", second.hidden("/sign-in", "enter") | {"second": BANK})
    said = second.hidden(path, "check") | {"outcome": "refused", "note": "too large"}
    second.post(f"{path}/approval", said)
    page = maker.get(path).text
    assert 'value="check"' not in page
    assert 'value="draw"' not in page
    refused = maker.post(f"{path}/loan", draw | maker.hidden("/console/desk", "switch") | {"form": "draw"}, status=409)
    assert "decision_unchecked" in refused.text
