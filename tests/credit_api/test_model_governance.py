"""Models over the API: who may decide, what scores then, and what happens when nobody decides."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from world import START, Founded, World

from federated.governance.model_registry import ModelRegistry
from federated.governance.versions import Governance

NOTE = {"note": "looked at"}
APPROVE, REJECT = NOTE | {"decision": "approve"}, NOTE | {"decision": "reject"}
CHAMPION, CHALLENGER, NOBODY = {"role": "champion"}, {"role": "challenger"}, {"role": "none"}


@pytest.fixture(scope="module")
def governed(tmp_path_factory, trained_network):
    folder = tmp_path_factory.mktemp("governed")
    home = folder / "network"
    shutil.copytree(trained_network, home)
    registry = ModelRegistry(home)
    governance, weights = Governance(home, registry), registry.load("credit", "v0001")
    first = registry.manifest("credit", "v0001")
    fewer = tuple(each for each in first.participants if each != "bank-taihu")
    for version, changes in (
        ("v0003", {"registered_by": "bank-gusu"}),
        ("v0004", {"participants": fewer}),
    ):
        governance.register(registry.publish(replace(first, version=version, **changes), weights), START)
    with World.open(folder / "home", "", home) as opened:
        return Founded(folder / "home", opened.keys)


@pytest.fixture
def world(tmp_path, governed):
    """A service with a champion v0001 and, registered only: v0002, v0003 by bank-gusu, v0004 without bank-taihu."""
    with World.copied(governed, tmp_path / "home") as opened:
        yield opened


def version(world, name, who="bank-gusu"):
    return world.get(who, f"/v1/models/{name}")


def scored(world, count=1):
    customers = world.get("bank-gusu", f"/v1/customers?limit={count}")
    return [world.score("bank-gusu", each["subject_id"]) for each in customers]


def approve(world, name):
    """Every bank that took part in the version says yes; what the last of them was answered."""
    banks = [each for each in version(world, name)["participants"] if each.startswith("bank-")]
    return [world.post(bank, f"/v1/models/{name}/approval", APPROVE) for bank in banks][-1]


def in_use(world, name, role=CHAMPION):
    approve(world, name)
    for bank in ("bank-gusu", "bank-jinji") if role is CHAMPION else ("bank-gusu",):
        event = world.post(bank, f"/v1/models/{name}/appointment", role)
    assert event["kind"] == "appointed"


def test_versions_are_read_by_those_whom_they_concern(world):
    for who in ("bank-taihu", "grid-sip", "registry-sip"):
        found = world.get(who, "/v1/models")
        assert [(each["version"], each["status"], each["role"]) for each in found] == [
            ("v0001", "approved", "champion"),
            ("v0002", "registered", None),
            ("v0003", "registered", None),
            ("v0004", "registered", None),
        ]
    first = version(world, "v0001")
    assert first == found[0]
    assert [each["kind"] for each in first["history"]] == [
        "registered",
        "endorsed",
        "endorsed",
        "approved",
        "nominated",
        "appointed",
    ]
    assert first["registered_by"] != first["approved_by"]
    for path in ("", "/monitoring", "/drift", "/v0001", "/v0001/card", "/v0001/fairness"):
        assert world.get("verifier-cqc", f"/v1/models{path}", status=403).json()["code"] == "forbidden"
    for path in ("/v0009", "/v0009/card", "/v0009/fairness"):
        assert world.get("bank-gusu", f"/v1/models{path}", status=404).json()["code"] == "version_not_found"


def test_a_version_scores_only_when_another_approved_and_appointed_it(world):
    world.assert_refused("bank-gusu", "/v1/models/v0002/appointment", CHAMPION, "version_not_approved", status=409)
    world.assert_refused("bank-gusu", "/v1/models/v0003/approval", APPROVE, "second_person_required", status=403)
    assert scored(world)[0]["model_version"] == "v0001"
    event = world.post("bank-jinji", "/v1/models/v0003/approval", APPROVE)
    assert (event["kind"], event["by"], event["note"]) == ("endorsed", "bank-jinji", "looked at")
    # One bank alone, however often it asks, neither approves nor appoints what scores the others' customers.
    world.assert_refused("bank-jinji", "/v1/models/v0003/approval", APPROVE, "second_person_required", status=403)
    world.assert_refused("bank-jinji", "/v1/models/v0003/appointment", CHAMPION, "version_not_approved", status=409)
    event = world.post("bank-taihu", "/v1/models/v0003/approval", APPROVE)
    assert (event["kind"], event["by"]) == ("approved", "bank-taihu")
    assert world.post("bank-gusu", "/v1/models/v0003/appointment", CHAMPION)["kind"] == "nominated"
    world.assert_refused("bank-gusu", "/v1/models/v0003/appointment", CHAMPION, "second_person_required", status=403)
    assert version(world, "v0003")["nominated_by"] == "bank-gusu"
    assert scored(world)[0]["model_version"] == "v0001"
    assert world.post("bank-taihu", "/v1/models/v0003/appointment", CHAMPION)["kind"] == "appointed"
    assert scored(world)[0]["model_version"] == "v0003"
    assert version(world, "v0003")["nominated_by"] is None
    assert [each["version"] for each in world.get("bank-gusu", "/v1/models") if each["champion"]] == ["v0003"]


def test_only_banks_that_took_part_decide(world):
    for who in ("grid-sip", "registry-sip"):
        world.assert_refused(who, "/v1/models/v0002/approval", APPROVE, "not_permitted", status=403)
        world.assert_refused(who, "/v1/models/rollback", NOTE, "not_permitted", status=403)
    world.assert_refused("bank-taihu", "/v1/models/v0004/approval", APPROVE, "not_permitted", status=403)
    in_use(world, "v0004")
    world.assert_refused("bank-taihu", "/v1/models/rollback", NOTE, "not_permitted", status=403)
    world.post("bank-gusu", "/v1/models/rollback", NOTE)


def test_a_bank_that_a_version_displaces_has_a_word_in_its_appointment(world):
    approve(world, "v0004")
    assert world.post("bank-taihu", "/v1/models/v0004/appointment", CHAMPION)["kind"] == "nominated"
    world.assert_refused("bank-taihu", "/v1/models/v0004/appointment", CHALLENGER, "not_permitted", status=403)
    assert world.post("bank-gusu", "/v1/models/v0004/appointment", CHAMPION)["kind"] == "appointed"
    # Once it is displaced, it has none.
    world.assert_refused("bank-taihu", "/v1/models/v0004/retirement", NOTE, "not_permitted", status=403)


def test_a_rollback_is_obeyed_once_a_key(world):
    world.assert_refused("bank-gusu", "/v1/models/rollback", NOTE, "nothing_to_roll_back", status=409)
    for name in ("v0002", "v0004"):
        in_use(world, name)
    first = world.post("bank-gusu", "/v1/models/rollback", NOTE, key="back")
    assert first["version"] == "v0002"
    assert world.post("bank-gusu", "/v1/models/rollback", NOTE, key="back") == first
    world.assert_refused("bank-gusu", "/v1/models/rollback", {"note": "x"}, "idempotency_key_reused", key="back")
    assert scored(world)[0]["model_version"] == "v0002"
    assert world.post("bank-taihu", "/v1/models/rollback", NOTE, key="back")["version"] == "v0001"


def test_the_same_key_sent_at_once_decides_once(world):
    for name in ("v0002", "v0004"):
        in_use(world, name)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: world.post("bank-gusu", "/v1/models/rollback", NOTE, key="k"), range(4)))
    assert {each["number"] for each in answers} == {answers[0]["number"]}
    assert version(world, "v0002")["champion"]


def test_an_expired_champion_scores_nothing_until_it_is_approved_anew(world):
    subject = world.get("bank-gusu", "/v1/customers?limit=1")[0]["subject_id"]
    world.now = START + timedelta(days=366)
    given = world.signed("bank-gusu", subject, scope=["bank_file"], until=world.now + timedelta(days=30))
    consent = world.post("bank-gusu", "/v1/consents", given)["consent_id"]
    asked = {"subject_id": subject, "consent_id": consent, "purpose": "credit_application"}
    world.assert_refused("bank-gusu", "/v1/scores", asked, "model_expired", status=503)
    assert version(world, "v0001")["status"] == "expired"
    assert world.get("bank-gusu", "/v1/models/monitoring")["champion"] == "v0001"
    approve(world, "v0001")
    assert world.post("bank-gusu", "/v1/scores", asked)["model_version"] == "v0001"


def test_a_challenger_scores_in_the_shadow_of_the_champion(world):
    in_use(world, "v0002", CHALLENGER)
    world.assert_refused("bank-gusu", "/v1/models/v0001/appointment", CHALLENGER, "model_in_use", status=409)
    answers = scored(world, 12)
    assert {each["model_version"] for each in answers} == {"v0001"}
    found = world.get("bank-gusu", "/v1/models/monitoring")
    assert (found["champion"], found["challenger"]) == ("v0001", "v0002")
    shadow = found["shadow"]
    assert (shadow["rows"], shadow["failed"]) == (12, 0)
    assert shadow["sd_difference"] > 0
    assert shadow["equal_decisions"] == pytest.approx(1 - (shadow["swap_in"] + shadow["swap_out"]) / 12)
    assert sum(each["rows"] for each in found["drift"]) == 12
    assert {each["verdict"] for each in found["drift"]} == {"too_few"}
    world.post("bank-gusu", "/v1/models/v0002/appointment", NOBODY)
    assert world.get("bank-gusu", "/v1/models/monitoring")["shadow"] is None
    world.assert_refused("bank-gusu", "/v1/models/v0002/appointment", NOBODY, "version_not_found", status=404)


def test_a_challenger_that_fails_does_not_touch_the_answer(world):
    before = scored(world, 3)
    in_use(world, "v0002", CHALLENGER)
    path = world.parts.settings.network_home / "registry" / "credit" / "v0002" / "weights.npz"
    path.write_bytes(b"not the weights that were approved")
    after = scored(world, 3)
    same = ("score", "probability", "reasons", "model_version", "basis")
    assert [[each[name] for name in same] for each in after] == [[each[name] for name in same] for each in before]
    shadow = world.get("bank-gusu", "/v1/models/monitoring")["shadow"]
    assert (shadow["rows"], shadow["failed"], shadow["mean_difference"]) == (0, 3, None)


def test_ends_are_final_and_the_champion_is_not_ended(world):
    world.assert_refused("bank-gusu", "/v1/models/v0001/retirement", NOTE, "model_in_use", status=409)
    world.assert_refused("bank-gusu", "/v1/models/v0001/approval", REJECT, "model_in_use", status=409)
    world.post("bank-gusu", "/v1/models/v0002/approval", REJECT)
    world.post("bank-gusu", "/v1/models/v0004/retirement", NOTE)
    for name, status in (("v0002", "rejected"), ("v0004", "retired")):
        assert version(world, name)["status"] == status
        world.assert_refused("bank-gusu", f"/v1/models/{name}/approval", APPROVE, "version_final", status=409)


def test_a_decision_says_why_and_what(world):
    for body in ({}, {"decision": "approve"}, NOTE | {"decision": "maybe"}, APPROVE | {"note": ""}, APPROVE | {"x": 1}):
        world.assert_refused("bank-gusu", "/v1/models/v0002/approval", body, "invalid_request", status=422)
    world.assert_refused("bank-gusu", "/v1/models/v0002/appointment", {"role": "king"}, "invalid_request", status=422)
    world.assert_refused("bank-gusu", "/v1/models/rollback", {}, "invalid_request", status=422)


def test_a_card_is_markdown_in_either_language(world):
    headers = {"Authorization": f"Bearer {world.keys['bank-gusu']}"}
    world.post("bank-gusu", "/v1/models/v0002/approval", APPROVE | {"note": "<b>bold</b> | claim"})
    for language, title in (("zh", "# 模型卡: credit v0002"), ("en", "# Model card: credit v0002")):
        answer = world.client.get(f"/v1/models/v0002/card?language={language}", headers=headers)
        assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
        assert answer.text.startswith(title)
        assert "\\<b\\>bold\\</b\\> \\| claim" in answer.text
    assert world.get("bank-gusu", "/v1/models/v0002/card?language=fr", status=422).json()["code"] == "invalid_request"


def test_fairness_has_a_row_for_each_group_of_the_manifest(world):
    rows = world.get("bank-gusu", "/v1/models/v0001/fairness")
    assert {(each["segment"], each["group"]) for each in rows}
    assert all(each["flagged"] is False or each["impact_ratio"] < 0.8 for each in rows)


def test_columns_of_todays_customers_stand_beside_the_training_rows(world):
    for who in ("bank-taihu", "grid-sip", "registry-sip"):
        found = world.get(who, "/v1/models/drift")
        assert (found["champion"], found["unavailable"]) == ("v0001", [])
    columns = found["columns"]
    held = world.parts.network.champion(world.now).columns
    assert {(each["role"], each["column"]) for each in columns} == {(r, c) for r in held for c in held[r]}
    assert [each["psi"] for each in columns] == sorted((each["psi"] for each in columns), reverse=True)
    assert {each["verdict"] for each in columns} == {"stable"}
    assert all(each["name_zh"] and each["name_en"] for each in columns)
    world.parts.network.grid_node("grid-sip").store.close()
    found = world.get("bank-gusu", "/v1/models/drift")
    assert found["unavailable"] == ["grid-sip"]
    assert "grid-sip" not in found["counted"]
