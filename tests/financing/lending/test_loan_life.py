"""The life of a loan over HTTP: every refusal moves nothing, every correction balances. What asks the database for more
than a row by its id runs on both kinds."""

import io
from datetime import timedelta

import pytest
from kinds import on_both, one_kind  # noqa: F401
from openpyxl import load_workbook

from credit_api.http.auth.keys import issue
from credit_api.http.auth.principal import MACHINE_ROLES, Principal
from credit_api.lending.loans_api import decide_from_inquiry
from financing.base.authority import Role, Work
from financing.ledger.people import Person
from financing.lending.origination.commands import ApplyForLoan

BANK, BORROWER = "bank-gusu", "dev-a"


def later(world, days):
    world.now += timedelta(days=days)


def owed(world, loan_id):
    return world.get(BANK, f"/v1/loans/{loan_id}")


@on_both
def test_a_payment_entered_late_gives_the_books_of_one_in_time(lent):
    world, loan, _, _ = lent
    path = f"/v1/loans/{loan['loan_id']}/repayments"
    signed = world.now.date()
    later(world, 60)
    world.post(BORROWER, path, {"amount_fen": 100_000})
    in_time = world.balance(BORROWER, "cash"), owed(world, loan["loan_id"])["debt_fen"]
    late = {"amount_fen": 50_000, "value_on": str(signed + timedelta(days=30)), "external_id": "bank-transfer-7"}
    answer = world.post(BORROWER, path, late)
    assert answer["interest_fen"] > 0
    # 50,000 fen thirty days earlier save thirty days of interest on what they repaid, and cost 50,000.
    assert world.balance(BORROWER, "cash") == in_time[0] - 50_000
    assert in_time[1] - 50_000 - answer["loan"]["debt_fen"] > 0
    world.assert_refused(BORROWER, path, late, "invalid_state", status=409)
    events = world.get(BORROWER, f"/v1/loans/{loan['loan_id']}/events")
    assert [(event["event"]["kind"], event["external_id"]) for event in events] == [
        ("disbursement", None), ("repayment", None), ("repayment", "bank-transfer-7"),
    ]  # fmt: skip
    world.verify()


@on_both
def test_a_reversal_restores_the_books_and_keeps_the_payers_number(lent):
    world, loan, _, _ = lent
    loan_id = loan["loan_id"]
    later(world, 30)
    before = owed(world, loan_id)["debt_fen"], world.balance(BORROWER, "cash"), world.balance(BANK, "cash")
    body = {"amount_fen": 70_000, "external_id": "x1"}
    world.post(BORROWER, f"/v1/loans/{loan_id}/repayments", body)
    reversal = f"/v1/loans/{loan_id}/events/2/reversal"
    world.assert_refused(BORROWER, reversal, None, "not_permitted")
    world.post(BANK, reversal)
    assert (owed(world, loan_id)["debt_fen"], world.balance(BORROWER, "cash"), world.balance(BANK, "cash")) == before
    reversed_ = world.get(BANK, f"/v1/loans/{loan_id}/events")[1]
    assert reversed_["reversed"] is True
    assert reversed_["external_id"] == "x1"
    world.assert_refused(BANK, reversal, None, "invalid_state")
    world.post(BORROWER, f"/v1/loans/{loan_id}/repayments", body)
    world.verify()


def test_what_begins_today_ends_after_today(lent):
    """Named without a day, an end between signing and today was taken: a loan that ran was over at a stroke."""
    world, loan, _, _ = lent
    world.now += timedelta(days=20)
    events, gone = f"/v1/loans/{loan['loan_id']}/events", str(world.now.date() - timedelta(days=10))
    for kind in ("holiday", "restructuring"):
        world.assert_refused(BANK, events, {"kind": kind, "until": gone}, "period_invalid")
    assert world.get(BANK, f"/v1/loans/{loan['loan_id']}")["matures_on"] == loan["matures_on"]


def test_bad_events_are_refused_and_move_nothing(lent):
    world, loan, _, _ = lent
    events = f"/v1/loans/{loan['loan_id']}/events"
    tomorrow, early = str(world.now.date() + timedelta(days=1)), str(world.now.date() - timedelta(days=400))
    for who, body, code in (
        (BORROWER, {"kind": "freeze"}, "not_permitted"),
        (BANK, {"kind": "recovery", "amount_fen": 1}, "not_permitted"),
        (BORROWER, {"kind": "recovery", "amount_fen": 1}, "invalid_state"),
        (BANK, {"kind": "freeze", "value_on": tomorrow}, "period_invalid"),
        (BANK, {"kind": "freeze", "value_on": early}, "period_invalid"),
        (BANK, {"kind": "rate"}, "invalid_request"),
        (BANK, {"kind": "rate", "annual_rate_bps": 9_999}, "invalid_request"),
        (BANK, {"kind": "holiday"}, "invalid_request"),
        (BANK, {"kind": "holiday", "until": 0}, "invalid_request"),
        (BANK, {"kind": "holiday", "until": "1795909244"}, "invalid_request"),
        (BANK, {"kind": "holiday", "until": early}, "period_invalid"),
        (BANK, {"kind": "write_off"}, "invalid_state"),
        (BANK, {"kind": "repayment", "amount_fen": 5}, "invalid_request"),
    ):
        world.assert_refused(who, events, body, code)
    world.assert_refused(BORROWER, f"/v1/loans/{loan['loan_id']}/repayments",
                         {"amount_fen": 1, "value_on": tomorrow}, "period_invalid")  # fmt: skip


def test_repaying_a_closed_loan_or_more_than_the_debt_is_refused(lent):
    world, loan, _, _ = lent
    world.fund(BORROWER, 10_000_000)
    path = f"/v1/loans/{loan['loan_id']}/repayments"
    world.assert_refused(BORROWER, path, {"amount_fen": loan["debt_fen"] + 1}, "overpayment_refused")
    world.post(BORROWER, path, {"amount_fen": loan["debt_fen"]})
    world.assert_refused(BORROWER, path, {"amount_fen": 1}, "invalid_state")
    world.assert_refused(BANK, f"/v1/loans/{loan['loan_id']}/events", {"kind": "freeze"}, "invalid_state")


def test_a_rate_change_a_holiday_and_a_restructuring_show_in_the_schedule(lent):
    world, loan, _, _ = lent
    path = f"/v1/loans/{loan['loan_id']}"
    before = world.get(BORROWER, f"{path}/schedule")["to_come"]
    assert [each["principal_fen"] for each in before] == [loan["principal_fen"]]
    world.post(BANK, f"{path}/events", {"kind": "rate", "annual_rate_bps": 100})
    lower = world.get(BANK, f"{path}/schedule")["to_come"]
    assert lower[0]["interest_fen"] < before[0]["interest_fen"]
    until = str(world.now.date() + timedelta(days=400))
    body = {"kind": "restructuring", "until": until, "scheme": "annuity", "capitalised": True}
    after = world.post(BANK, f"{path}/events", body)
    assert after["matures_on"] == until
    ahead = world.get(BANK, f"{path}/schedule")["to_come"]
    assert len(ahead) > 10
    assert sum(each["principal_fen"] for each in ahead) == after["principal_fen"]
    world.get("bank-taihu", f"{path}/schedule", status=403)


def test_a_large_decision_waits_for_another_person(world):
    world.fund(BANK, 1_000_000_000)
    issuance, inquiry = world.borrower()
    world.price(500_000)
    pledge = world.post(BORROWER, "/v1/pledges",
                        {"bank_id": BANK, "issuance_id": issuance["issuance_id"], "quantity_kg": 400_000})  # fmt: skip
    decision = world.post(
        BANK,
        "/v1/decisions",
        {
            "borrower_id": BORROWER, "inquiry_id": inquiry["inquiry_id"], "amount_fen": 60_000_000, "tenor_days": 180,
            "pledge_ids": [pledge["pledge_id"]],
        },
    )  # fmt: skip
    assert decision["outcome"] == "approve", decision
    draw = {"decision_id": decision["decision_id"], "amount_fen": 60_000_000, "registration_number": "R1"}
    world.assert_refused(BANK, "/v1/loans", draw, "decision_unchecked")
    approval = f"/v1/decisions/{decision['decision_id']}/approval"
    word = {"outcome": "confirmed", "note": "seen"}
    world.assert_refused(BANK, approval, word, "decision_unchecked")
    world.assert_refused("bank-taihu", approval, word, "not_permitted")
    # Another key of the same person is the same person.
    again = world.post(BANK, "/v1/keys", {"label": "second officer"})
    world.keys["again"] = again["api_key"]
    world.assert_refused("again", approval, word, "decision_unchecked")
    checker = world.second(BANK)
    assert world.post(checker, approval, word)["checker"] == "bank-gusu:second"
    world.assert_refused(BANK, approval, word, "decision_unchecked")
    world.assert_refused(checker, approval, word, "invalid_state")
    assert world.post(BANK, "/v1/loans", draw)["drawn_fen"] == 60_000_000


def test_what_a_machine_decided_is_checked_by_who_registers_none(sqlite_world):
    """An administrator that checks, too, was two persons through a machine of its own."""
    world = sqlite_world
    issuance, inquiry = world.borrower()
    world.price(500_000)
    pledged = {"bank_id": BANK, "issuance_id": issuance["issuance_id"], "quantity_kg": 400_000}
    asked = ApplyForLoan(
        borrower_id=BORROWER, inquiry_id=inquiry["inquiry_id"], amount_fen=60_000_000, tenor_days=180,
        pledge_ids=[world.post(BORROWER, "/v1/pledges", pledged)["pledge_id"]],
    )  # fmt: skip
    parts = world.parts
    machine = Principal(BANK, "bank", "", "", "mac_1", MACHINE_ROLES, frozenset({Work.LENDING}), "token", machine=True)
    given = decide_from_inquiry.given(parts, asked)
    record = parts.writer.execute(lambda unit: given.run(unit, parts.context(machine)))
    approval, word = f"/v1/decisions/{record.decision_id}/approval", {"outcome": "confirmed", "note": "seen"}
    world.assert_refused(BANK, approval, word, "decision_unchecked")
    world.assert_refused(world.second(BANK), approval, word, "decision_unchecked")

    def checker(unit):
        unit.people.add(Person("per_c", BANK, "c", frozenset({Role.CHECKER}), world.now))
        return issue(unit.connection, "per_c", "checker", world.now)

    world.keys["checker"] = parts.writer.execute(checker)
    assert world.post("checker", approval, word)["maker"] == "mac_1"


@on_both
def test_days_are_closed_once_in_order_and_a_crash_calls_margin(lent):
    world, loan, _, _ = lent
    later(world, 5)
    closed = world.post(BANK, "/v1/business-days", {})["days"]
    assert len(closed) == 5
    assert all(day["parked"] == 0 and day["loans"] == 1 for day in closed)
    assert world.post(BANK, "/v1/business-days", {})["days"] == []
    seen = owed(world, loan["loan_id"])
    assert (seen["risk_class"], seen["stage"]) == ("normal", 1)
    assert seen["allowance_fen"] > 0
    world.price(2_100, confirmed=True)
    later(world, 1)
    world.price(1_800, confirmed=True)
    later(world, 1)
    days = world.post(BANK, "/v1/business-days", {})["days"]
    assert [day["day"] for day in days] == sorted(day["day"] for day in days)
    assert owed(world, loan["loan_id"])["coverage"] in {"call", "liquidate"}
    world.get(BORROWER, "/v1/business-days", status=403)
    world.assert_refused(BORROWER, "/v1/business-days", {}, "not_permitted")
    world.verify()


def test_a_date_closed_late_leaves_the_calls_that_were_made_after_it(lent):
    """It cured them, a week before they were made: the prices of that day were still good."""
    world, loan, _, _ = lent
    world.now += timedelta(days=7)
    world.price(1_450, confirmed=True)
    made = world.get(BANK, f"/v1/loans/{loan['loan_id']}")["margin_call"]
    assert made["state"] == "open"
    world.post(BANK, "/v1/business-days", {})
    calls = world.get(BANK, "/v1/margin-calls")
    assert [(each["margin_call_id"], each["state"]) for each in calls] == [(made["margin_call_id"], "open")]


def test_an_unpriced_book_raises_an_alert(lent):
    world, *_ = lent
    later(world, 40)
    world.post(BANK, "/v1/business-days", {"through": str(world.now.date() - timedelta(days=10))})
    world.post(BANK, "/v1/business-days", {})
    alerts = world.get(BANK, "/v1/alerts")
    assert ("price_missing", "PHCER") in {(alert["kind"], alert["subject"]) for alert in alerts}


@pytest.mark.parametrize("name", ["trial-balance", "general-ledger", "positions"])
def test_reports_come_as_csv_and_xlsx_with_the_same_rows(lent, name):
    world, *_ = lent
    later(world, 3)
    world.post(BANK, "/v1/business-days", {})
    headers = {"Authorization": f"Bearer {world.keys[BANK]}"}
    path = f"/v1/reports/{name}?first=2020-01-01&last=2100-01-01"
    plain = world.client.get(path, headers=headers)
    assert plain.status_code == 200
    lines = plain.content.decode("utf-8-sig").strip().splitlines()
    book = load_workbook(io.BytesIO(world.client.get(f"{path}&format=xlsx", headers=headers).content))
    rows = list(book.active.iter_rows(values_only=True))
    assert len(rows) == len(lines) > 1
    if name == "trial-balance":
        totals = next(row for row in rows if row[0] == "CNY" and row[1] == "total")
        assert totals[2] > 0


def test_another_pledge_takes_the_place_of_one_only_if_the_debt_stays_covered(world):
    loan, pledge, issuance = world.loan(pledge_kg=200_000, amount_fen=200_000)
    left = world.balance(BORROWER, "holding", f"PHCER:{issuance['issuance_id']}")

    def reserve(kg):
        body = {"bank_id": BANK, "issuance_id": issuance["issuance_id"], "quantity_kg": kg}
        return world.post(BORROWER, "/v1/pledges", body)["pledge_id"]

    path = f"/v1/pledges/{pledge['pledge_id']}/substitution"
    small = {"by_pledge_id": reserve(1_000), "registration_number": "R2"}
    world.assert_refused(BANK, path, small, "coverage_insufficient")
    enough = {"by_pledge_id": reserve(left - 1_000), "registration_number": "R3"}
    done = world.post(BANK, path, enough)
    assert (done["new"]["state"], done["old"]["state"]) == ("posted", "released")
    assert owed(world, loan["loan_id"])["pledge_ids"] == [done["new"]["pledge_id"]]


def test_every_product_names_two_people(world):
    products = world.get(BANK, "/v1/products")
    assert len(products) >= 6
    assert all(product["prepared_by"] != product["approved_by"] for product in products)


EVIDENCE = "ab" * 32


def applied(world, inquiry, **more):
    body = {"borrower_id": BORROWER, "inquiry_id": inquiry["inquiry_id"], "tenor_days": 180, "amount_fen": 2_000_000}
    return world.post(BANK, "/v1/decisions", body | more)


@on_both
def test_a_guarantee_and_credits_secure_one_loan_and_the_guarantee_is_demanded(world):
    world.fund(BANK, 100_000_000)
    issuance, inquiry = world.borrower()
    world.price(3_000)
    world.admit("guarantor", "buyer")
    pledge = world.post(BORROWER, "/v1/pledges", {"bank_id": BANK, "issuance_id": issuance["issuance_id"],
                                                  "quantity_kg": 400_000})  # fmt: skip
    product = {"product": "guaranteed_carbon_loan", "pledge_ids": [pledge["pledge_id"]]}
    alone = applied(world, inquiry, **product)
    assert "security_missing" in {reason["code"] for reason in alone["reasons"]}
    until = str(world.now.date() + timedelta(days=400))
    deed = {"bank_id": BANK, "borrower_id": BORROWER, "amount_fen": 1_500_000, "valid_until": until,
            "evidence_sha256": EVIDENCE}  # fmt: skip
    world.assert_refused(BORROWER, "/v1/guarantees", deed, "not_permitted")
    given = world.post("guarantor", "/v1/guarantees", deed)
    decision = applied(world, inquiry, **product, security_ids=[given["security_id"]])
    assert (decision["outcome"], decision["max_amount_fen"]) == ("approve", 2_000_000), decision
    draw = {"decision_id": decision["decision_id"], "amount_fen": 2_000_000, "registration_number": "R1"}
    loan = world.post(BANK, "/v1/loans", draw)
    # 2,000,000 less the guaranteed 1,500,000 stand against 400 t at 30 CNY.
    assert loan["coverage"] == "healthy"
    release = f"/v1/securities/{given['security_id']}/release"
    world.assert_refused(BANK, release, None, "coverage_insufficient")
    world.assert_refused("guarantor", f"/v1/securities/{given['security_id']}/withdrawal", None, "invalid_state")
    world.fund(BORROWER, 1_000_000)
    world.post(BORROWER, f"/v1/loans/{loan['loan_id']}/repayments", {"amount_fen": loan["debt_fen"]})
    assert world.post(BANK, release)["state"] == "released"
    world.verify()


def test_a_plants_electricity_secures_a_loan_once_and_is_no_credit(world):
    world.fund(BANK, 100_000_000)
    _, inquiry = world.borrower()
    world.price(3_000)
    project = next(row for row in world.get(BORROWER, "/v1/projects") if row["owner_id"] == BORROWER)
    body = {"bank_id": BANK, "project_id": project["project_id"], "kind": "receivable", "years": 2, "share_bps": 8_000,
            "evidence_sha256": EVIDENCE}  # fmt: skip
    world.assert_refused("dev-b" if "dev-b" in world.keys else BANK, "/v1/earnings", body, "not_permitted")
    given = world.post(BORROWER, "/v1/earnings", body)
    assert given["value_fen"] == sum(month["fen"] for month in given["workings"]["months"])
    # 5 MW × 1,000 h × 2 years × about 0.56 CNY, less degradation and discount.
    assert 450_000_000 < given["value_fen"] < 560_000_000
    world.assert_refused(BORROWER, "/v1/earnings", body | {"kind": "income_stream"}, "not_permitted")
    as_credit = {"bank_id": BANK, "issuance_id": given["security_id"], "quantity_kg": 1_000}
    world.assert_refused(BORROWER, "/v1/pledges", as_credit, "not_found")
    refused = applied(world, inquiry, product="phcer_pledge_loan", security_ids=[given["security_id"]])
    assert "security_not_taken" in {reason["code"] for reason in refused["reasons"]}
    decision = applied(world, inquiry, product="receivable_pledge", security_ids=[given["security_id"]])
    assert decision["outcome"] == "approve", decision
    draw = {"decision_id": decision["decision_id"], "amount_fen": 2_000_000, "registration_number": "R1"}
    loan = world.post(BANK, "/v1/loans", draw)
    again = applied_refused(world, inquiry, given["security_id"])
    assert again == "invalid_state"
    ahead = world.get(BORROWER, f"/v1/loans/{loan['loan_id']}/schedule")["to_come"]
    assert len(ahead) >= 6
    world.verify()


def applied_refused(world, inquiry, security_id):
    body = {"borrower_id": BORROWER, "inquiry_id": inquiry["inquiry_id"], "tenor_days": 180, "amount_fen": 2_000_000,
            "product": "receivable_pledge", "security_ids": [security_id]}  # fmt: skip
    return world.post(BANK, "/v1/decisions", body, status=409).json()["code"]


def test_a_foreign_currency_and_a_tenor_past_the_credits_use_are_refused(world):
    world.fund(BANK, 100_000_000)
    issuance, inquiry = world.borrower()
    world.price(3_000)
    soon = str(world.now.date() + timedelta(days=60))
    pledge = world.post(BORROWER, "/v1/pledges",
                        {"bank_id": BANK, "issuance_id": issuance["issuance_id"], "quantity_kg": 400_000,
                         "compliance_year": 2026, "surrender_by": soon})  # fmt: skip
    assert pledge["surrender_by"] == soon
    body = {"borrower_id": BORROWER, "inquiry_id": inquiry["inquiry_id"], "tenor_days": 180, "amount_fen": 400_000,
            "pledge_ids": [pledge["pledge_id"]]}  # fmt: skip
    world.assert_refused(BANK, "/v1/decisions", body | {"currency": "USD"}, "invalid_request")
    decision = world.post(BANK, "/v1/decisions", body)
    assert decision["outcome"] == "decline"
    assert "tenor_past_validity" in {reason["code"] for reason in decision["reasons"]}


def test_the_rate_of_a_sustainability_linked_loan_follows_its_target(world):
    world.fund(BANK, 100_000_000)
    issuance, inquiry = world.borrower()
    world.price(3_000)
    pledge = world.post(BORROWER, "/v1/pledges",
                        {"bank_id": BANK, "issuance_id": issuance["issuance_id"], "quantity_kg": 400_000,
                         "product": "sustainability_linked_loan"})  # fmt: skip
    decision = applied(world, inquiry, product="sustainability_linked_loan", pledge_ids=[pledge["pledge_id"]],
                       amount_fen=400_000)  # fmt: skip
    draw = {"decision_id": decision["decision_id"], "amount_fen": 400_000, "registration_number": "R1"}
    loan = world.post(BANK, "/v1/loans", draw)
    path = f"/v1/loans/{loan['loan_id']}/target-reviews"
    body = {"reached": True, "evidence_sha256": EVIDENCE}
    world.assert_refused(BORROWER, path, body, "not_permitted")
    assert world.post(BANK, path, body)["annual_rate_bps"] == loan["annual_rate_bps"] - 10
    missed = world.post(BANK, path, body | {"reached": False})
    assert missed["annual_rate_bps"] == loan["annual_rate_bps"] + 5
