"""Bad input at every entry point: a clear error with its own code, and the books exactly as they were."""

import base64
import json
from datetime import timedelta

import pytest
from world import TRANSFER

PRICE = {"asset_class": "PHCER", "price_fen_per_tonne": 3_000, "source": "test"}


def test_no_key_wrong_key_revoked_key(sqlite_world):
    world = sqlite_world
    for headers in ({}, {"Authorization": "Bearer txk_wrong"}, {"Authorization": "Basic abc"}):
        answer = world.client.get("/v1/balances", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["code"] == "unauthenticated"
        assert answer.headers["www-authenticate"] == "Bearer"
    world.revoke("bank-gusu")
    world.get("bank-gusu", "/v1/balances", status=401)


def test_wrong_kind_of_organisation(sqlite_world):
    world = sqlite_world
    price = PRICE | {"observed_at": world.now.isoformat()}
    world.assert_refused("bank-gusu", "/v1/prices", price, "not_permitted", status=403)
    world.assert_refused("bank-gusu", "/v1/projects", world.project_body("X"), "not_permitted", status=403)
    world.assert_refused("grid-sip", "/v1/scores", _inquiry("S", "c"), "not_permitted", status=403)
    world.assert_refused("bank-gusu", "/v1/issuances", {"monitoring_period_id": "m"}, "not_permitted", status=403)


def test_wrong_organisation(sqlite_world):
    world = sqlite_world
    loan, pledge, issuance = world.loan()
    other = "bank-jinji"
    world.assert_refused(
        other, f"/v1/pledges/{pledge['pledge_id']}/release", {"quantity_kg": 1}, "not_permitted", status=403
    )
    world.get(other, f"/v1/loans/{loan['loan_id']}", status=403)
    world.assert_refused(
        other, f"/v1/loans/{loan['loan_id']}/repayments", {"amount_fen": 1}, "not_permitted", status=403
    )
    assert world.get(other, "/v1/loans") == []
    # Credits of another organisation can be neither pledged nor retired: the caller simply has none of them.
    world.admit("dev-b", "developer")
    body = {"bank_id": "bank-gusu", "issuance_id": issuance["issuance_id"], "quantity_kg": 1_000}
    world.assert_refused("dev-b", "/v1/pledges", body, "insufficient_balance", status=409)
    retire = {"issuance_id": issuance["issuance_id"], "quantity_kg": 1, "beneficiary": "x", "purpose": "y"}
    world.assert_refused("dev-b", "/v1/retirements", retire, "insufficient_balance", status=409)


def test_consent_missing_withdrawn_and_out_of_purpose(sqlite_world):
    world = sqlite_world
    subject = world.get("bank-gusu", "/v1/customers?limit=1")[0]["subject_id"]
    world.assert_refused("bank-gusu", "/v1/scores", _inquiry(subject, "con_none"), "consent_missing", status=403)
    consent = world.consent("bank-gusu", subject)
    asked = _inquiry(subject, consent["consent_id"])
    assert world.post("bank-gusu", "/v1/scores", asked)["answer"] == "score"
    world.assert_refused("bank-jinji", "/v1/scores", asked, "consent_missing", status=403)
    world.assert_refused(
        "bank-gusu", "/v1/scores", asked | {"purpose": "loan_review"}, "purpose_not_covered", status=403
    )
    world.post("bank-gusu", f"/v1/consents/{consent['consent_id']}/withdrawal")
    world.assert_refused("bank-gusu", "/v1/scores", asked, "consent_withdrawn", status=403)
    without_purpose = {"subject_id": subject, "consent_id": consent["consent_id"]}
    world.assert_refused("bank-gusu", "/v1/scores", without_purpose, "invalid_request", status=422)


def test_no_file_is_its_own_answer(sqlite_world):
    answer = sqlite_world.score("bank-gusu", "NOBODY-1")
    assert answer["answer"] == "no_file"
    assert answer["score"] is None
    assert answer["reasons"] == []


@pytest.mark.parametrize("kg", [0, -1, 2**63, 1.5, "1000", None, True])
def test_quantities_that_are_none(sqlite_world, kg):
    body = {"issuance_id": "iss", "quantity_kg": kg, "beneficiary": "x", "purpose": "y"}
    sqlite_world.assert_refused("bank-gusu", "/v1/retirements", body, "invalid_request", status=422)


def test_readings_twice_negative_and_beyond_capacity(sqlite_world):
    world = sqlite_world
    world.admit("dev-a", "developer")
    world.project("dev-a")
    path, good = "/v1/meters/M-PV1/readings", world.readings_body(2)
    world.assert_refused("grid-gaoxin", path, good, "not_permitted", status=403)
    world.post("grid-sip", path, good)
    assert world.post("grid-sip", path, good)["deduplicated"]
    other = {**good, "readings": [each | {"generation_wh": 0} for each in good["readings"]]}
    world.assert_refused("grid-sip", path, other, "duplicate_reading", status=409)
    later = world.readings_body(1, first=world.now - timedelta(days=3, hours=2))
    negative = {**later, "readings": [later["readings"][0] | {"generation_wh": -1}]}
    world.assert_refused("grid-sip", path, negative, "invalid_request", status=422)
    kwh_as_mwh = [reading | {"generation_wh": reading["generation_wh"] * 1000} for reading in later["readings"]]
    world.assert_refused("grid-sip", path, {**later, "readings": kwh_as_mwh}, "reading_rejected", status=422)
    backwards = {**later, "readings": list(reversed(later["readings"]))}
    world.assert_refused("grid-sip", path, backwards, "reading_rejected", status=422)
    naive = {**later, "readings": [later["readings"][0] | {"starts_at": "2025-05-01T00:00:00"}]}
    world.assert_refused("grid-sip", path, naive, "invalid_request", status=422)


def test_a_corrupt_file_of_readings(sqlite_world):
    world = sqlite_world
    world.admit("dev-a", "developer")
    world.project("dev-a")
    before = world.snapshot()
    for number, content in enumerate((b"\xff\xfe", b"", b"a,b\n1,2\n", b"interval_start,generation_kwh\nx,1\n")):
        headers = {"Authorization": f"Bearer {world.keys['grid-sip']}", "Idempotency-Key": f"csv{number}"}
        path = "/v1/meters/M-PV1/readings.csv?interval_minutes=60"
        answer = world.client.post(path, content=content, headers=headers)
        assert answer.status_code == 422, answer.text
        assert answer.json()["code"] in {"corrupt_data", "reading_rejected"}
    assert world.snapshot() == before


def test_a_period_claimed_or_issued_twice(sqlite_world):
    world = sqlite_world
    world.admit("dev-a", "developer")
    project = world.project("dev-a")
    world.post("grid-sip", "/v1/meters/M-PV1/readings", world.readings_body())
    claim = world.claim("dev-a", project)
    overlap = {"project_id": project["project_id"], "starts_at": claim["starts_at"], "ends_at": "2025-03-15T00:00:00Z"}
    world.assert_refused("dev-a", "/v1/monitoring-periods", overlap, "period_overlap", status=409)
    body = {"monitoring_period_id": claim["monitoring_period_id"]}
    world.assert_refused("registry-sip", "/v1/issuances", body, "invalid_state", status=409)
    path = f"/v1/monitoring-periods/{claim['monitoring_period_id']}/statement"
    other = {"opinion": "positive", "commitment": "0" * 64, "generation_wh": 1, "reduction_kg": 1}
    world.assert_refused("verifier-cqc", path, other, "statement_mismatch", status=409)
    world.accept(claim)
    world.post("registry-sip", "/v1/issuances", body)
    world.assert_refused("registry-sip", "/v1/issuances", body, "period_already_issued", status=409)
    same = {key: claim[key] for key in ("project_id", "starts_at", "ends_at")}
    world.assert_refused("dev-a", "/v1/monitoring-periods", same, "period_already_issued", status=409)


def test_pledged_credits_cannot_be_sold_retired_or_pledged_again(world):
    world.admit("buyer-a", "buyer")
    _, _, issuance = world.loan(pledge_kg=400_000)
    beyond = issuance["quantity_kg"] - 400_000 + 1_000
    lot = beyond + (-beyond % 1_000)
    base = {"issuance_id": issuance["issuance_id"]}
    sale = {
        "asset": f"PHCER:{issuance['issuance_id']}",
        "buyer_id": "buyer-a",
        "quantity_kg": lot,
        "price_fen_per_tonne": 3_000,
        "expires_at": (world.now + timedelta(days=1)).isoformat(),
    }
    world.assert_refused("dev-a", "/v1/listings", sale, "credits_pledged", status=409)
    retire = base | {"quantity_kg": beyond, "beneficiary": "x", "purpose": "y"}
    world.assert_refused("dev-a", "/v1/retirements", retire, "credits_pledged", status=409)
    pledge = base | {"bank_id": "bank-jinji", "quantity_kg": beyond}
    world.assert_refused("dev-a", "/v1/pledges", pledge, "credits_pledged", status=409)


def test_release_needs_cover_and_a_price(lent):
    world, loan, pledge, _ = lent
    path = f"/v1/pledges/{pledge['pledge_id']}/release"
    world.assert_refused("bank-gusu", path, {"quantity_kg": 100_000}, "coverage_insufficient", status=409)
    world.now += timedelta(days=31)
    world.assert_refused("bank-gusu", path, {"quantity_kg": 1}, "price_stale", status=409)
    standing = world.get("bank-gusu", f"/v1/loans/{loan['loan_id']}")
    assert standing["coverage"] == "unpriced"
    assert standing["collateral_value_fen"] is None
    assert standing["ltv_bps"] is None
    disposal = {
        "buyer_id": "bank-jinji",
        "quantity_kg": 1_000,
        "price_fen_per_tonne": 3_000,
        "expires_at": (world.now + timedelta(days=1)).isoformat(),
    }
    path = f"/v1/pledges/{pledge['pledge_id']}/disposal"
    world.assert_refused("bank-gusu", path, disposal, "price_stale", status=409)


def test_no_loan_without_a_price_or_against_the_decision(sqlite_world):
    world = sqlite_world
    issuance, inquiry = world.borrower()
    world.fund("bank-gusu", 100_000_000)
    body = {"bank_id": "bank-gusu", "issuance_id": issuance["issuance_id"], "quantity_kg": 400_000}
    pledge = world.post("dev-a", "/v1/pledges", body)
    application = {
        "borrower_id": "dev-a",
        "inquiry_id": inquiry["inquiry_id"],
        "amount_fen": 500_000,
        "tenor_days": 180,
        "pledge_ids": [pledge["pledge_id"]],
    }
    decision = world.post("bank-gusu", "/v1/decisions", application)
    assert decision["outcome"] == "refer"
    assert decision["lendable_fen"] is None
    draw = {"decision_id": decision["decision_id"], "amount_fen": 500_000, "registration_number": "R"}
    world.assert_refused("bank-gusu", "/v1/loans", draw, "credit_standard_not_met", status=409)
    world.price(3_000)
    decision = world.post("bank-gusu", "/v1/decisions", application)
    draw["decision_id"] = decision["decision_id"]
    world.assert_refused(
        "bank-gusu", "/v1/loans", draw | {"amount_fen": 540_001}, "credit_standard_not_met", status=409
    )
    # The price falls between decision and drawing: the collateral is valued again.
    world.price(2_500)
    world.assert_refused("bank-gusu", "/v1/loans", draw, "coverage_insufficient", status=409)
    world.now += timedelta(days=29)
    world.price(3_000)
    world.assert_refused("bank-gusu", "/v1/loans", draw, "invalid_state", status=409)


def test_a_score_of_someone_else_or_out_of_date(sqlite_world):
    world = sqlite_world
    issuance, inquiry = world.borrower()
    world.price(3_000)
    body = {"bank_id": "bank-gusu", "issuance_id": issuance["issuance_id"], "quantity_kg": 400_000}
    pledge = world.post("dev-a", "/v1/pledges", body)
    application = {
        "borrower_id": "dev-a",
        "inquiry_id": inquiry["inquiry_id"],
        "amount_fen": 500_000,
        "tenor_days": 180,
        "pledge_ids": [pledge["pledge_id"]],
    }
    customers = world.get("bank-gusu", "/v1/customers?limit=40")
    other = world.score("bank-gusu", customers[-1]["subject_id"])
    wrong = application | {"inquiry_id": other["inquiry_id"]}
    world.assert_refused("bank-gusu", "/v1/decisions", wrong, "not_permitted", status=403)
    world.assert_refused("bank-jinji", "/v1/decisions", application, "not_permitted", status=403)
    unknown = application | {"inquiry_id": "inq_none"}
    world.assert_refused("bank-gusu", "/v1/decisions", unknown, "not_found", status=404)
    world.now += timedelta(days=31)
    body["quantity_kg"] = 10_000
    world.assert_refused("bank-gusu", "/v1/decisions", application, "invalid_state", status=409)
    fresh = world.post("dev-a", "/v1/pledges", body)
    late = application | {"pledge_ids": [fresh["pledge_id"]]}
    world.assert_refused("bank-gusu", "/v1/decisions", late, "assessment_expired", status=409)


def test_prices_that_cannot_be(sqlite_world):
    world = sqlite_world
    world.price(3_000)
    now = {"observed_at": world.now.isoformat()}
    world.assert_refused("exchange-seee", "/v1/prices", PRICE | now | {"price_fen_per_tonne": 0}, "invalid_request")
    world.assert_refused("exchange-seee", "/v1/prices", PRICE | now | {"price_fen_per_tonne": -5}, "invalid_request")
    # A hundredfold price is nobody's mark until a second person says so.
    before = world.snapshot(), world.get("exchange-seee", "/v1/marks/PHCER")
    proposed = world.post("exchange-seee", "/v1/prices", PRICE | now | {"price_fen_per_tonne": 300_000}, status=202)
    assert proposed.json()["outcome"] is None
    assert (world.snapshot(), world.get("exchange-seee", "/v1/marks/PHCER")) == before
    tomorrow = {"observed_at": (world.now + timedelta(days=1)).isoformat()}
    world.assert_refused("exchange-seee", "/v1/prices", PRICE | tomorrow, "price_implausible")
    yesterday = {"observed_at": (world.now - timedelta(days=1)).isoformat()}
    world.assert_refused("exchange-seee", "/v1/prices", PRICE | yesterday, "price_implausible")
    world.assert_refused("exchange-seee", "/v1/prices", PRICE | now | {"asset_class": "GOLD"}, "parameter_missing")


def test_overpayment_and_payment_without_money(sqlite_world):
    world = sqlite_world
    loan, _, _ = world.loan()
    path = f"/v1/loans/{loan['loan_id']}/repayments"
    world.assert_refused("dev-a", path, {"amount_fen": 500_001}, "overpayment_refused", status=409)
    world.admit("buyer-a", "buyer")
    world.post("dev-a", path, {"amount_fen": 500_000})
    world.assert_refused("dev-a", path, {"amount_fen": 1}, "invalid_state", status=409)


def test_idempotency(world):
    body = {"organisation_id": "bank-gusu", "amount_fen": 100, **TRANSFER}
    first = world.post("exchange-seee", "/v1/deposits", body, key="same")
    again = world.post("exchange-seee", "/v1/deposits", body, key="same", status=201)
    assert again.json() == first
    assert again.headers["idempotency-replayed"] == "true"
    assert world.balance("bank-gusu", "cash") == 100
    other = body | {"amount_fen": 101}
    world.assert_refused("exchange-seee", "/v1/deposits", other, "idempotency_key_reused", status=422, key="same")
    # A refused command leaves its key usable; keys of different organisations do not meet.
    broke = {"issuance_id": "none", "quantity_kg": 1, "beneficiary": "x", "purpose": "y"}
    world.assert_refused("bank-gusu", "/v1/retirements", broke, "not_found", key="later")
    world.admit("dev-z", "developer")
    headers = {"Authorization": f"Bearer {world.keys['bank-gusu']}"}
    answer = world.client.post("/v1/retirements", json=broke, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["code"] == "idempotency_key_missing"


def test_unknown_routes_methods_fields_and_certificates(sqlite_world):
    world = sqlite_world
    assert world.client.get("/v1/nothing").json()["code"] == "not_found"
    assert world.client.delete("/v1/loans").json()["code"] == "method_not_allowed"
    body = {"organisation_id": "bank-gusu", "amount_fen": 100, **TRANSFER, "currency": "USD"}
    problem = world.assert_refused("exchange-seee", "/v1/deposits", body, "invalid_request", status=422)
    assert problem["errors"][0]["field"] == "body.currency"
    assert world.client.get("/v1/certificates/SIP-RET-2026-00000001-00").json()["code"] == "serial_invalid"


def _inquiry(subject_id, consent_id):
    return {"subject_id": subject_id, "consent_id": consent_id, "purpose": "credit_application"}


def test_a_decision_needs_the_consent_to_stand(sqlite_world):
    """A score that was given under a consent withdrawn since supports no decision."""
    world = sqlite_world
    issuance, inquiry = world.borrower()
    world.price(3_000)
    body = {"bank_id": "bank-gusu", "issuance_id": issuance["issuance_id"], "quantity_kg": 400_000}
    pledge = world.post("dev-a", "/v1/pledges", body)
    application = {
        "borrower_id": "dev-a",
        "inquiry_id": inquiry["inquiry_id"],
        "amount_fen": 500_000,
        "tenor_days": 180,
        "pledge_ids": [pledge["pledge_id"]],
    }
    for consent in world.parts.network.consents_of(inquiry["subject_id"], "bank-gusu"):
        world.post("bank-gusu", f"/v1/consents/{consent.consent_id}/withdrawal")
    world.assert_refused("bank-gusu", "/v1/decisions", application, "consent_withdrawn", status=403)


def cursor_of(order):
    return base64.urlsafe_b64encode(json.dumps(order).encode()).decode()


def test_numbers_times_and_texts_at_the_edge(world):
    big = 2**63 - 1
    deposit = {"organisation_id": "bank-gusu", "amount_fen": big, **TRANSFER}
    world.post("exchange-seee", "/v1/deposits", deposit)
    another = deposit | {"reference": "s"}
    world.assert_refused("exchange-seee", "/v1/deposits", another, "quantity_out_of_range", status=422)
    for wrong in (10**30, 2**63, -(2**63), True, "1", 1.5):
        world.get("bank-gusu", f"/v1/entries?cursor={cursor_of([wrong])}", status=422)
    for wrong in ("2026-01-01T00:00:00", "0001-01-01T00:00:00+23:59", "x", 1, None):
        world.get("bank-gusu", f"/v1/loans?cursor={cursor_of([wrong, 'loan_1'])}", status=422)
    world.get("bank-gusu", f"/v1/projects?cursor={cursor_of([chr(0)])}", status=422)
    for moment in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1989-12-31T00:00:00Z"):
        price = PRICE | {"observed_at": moment}
        world.assert_refused("exchange-seee", "/v1/prices", price, "invalid_request", status=422)
    text = deposit | {"amount_fen": 1, "reference": "a\x00b"}
    world.assert_refused("exchange-seee", "/v1/deposits", text, "invalid_request", status=422)


def test_readings_of_days_to_come(sqlite_world):
    world = sqlite_world
    world.admit("dev-a", "developer")
    world.project("dev-a")
    ahead = world.readings_body(1, first=world.now)
    world.assert_refused("grid-sip", "/v1/meters/M-PV1/readings", ahead, "reading_rejected", status=422)
