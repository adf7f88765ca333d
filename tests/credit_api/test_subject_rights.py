"""What a firm may know and do about itself, and nobody else about it."""

import sqlite3
from datetime import timedelta

from federated.consent.document import as_document
from federated.consent.record import ConsentRecord, DataScope, Purpose
from federated.nodes.budget import QueryBudget


def scored_firm(world):
    world.admit("dev-a", "developer", subject_id := next(iter(world.get("bank-gusu", "/v1/customers")))["subject_id"])
    consent = next(c for c in world.get("bank-gusu", "/v1/consents?limit=500") if c["subject_id"] == subject_id)
    body = {"subject_id": subject_id, "consent_id": consent["consent_id"], "purpose": "loan_review"}
    return subject_id, consent, body


def test_a_firm_sees_who_asked_for_what_and_what_was_answered(world):
    _, consent, body = scored_firm(world)
    assert world.get("dev-a", "/v1/subject/inquiries") == []
    answer = world.post("bank-gusu", "/v1/scores", body)
    world.assert_refused("bank-jinji", "/v1/scores", body, "consent_missing")
    found = {each["bank_id"]: each for each in world.get("dev-a", "/v1/subject/inquiries")}
    assert found["bank-gusu"]["score"] == answer["score"]
    assert found["bank-gusu"]["reasons"] == answer["reasons"]
    assert found["bank-gusu"]["purpose"] == "loan_review"
    assert (found["bank-jinji"]["outcome"], found["bank-jinji"]["refusal"]) == ("refused", "consent_missing")
    assert found["bank-jinji"]["score"] is None
    (own,) = world.get("dev-a", "/v1/subject/consents")
    assert own["consent_id"] == consent["consent_id"]


def test_a_firm_withdraws_its_own_consent_and_the_next_score_is_refused(world):
    _, consent, body = scored_firm(world)
    path = f"/v1/subject/consents/{consent['consent_id']}/withdrawal"
    withdrawn = world.post("dev-a", path, key="once")
    assert withdrawn["withdrawn_at"] is not None
    assert world.post("dev-a", path, key="once") == withdrawn
    world.assert_refused("bank-gusu", "/v1/scores", body, "consent_withdrawn", status=403)


def test_nobody_reads_or_withdraws_for_another(sqlite_world):
    world = sqlite_world
    _, consent, _ = scored_firm(world)
    world.admit("buyer-a", "buyer")
    for who in ("buyer-a", "bank-gusu", "grid-sip"):
        assert world.get(who, "/v1/subject/inquiries", status=403).json()["code"] == "forbidden"
    other = world.get("bank-gusu", "/v1/customers?limit=2")[1]["subject_id"]
    world.admit("dev-b", "developer", other)
    path = f"/v1/subject/consents/{consent['consent_id']}/withdrawal"
    world.assert_refused("dev-b", path, None, "consent_missing")
    assert [each["consent_id"] for each in world.get("dev-b", "/v1/subject/consents")] != [consent["consent_id"]]


def test_one_banks_broken_node_does_not_hold_a_withdrawal_up(sqlite_world):
    world = sqlite_world
    _, consent, body = scored_firm(world)
    world.parts.network.bank_node("bank-taihu").store.close()
    world.assert_refused("dev-a", "/v1/subject/consents/con_unknown/withdrawal", None, "node_unavailable", status=503)
    world.post("dev-a", f"/v1/subject/consents/{consent['consent_id']}/withdrawal")
    world.assert_refused("bank-gusu", "/v1/scores", body, "consent_withdrawn", status=403)
    assert world.get("dev-a", "/v1/subject/consents", status=503).json()["code"] == "node_unavailable"


def paged_uses(world, path):
    """The log page by page, as each answer leads on."""
    uses = []
    while path:
        answer = world.get("dev-a", path, status=200)
        uses += answer.json()["uses"]
        path = answer.links.get("next", {}).get("url")
    return uses


def test_a_firm_reads_what_every_node_did_with_its_data(sqlite_world):
    world = sqlite_world
    _, _, body = scored_firm(world)
    world.post("bank-gusu", "/v1/scores", body)
    world.assert_refused("bank-jinji", "/v1/scores", body, "consent_missing")
    answer = world.get("dev-a", "/v1/subject/uses")
    assert answer["cannot_tell"] == []
    told = {(use["held_by"], use["action"], use["on_behalf_of"], use["outcome"]) for use in answer["uses"]}
    assert ("bank-gusu", "score", "bank-gusu", "answered") in told
    assert ("bank-jinji", "score", "bank-jinji", "consent_missing") in told
    assert ("bank-gusu", "training", "bank-gusu", "answered") in told
    assert {use["at"] for use in answer["uses"]} == {
        use["at"] for use in world.get("dev-a", "/v1/subject/uses")["uses"]
    }
    assert all(use["consent_id"] for use in answer["uses"])
    assert paged_uses(world, "/v1/subject/uses?limit=2") == answer["uses"]
    world.admit("buyer-a", "buyer")
    assert world.get("buyer-a", "/v1/subject/uses", status=403).json()["code"] == "forbidden"
    world.parts.network.grid_node("grid-sip").store.close()
    assert world.get("dev-a", "/v1/subject/uses")["cannot_tell"] == ["grid-sip"]


def test_a_withdrawal_may_carry_the_subjects_signature(sqlite_world):
    world = sqlite_world
    _, consent, body = scored_firm(world)
    path = f"/v1/subject/consents/{consent['consent_id']}/withdrawal"
    record = world.parts.network.consent(consent["consent_id"], "bank-gusu")
    world.assert_refused("dev-a", path, {"signature": "ab" * 64}, "consent_signature_invalid", status=403)
    world.post("bank-gusu", "/v1/scores", body)
    signature = world.wallet.sign_withdrawal(record).hex()
    withdrawn = world.post("dev-a", path, {"signature": signature})
    assert withdrawn["withdrawn_by"] == "subject"
    newest = world.get("dev-a", "/v1/subject/uses")["uses"][0]
    assert (newest["action"], newest["outcome"]) == ("withdrawal", signature)
    world.assert_refused("bank-gusu", "/v1/scores", body, "consent_withdrawn", status=403)


def test_a_bank_records_what_was_signed_towards_it_and_nothing_else(sqlite_world):
    world = sqlite_world
    subject = next(iter(world.get("bank-gusu", "/v1/customers")))["subject_id"]
    signed = world.signed("bank-gusu", subject)
    changes = (
        {"purposes": ["model_training"]},
        {"scope": ["bank_file"], "grid_id": None},
        {"grid_id": "grid-gaoxin" if signed["grid_id"] == "grid-sip" else "grid-sip"},
        {"valid_until": "2036-01-01T00:00:00Z"},
        {"consent_id": "con_other"},
        {"subject_id": "FIRM-99999"},
        {"signature": "0" * 128},
        {"key": signed["key"] | {"public_key": "0" * 64}},
        {"key": signed["key"] | {"valid_until": "2060-01-01T00:00:00Z"}},
    )
    for change in changes:
        world.assert_refused("bank-gusu", "/v1/consents", signed | change, "consent_signature_invalid", status=403)
    world.assert_refused("bank-jinji", "/v1/consents", signed, "not_permitted", status=403)
    own = {**signed, "bank_id": "bank-jinji"}
    world.assert_refused("bank-jinji", "/v1/consents", own, "consent_signature_invalid", status=403)
    unsigned = {name: value for name, value in signed.items() if name not in {"signature", "key"}}
    world.assert_refused("bank-gusu", "/v1/consents", unsigned, "invalid_request", status=422)
    for grid_id in ("grid-nobody", None):
        draft = ConsentRecord(
            "con_x", subject, "bank-gusu", set(Purpose), set(DataScope), world.now, world.now + timedelta(days=9),
            grid_id=grid_id or "",
        )  # fmt: skip
        problem = world.assert_refused(
            "bank-gusu", "/v1/consents", as_document(world.wallet.sign(draft)), "invalid_consent", status=422
        )
        assert problem["context"]["field"] == "grid_id"
    recorded = world.post("bank-gusu", "/v1/consents", signed)
    assert (recorded["signature"], recorded["grid_id"]) == (signed["signature"], signed["grid_id"])
    assert world.post("bank-gusu", "/v1/consents", signed) == recorded


def test_a_spent_query_budget_is_a_429_that_says_from_when_on(sqlite_world):
    world = sqlite_world
    for each in world.parts.network.grid_ids:
        world.parts.network.grid_node(each).set_budget(QueryBudget(timedelta(days=30), 1, 1_000, 0.0))
    customers = [each["subject_id"] for each in world.get("bank-gusu", "/v1/customers?limit=9")]
    answers = [world.score("bank-gusu", subject) for subject in customers]
    joint = next(answer for answer in answers if answer["basis"] == "joint")
    consent = world.consent("bank-gusu", joint["subject_id"])["consent_id"]
    body = {"subject_id": joint["subject_id"], "consent_id": consent, "purpose": "credit_application"}
    problem = world.assert_refused("bank-gusu", "/v1/scores", body, "query_budget_spent", status=429)
    assert problem["context"]["retry_at"] == (world.now + timedelta(days=30)).isoformat()
    world.now += timedelta(days=30)
    assert world.post("bank-gusu", "/v1/scores", body)["score"] == joint["score"]


def test_a_home_of_an_earlier_version_is_a_coded_refusal(sqlite_world):
    world = sqlite_world
    store = world.parts.settings.network_home / "nodes" / "grid-sip.db"
    with sqlite3.connect(store) as db:
        db.execute("UPDATE meta SET value = '1' WHERE key = 'format'")
    db.close()
    assert world.get("bank-gusu", "/v1/customers", status=503).json()["code"] == "store_outdated"
