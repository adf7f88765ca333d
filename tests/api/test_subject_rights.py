"""What a firm may know and do about itself, and nobody else about it."""


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
