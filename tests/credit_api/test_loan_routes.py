"""Loans and pledges over HTTP: what each route answers, and what never reaches a command. The rules of a loan's life
are the commands' own (financing/lending/test_loan_life)."""

import io
from datetime import timedelta

import pytest
from kinds import one_kind  # noqa: F401

BANK, BORROWER = "bank-gusu", "dev-a"
EVIDENCE = "ab" * 32


def pledged(world, issuance, quantity_kg=400_000, **more):
    body = {"bank_id": BANK, "issuance_id": issuance["issuance_id"], "quantity_kg": quantity_kg}
    return world.post(BORROWER, "/v1/pledges", body | more)


def applied(world, inquiry, **more):
    body = {"borrower_id": BORROWER, "inquiry_id": inquiry["inquiry_id"], "tenor_days": 180, "amount_fen": 2_000_000}
    return world.post(BANK, "/v1/decisions", body | more)


def drawn(world, decision, amount_fen):
    body = {"decision_id": decision["decision_id"], "amount_fen": amount_fen, "registration_number": "R1"}
    return world.post(BANK, "/v1/loans", body)


def test_payments_are_entered_late_listed_and_reversed(lent):
    world, loan, _, _ = lent
    path = f"/v1/loans/{loan['loan_id']}"
    signed = world.now.date()
    world.now += timedelta(days=60)
    world.post(BORROWER, f"{path}/repayments", {"amount_fen": 100_000})
    late = {"amount_fen": 50_000, "value_on": str(signed + timedelta(days=30)), "external_id": "bank-transfer-7"}
    answer = world.post(BORROWER, f"{path}/repayments", late)
    assert answer["interest_fen"] > 0
    assert answer["loan"]["debt_fen"] == world.get(BANK, path)["debt_fen"]
    world.assert_refused(BORROWER, f"{path}/repayments", late, "invalid_state", status=409)
    assert world.post(BANK, f"{path}/events/2/reversal")["loan_id"] == loan["loan_id"]
    events = world.get(BORROWER, f"{path}/events")
    assert [(each["event"]["kind"], each["external_id"], each["reversed"]) for each in events] == [
        ("disbursement", None, False), ("repayment", None, True), ("repayment", "bank-transfer-7", False),
    ]  # fmt: skip


def test_what_is_no_event_is_refused_and_moves_nothing(lent):
    world, loan, _, _ = lent
    for body in (
        {"kind": "rate"},
        {"kind": "rate", "annual_rate_bps": 9_999},
        {"kind": "holiday"},
        {"kind": "holiday", "until": 0},
        {"kind": "holiday", "until": "1795909244"},
        {"kind": "repayment", "amount_fen": 5},
    ):
        world.assert_refused(BANK, f"/v1/loans/{loan['loan_id']}/events", body, "invalid_request")


def test_changes_show_in_the_schedule_to_the_loans_parties_alone(lent):
    world, loan, _, _ = lent
    path = f"/v1/loans/{loan['loan_id']}"
    before = world.get(BORROWER, f"{path}/schedule")["to_come"]
    assert [each["principal_fen"] for each in before] == [loan["principal_fen"]]
    world.post(BANK, f"{path}/events", {"kind": "rate", "annual_rate_bps": 100})
    assert world.get(BANK, f"{path}/schedule")["to_come"][0]["interest_fen"] < before[0]["interest_fen"]
    until = str(world.now.date() + timedelta(days=400))
    body = {"kind": "restructuring", "until": until, "scheme": "annuity", "capitalised": True}
    after = world.post(BANK, f"{path}/events", body)
    assert after["matures_on"] == until
    ahead = world.get(BANK, f"{path}/schedule")["to_come"]
    assert sum(each["principal_fen"] for each in ahead) == after["principal_fen"]
    world.get("bank-taihu", f"{path}/schedule", status=403)


def test_another_key_of_one_person_is_no_second_person(world):
    world.fund(BANK, 1_000_000_000)
    issuance, inquiry = world.borrower()
    world.price(500_000)
    pledge = pledged(world, issuance)
    decision = applied(world, inquiry, amount_fen=60_000_000, pledge_ids=[pledge["pledge_id"]])
    assert decision["outcome"] == "approve", decision
    draw = {"decision_id": decision["decision_id"], "amount_fen": 60_000_000, "registration_number": "R1"}
    world.assert_refused(BANK, "/v1/loans", draw, "decision_unchecked")
    approval = f"/v1/decisions/{decision['decision_id']}/approval"
    word = {"outcome": "confirmed", "note": "seen"}
    world.assert_refused(BANK, approval, word, "decision_unchecked")
    again = world.post(BANK, "/v1/keys", {"label": "second officer"})
    world.keys["again"] = again["api_key"]
    world.assert_refused("again", approval, word, "decision_unchecked")
    assert world.post(world.second(BANK), approval, word)["checker"] == "bank-gusu:second"
    assert world.post(BANK, "/v1/loans", draw)["drawn_fen"] == 60_000_000


def test_closed_days_calls_and_alerts_are_the_banks(lent):
    world, loan, _, _ = lent
    world.now += timedelta(days=7)
    world.price(1_450, confirmed=True)
    days = world.post(BANK, "/v1/business-days", {})["days"]
    assert len(days) == 7
    assert all(day["parked"] == 0 and day["loans"] == 1 for day in days)
    assert world.get(BANK, "/v1/business-days") == days[::-1]
    seen = world.get(BANK, f"/v1/loans/{loan['loan_id']}")
    assert (seen["risk_class"], seen["stage"], seen["margin_call"]["state"]) == ("normal", 1, "open")
    assert seen["allowance_fen"] > 0
    assert world.get(BANK, "/v1/margin-calls") == [seen["margin_call"]]
    world.get(BORROWER, "/v1/business-days", status=403)
    world.assert_refused(BORROWER, "/v1/business-days", {}, "not_permitted")
    world.now += timedelta(days=33)
    world.post(BANK, "/v1/business-days", {"through": str(world.now.date() - timedelta(days=10))})
    world.post(BANK, "/v1/business-days", {})
    alerts = world.get(BANK, "/v1/alerts")
    assert ("price_missing", "PHCER") in {(alert["kind"], alert["subject"]) for alert in alerts}


@pytest.mark.parametrize("name", ["trial-balance", "general-ledger", "positions"])
def test_reports_come_as_csv_and_xlsx_with_the_same_rows(lent, name):
    world, *_ = lent
    world.now += timedelta(days=3)
    world.post(BANK, "/v1/business-days", {})
    headers = {"Authorization": f"Bearer {world.keys[BANK]}"}
    path = f"/v1/reports/{name}?first=2020-01-01&last=2100-01-01"
    plain = world.client.get(path, headers=headers)
    assert plain.status_code == 200
    lines = plain.content.decode("utf-8-sig").strip().splitlines()
    from openpyxl import load_workbook

    book = load_workbook(io.BytesIO(world.client.get(f"{path}&format=xlsx", headers=headers).content))
    rows = list(book.active.iter_rows(values_only=True))
    assert len(rows) == len(lines) > 1
    if name == "trial-balance":
        totals = next(row for row in rows if row[0] == "CNY" and row[1] == "total")
        assert totals[2] > 0


def test_a_pledge_is_substituted(world):
    loan, pledge, issuance = world.loan(pledge_kg=200_000, amount_fen=200_000)
    other = pledged(world, issuance, world.balance(BORROWER, "holding", f"PHCER:{issuance['issuance_id']}"))
    body = {"by_pledge_id": other["pledge_id"], "registration_number": "R3"}
    done = world.post(BANK, f"/v1/pledges/{pledge['pledge_id']}/substitution", body)
    assert (done["new"]["state"], done["old"]["state"]) == ("posted", "released")
    assert world.get(BANK, f"/v1/loans/{loan['loan_id']}")["pledge_ids"] == [done["new"]["pledge_id"]]


def test_every_product_names_two_people(world):
    products = world.get(BANK, "/v1/products")
    assert len(products) >= 6
    assert all(product["prepared_by"] != product["approved_by"] for product in products)


def test_securities_are_given_taken_back_and_released(world):
    world.fund(BANK, 100_000_000)
    issuance, inquiry = world.borrower()
    world.price(3_000)
    world.admit("guarantor", "buyer")
    until = str(world.now.date() + timedelta(days=400))
    deed = {"bank_id": BANK, "borrower_id": BORROWER, "amount_fen": 1_500_000, "valid_until": until,
            "evidence_sha256": EVIDENCE}  # fmt: skip
    spare, given = (world.post("guarantor", "/v1/guarantees", deed) for _ in range(2))
    taken_back = world.post("guarantor", f"/v1/securities/{spare['security_id']}/withdrawal")
    assert taken_back["state"] == "withdrawn"
    product = {"product": "guaranteed_carbon_loan", "pledge_ids": [pledged(world, issuance)["pledge_id"]]}
    decision = applied(world, inquiry, **product, security_ids=[given["security_id"]])
    assert (decision["outcome"], decision["max_amount_fen"]) == ("approve", 2_000_000), decision
    loan = drawn(world, decision, 2_000_000)
    assert loan["coverage"] == "healthy"
    body = {"borrower_id": BORROWER, "inquiry_id": inquiry["inquiry_id"], "tenor_days": 180, "amount_fen": 2_000_000,
            **product, "security_ids": [given["security_id"]]}  # fmt: skip
    assert world.post(BANK, "/v1/decisions", body, status=409).json()["code"] == "invalid_state"
    world.fund(BORROWER, 1_000_000)
    world.post(BORROWER, f"/v1/loans/{loan['loan_id']}/repayments", {"amount_fen": loan["debt_fen"]})
    assert world.post(BANK, f"/v1/securities/{given['security_id']}/release")["state"] == "released"

    (project,) = [row for row in world.get(BORROWER, "/v1/projects") if row["owner_id"] == BORROWER]
    body = {"bank_id": BANK, "project_id": project["project_id"], "kind": "receivable", "years": 2, "share_bps": 8_000,
            "evidence_sha256": EVIDENCE}  # fmt: skip
    bills = world.post(BORROWER, "/v1/earnings", body)
    assert bills["value_fen"] == sum(month["fen"] for month in bills["workings"]["months"])


def test_a_foreign_currency_is_refused_and_a_use_that_ends_is_kept_with_its_pledge(world):
    issuance, inquiry = world.borrower()
    soon = str(world.now.date() + timedelta(days=60))
    pledge = pledged(world, issuance, compliance_year=2026, surrender_by=soon)
    assert pledge["surrender_by"] == soon
    body = {"borrower_id": BORROWER, "inquiry_id": inquiry["inquiry_id"], "tenor_days": 180, "amount_fen": 400_000,
            "pledge_ids": [pledge["pledge_id"]]}  # fmt: skip
    world.assert_refused(BANK, "/v1/decisions", body | {"currency": "USD"}, "invalid_request")


def test_the_rate_follows_a_target_review(world):
    world.fund(BANK, 100_000_000)
    issuance, inquiry = world.borrower()
    world.price(3_000)
    product = "sustainability_linked_loan"
    pledge = pledged(world, issuance, product=product)
    decision = applied(world, inquiry, product=product, pledge_ids=[pledge["pledge_id"]], amount_fen=400_000)
    loan = drawn(world, decision, 400_000)
    body = {"reached": True, "evidence_sha256": EVIDENCE}
    after = world.post(BANK, f"/v1/loans/{loan['loan_id']}/target-reviews", body)
    assert after["annual_rate_bps"] == loan["annual_rate_bps"] - 10


def test_a_lender_auctions_collateral_that_stays_under_its_pledge_until_it_is_taken(lent):
    world, loan, pledge, issuance = lent
    world.admit("buyer-a", "buyer")
    world.fund("buyer-a", 10_000_000)
    world.now += timedelta(days=1)
    world.price(2_200, confirmed=True)
    world.price(1_600, confirmed=True)
    body = {
        "quantity_kg": 400_000, "start_fen_per_tonne": 2_000, "decrement_fen_per_tonne": 100, "step_seconds": 600,
        "opens_at": world.now.isoformat(), "closes_at": (world.now + timedelta(days=1)).isoformat(),
    }  # fmt: skip
    path = f"/v1/pledges/{pledge['pledge_id']}/auctions"
    world.assert_refused(BORROWER, path, body, "not_permitted")
    auction = world.post(BANK, path, body)
    assert (auction["seller_id"], auction["format"], auction["asking_fen_per_tonne"]) == (BANK, "dutch", 2_000)
    asset = f"PHCER:{issuance['issuance_id']}"
    assert (world.balance(BORROWER, "pledged", asset), world.balance(BANK, "escrow", asset)) == (0, 400_000)
    take = {"quantity_kg": 100_000, "price_max_fen_per_tonne": 2_000}
    taken = world.post("buyer-a", f"/v1/auctions/{auction['auction_id']}/takings", take)
    assert (taken["bidder_id"], taken["price_fen_per_tonne"]) == ("buyer-a", 2_000)
    assert world.get(BANK, f"/v1/loans/{loan['loan_id']}")["debt_fen"] < loan["debt_fen"]
    ended = world.post(BANK, f"/v1/auctions/{auction['auction_id']}/withdrawal")
    assert ended["state"] == "done"
    assert world.balance(BORROWER, "pledged", asset) == 300_000
