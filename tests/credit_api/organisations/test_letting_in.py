"""Who lets whom in: nobody mints access for another organisation, keys end, and a session ends with its key."""

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from world import World

from credit_api.app.main import create_app
from credit_api.app.settings import Settings
from credit_api.app.wiring import assemble

BODY = {"kind": "developer", "name_zh": "x", "name_en": "x"}


def test_a_registry_lets_nobody_into_an_organisation_that_has_people(sqlite_world):
    """One registry's key minted keys of a bank, of the exchange and of another registry, and so owned the system."""
    world = sqlite_world
    for target in ("bank-gusu", "exchange-seee", "registry-hailing"):
        assert world.client.post(f"/v1/organisations/{target}/keys", json={"label": "x"}).status_code == 401
        gone = world.post("registry-sip", f"/v1/organisations/{target}/keys", {"label": "x"}, status=404)
        assert "api_key" not in gone.text
        world.assert_refused(
            "registry-sip", f"/v1/organisations/{target}/invitation", None, "not_permitted", status=403
        )
    invited = world.post("registry-sip", "/v1/organisations", BODY | {"organisation_id": "dev-a"})["invitation_id"]
    code = world.get("registry-sip", f"/v1/invitations/{invited}/code")["invitation"]
    # Until somebody came in, who admitted the firm may invite anew, and only it; the code of before is worth nothing.
    world.assert_refused("registry-hailing", "/v1/organisations/dev-a/invitation", None, "not_permitted")
    again = world.post("registry-sip", "/v1/organisations/dev-a/invitation")["invitation_id"]
    answer = world.client.post("/v1/invitations/acceptance", json={"invitation": code, "name": "x"})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    world.keys["dev-a"] = world.entered("registry-sip", again)
    world.assert_refused("registry-sip", "/v1/organisations/dev-a/invitation", None, "invalid_state", status=409)
    assert world.get("registry-sip", f"/v1/invitations/{again}/code", status=409).json()["code"] == "invalid_state"


def test_only_an_exchange_admits_those_who_oversee_or_decide(sqlite_world):
    world = sqlite_world
    for kind in ("registry", "exchange", "regulator", "bank", "grid"):
        body = BODY | {"organisation_id": f"{kind}-x", "kind": kind}
        world.assert_refused("registry-sip", "/v1/organisations", body, "forbidden", status=403)
        assert world.post("exchange-seee", "/v1/organisations", body)["kind"] == kind
    world.assert_refused("bank-gusu", "/v1/organisations", BODY | {"organisation_id": "y"}, "not_permitted")


def test_an_invitation_works_once_and_for_72_hours(sqlite_world):
    world = sqlite_world
    invited = world.post("bank-gusu", "/v1/invitations", {"roles": ["viewer"]})["invitation_id"]
    code = {"invitation": world.get("bank-gusu", f"/v1/invitations/{invited}/code")["invitation"]}
    seen = world.client.post("/v1/invitations/opening", json=code).json()
    assert (seen["organisation_id"], seen["roles"]) == ("bank-gusu", ["viewer"])
    assert world.get("bank-jinji", f"/v1/invitations/{invited}/code", status=404)
    assert world.client.post("/v1/invitations/acceptance", json=code | {"name": "a"}).status_code == 201
    for path, more in (("opening", {}), ("acceptance", {"name": "b"})):
        assert world.client.post(f"/v1/invitations/{path}", json=code | more).status_code == 401
    late = world.post("bank-gusu", "/v1/invitations", {"roles": ["viewer"]})["invitation_id"]
    code = {"invitation": world.get("bank-gusu", f"/v1/invitations/{late}/code")["invitation"]}
    world.now += timedelta(hours=72)
    assert world.client.post("/v1/invitations/opening", json=code).status_code == 401


def test_no_secret_of_an_invitation_is_stored(sqlite_world):
    world = sqlite_world
    invited = world.post("bank-gusu", "/v1/invitations", {"roles": ["viewer"]})["invitation_id"]
    code = world.get("bank-gusu", f"/v1/invitations/{invited}/code")["invitation"]
    totp = world.client.post("/v1/invitations/opening", json={"invitation": code}).json()["totp_secret"]
    with world.parts.reading() as connection:
        stored = "\n".join(connection.connection.driver_connection.iterdump())
    assert invited in stored
    assert code not in stored
    assert totp not in stored


def test_keys_are_listed_end_and_are_revoked_with_their_sessions(sqlite_world):
    """Keys never expired and could not be listed or revoked; a console session outlived the key that opened it."""
    world = sqlite_world
    made = world.post("bank-gusu", "/v1/keys", {"label": "robot"})["api_key"]
    assert made.startswith("txk_test_")
    world.keys["robot"] = made
    browser = TestClient(world.client.app)
    token = browser.get("/sign-in").text.split('name="csrf" value="')[1].split('"')[0]
    answer = browser.post("/session", data={"csrf": token, "api_key": made}, follow_redirects=False)
    assert answer.status_code == 303
    assert browser.get("/console/people", follow_redirects=False).status_code == 200
    listed = {each["label"]: each for each in world.get("bank-gusu", "/v1/keys")}
    assert (listed["robot"]["person_id"], listed["robot"]["revoked_at"]) == ("bank-gusu:officer", None)
    assert world.get("bank-jinji", "/v1/keys")[0]["organisation_id"] == "bank-jinji"
    world.assert_refused("bank-jinji", f"/v1/keys/{listed['robot']['key_id']}/revocation", None, "not_found")
    world.get("robot", "/v1/balances")
    world.post("bank-gusu", f"/v1/keys/{listed['robot']['key_id']}/revocation")
    world.get("robot", "/v1/balances", status=401)
    world.assert_refused("robot", "/v1/business-days", {}, "unauthenticated", status=401)
    shown = browser.get("/console/people", headers={"Accept": "text/html"}, follow_redirects=False)
    assert shown.headers["location"].startswith("/sign-in")
    # Others go on, and end by themselves after ninety days.
    world.get("bank-gusu", "/v1/balances")
    world.now += timedelta(days=90)
    late = world.client.get("/v1/balances", headers={"Authorization": f"Bearer {world.keys['bank-jinji']}"})
    assert late.status_code == 401


def test_who_leaves_is_out_at_once_and_the_last_administrator_stays(sqlite_world):
    world = sqlite_world
    second = world.second("bank-gusu")
    people = {each["name"]: each for each in world.get("bank-gusu", "/v1/people")}
    world.assert_refused("bank-jinji", f"/v1/people/{people['second']['person_id']}/departure", None, "not_found")
    world.post("bank-gusu", f"/v1/people/{people['second']['person_id']}/departure")
    world.get(second, "/v1/balances", status=401)
    own = people["officer"]["person_id"]
    world.assert_refused("bank-gusu", f"/v1/people/{own}/departure", None, "invalid_state", status=409)


@pytest.mark.parametrize("roles", [["viewer"], ["auditor"], ["checker"], ["administrator"]])
def test_least_right(sqlite_world, roles):
    """Who only looks, audits, checks or administers issues no command of a maker."""
    world = sqlite_world
    invited = world.post("exchange-seee", "/v1/invitations", {"roles": roles})
    if "proposal_id" in invited:
        world.confirm("exchange-seee", invited)
        (invited,) = [e for e in world.get("exchange-seee", "/v1/invitations") if e["used_at"] is None]
    world.keys["who"] = world.entered("exchange-seee", invited["invitation_id"])
    deposit = {"organisation_id": "bank-gusu", "amount_fen": 1, "payer_bank": "999305000001", "reference": "r"}
    world.assert_refused("who", "/v1/deposits", deposit, "not_permitted", status=403)
    world.get("who", "/v1/balances")
    if roles != ["administrator"]:
        world.assert_refused("who", "/v1/invitations", {"roles": ["viewer"]}, "not_permitted", status=403)
        assert world.get("who", f"/v1/invitations/{invited['invitation_id']}/code", status=403)


def test_a_regulator_reads_with_anybodys_eyes_and_only_reads(sqlite_world):
    world = sqlite_world
    world.admit("regulator-a", "regulator", by="exchange-seee")
    loan, _, _ = world.loan()
    head = world.bearer("regulator-a") | {"Tanxin-Read-As": "bank-gusu"}
    seen = world.client.get("/v1/loans", headers=head)
    assert [each["loan_id"] for each in seen.json()] == [loan["loan_id"]]
    assert world.get("regulator-a", "/v1/loans") == []
    for path in ("/v1/customers", "/v1/inquiries", "/v1/models", "/v1/business-days", "/v1/balances"):
        assert world.client.get(path, headers=head).status_code == 200, path
    repay = world.client.post(
        f"/v1/loans/{loan['loan_id']}/repayments",
        json={"amount_fen": 1},
        headers=world.bearer("regulator-a") | {"Tanxin-Read-As": "dev-a", "Idempotency-Key": "k"},
    )
    assert (repay.status_code, repay.json()["code"]) == (403, "not_permitted")
    for path in ("/v1/keys", "/v1/sessions/x/end"):
        assert world.client.post(path, json={"label": "x"}, headers=head).json()["code"] == "forbidden"
    other = world.client.get("/v1/loans", headers=world.bearer("bank-jinji") | {"Tanxin-Read-As": "bank-gusu"})
    assert (other.status_code, other.json()["code"]) == (403, "forbidden")


def test_a_regulator_freezes_in_any_region_and_nobody_else_lifts_it(sqlite_world):
    world = sqlite_world
    world.admit("regulator-a", "regulator", by="exchange-seee")
    world.admit("dev-a", "developer")
    issuance = world.credits("dev-a")
    frozen = world.post("regulator-a", "/v1/freezes", {"issuance_id": issuance["issuance_id"], "reason": "a look"})
    sale = {"issuance_id": issuance["issuance_id"], "quantity_kg": 1_000, "beneficiary": "x", "purpose": "y"}
    world.assert_refused("dev-a", "/v1/retirements", sale, "credits_frozen", status=409)
    world.assert_refused("registry-sip", f"/v1/freezes/{frozen['freeze_id']}/lifting", None, "not_permitted")
    world.post("regulator-a", f"/v1/freezes/{frozen['freeze_id']}/lifting")
    world.post("dev-a", "/v1/retirements", sale)
    project = world.get("dev-a", "/v1/projects")[0]["project_id"]
    world.post("regulator-a", f"/v1/projects/{project}/suspension", {"reason": "a look"})
    world.post("regulator-a", f"/v1/projects/{project}/resumption", {})


def test_outside_a_sandbox_a_key_is_refused_in_words_that_say_why(tmp_path, founded_world):
    """A database of a sandbox, or of the time when keys were for everybody, served for real."""
    with World.copied(founded_world, tmp_path / "home") as world:
        key = world.keys["bank-gusu"]
    parts = assemble(Settings(home=tmp_path / "home"))
    with TestClient(create_app(parts)) as client:
        for shown in (key, "txk_live_" + "x" * 43, "txk_" + "y" * 43):
            answer = client.get("/v1/balances", headers={"Authorization": f"Bearer {shown}"})
            assert answer.status_code == 401
            assert "API keys open sandboxes only" in answer.json()["detail"]
        token = client.get("/sign-in").text.split('name="csrf" value="')[1].split('"')[0]
        for form in ({"api_key": key}, {"organisation_id": "bank-gusu"}):
            assert client.post("/session", data={"csrf": token} | form).status_code in (401, 403)
