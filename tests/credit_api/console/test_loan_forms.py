"""The loan officer's forms: recording, reversing, checking, auctioning, closing days; refused with the input kept."""

from datetime import timedelta

import pytest
from ready_worlds import begun, with_a_loan
from test_console_forms import Browser

BANK, BORROWER = "bank-gusu", "dev-a"


sqlite_world = begun(with_a_loan, "officer")


@pytest.fixture
def officer(sqlite_world):
    """A bank's browser on a running loan that is two days old."""
    loan, pledge, _ = sqlite_world.given
    sqlite_world.now += timedelta(days=2)
    browser = Browser(sqlite_world).act_as(BANK)
    browser.loan = f"/console/loans/{loan['loan_id']}"
    browser.loan_id, browser.pledge_id = loan["loan_id"], pledge["pledge_id"]
    return browser


def recorded(officer, **fields):
    return officer.hidden(officer.loan, "serve") | {"value_on": "", "until": "", "rate": ""} | fields


def test_a_rate_change_is_recorded_and_shown(sqlite_world, officer):
    officer.post(f"{officer.loan}/events", recorded(officer, kind="rate", annual_rate="120"))
    assert sqlite_world.get(BANK, f"/v1/loans/{officer.loan_id}")["annual_rate_bps"] == 120
    assert "Rate change" in officer.get(f"{officer.loan}?lang=en").text or "利率变更" in officer.get(officer.loan).text


def test_a_refused_change_keeps_what_was_entered(officer):
    answer = officer.post(f"{officer.loan}/events", recorded(officer, kind="write_off"), status=409)
    assert 'id="refusal"' in answer.text
    assert "invalid_state" in answer.text


def test_a_repayment_is_dated_back_and_reversed(sqlite_world, officer):
    path = f"/v1/loans/{officer.loan_id}/repayments"
    day = str(sqlite_world.now.date() - timedelta(days=1))
    sqlite_world.post(BORROWER, path, {"amount_fen": 10_000, "value_on": day})
    page = officer.get(officer.loan).text
    assert 'value="reverse-2"' in page
    officer.post(f"{officer.loan}/events/2/reversal", officer.hidden(officer.loan, "reverse-2"))
    assert sqlite_world.get(BANK, f"/v1/loans/{officer.loan_id}/events")[1]["reversed"]


def test_business_days_are_closed_from_the_page_and_reports_come_as_files(sqlite_world, officer):
    fields = officer.hidden("/console/business-days", "close-days")
    officer.post("/console/business-days", fields)
    page = officer.get("/console/business-days").text
    assert 'form="close-days"' not in page
    assert len(sqlite_world.get(BANK, "/v1/business-days")) == 2
    for name in ("trial-balance", "general-ledger", "positions"):
        assert officer.get(f"/console/reports/{name}.csv").content.startswith(b"\xef\xbb\xbf")
        assert officer.get(f"/console/reports/{name}.xlsx").content[:2] == b"PK"
    Browser(sqlite_world).act_as(BORROWER).get("/console/business-days", status=403)


def test_an_auction_is_opened_when_the_loan_may_be_sold(sqlite_world, officer):
    assert f'form-auction-{officer.pledge_id}"' not in officer.get(officer.loan).text
    sqlite_world.price(2_100, confirmed=True)
    sqlite_world.price(1_500, confirmed=True)
    fields = officer.hidden(officer.loan, f"auction-{officer.pledge_id}") | {
        "quantity": "100", "start": "20", "decrement": "0.5", "minutes": "30", "hours": "24",
    }  # fmt: skip
    done = officer.post(f"{officer.loan}/auctions/{officer.pledge_id}", fields)
    assert "/console/trade/auctions/" in done.headers["location"]
    officer.get(done.headers["location"])


def test_a_large_decision_is_checked_by_the_second_officer_of_the_sandbox(sqlite_world):
    sqlite_world.fund(BANK, 1_000_000_000)
    issuance, inquiry = sqlite_world.borrower()
    sqlite_world.price(500_000)
    pledge = sqlite_world.post(BORROWER, "/v1/pledges", {"bank_id": BANK, "issuance_id": issuance["issuance_id"],
                                                         "quantity_kg": 400_000})  # fmt: skip
    body = {"borrower_id": BORROWER, "inquiry_id": inquiry["inquiry_id"], "amount_fen": 60_000_000, "tenor_days": 180,
            "pledge_ids": [pledge["pledge_id"]]}  # fmt: skip
    decision = sqlite_world.post(BANK, "/v1/decisions", body)
    path = f"/console/decisions/{decision['decision_id']}"
    second = Browser(sqlite_world)
    second.post("/session", second.hidden("/sign-in", "enter") | {"second": BANK})
    fields = second.hidden(path, "check") | {"outcome": "confirmed", "note": "seen"}
    second.post(f"{path}/approval", fields)
    assert "bank-gusu:second" in second.get(path).text
