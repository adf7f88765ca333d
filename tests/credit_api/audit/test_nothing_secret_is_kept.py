"""Canaries: no key, cookie, signature, password or name gets into the trail, a log or the answer to a refusal."""

import logging
import re
import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import httpx
import pyotp
import pytest
import uvicorn

from credit_api.audit.store import audit_t
from credit_api.http.auth.sessions import COOKIE
from credit_api.http.connections import guarded

HTML = {"Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Site": "same-origin"}
NAME, LABEL, REMARK, PASSWORD = (
    "王小canary明",
    "Zhang-canary-San",
    "canary remark of a person",
    "txk_canary_password_0123",
)


@contextmanager
def served(world):
    """The application behind uvicorn as the service runs it, its log at its most talkative."""
    config = uvicorn.Config(
        world.client.app,
        port=0,
        log_level="trace",
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        http=guarded(world.parts.settings.limits),
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


class Canaries:
    """Everything that must not be seen, and what was seen of answers that refuse."""

    def __init__(self, world, client):
        self.world, self.client, self.secrets, self.refusals = world, client, {NAME, LABEL, REMARK, PASSWORD}, []

    def keep(self, answer):
        if answer.status_code >= 400:
            self.refusals.append(answer.text)
        return answer

    def post(self, who, path, body=None, key="k"):
        headers = {"Authorization": f"Bearer {self.world.keys[who]}", "Idempotency-Key": f"canary {path} {key}"}
        self.secrets.add(self.world.keys[who])
        return self.keep(self.client.post(path, json=body, headers=headers))

    def get(self, path, key):
        self.secrets.add(key)
        return self.keep(self.client.get(path, headers={"Authorization": f"Bearer {key}"}))


@pytest.fixture
def canaries(sqlite_world, caplog):
    caplog.set_level(logging.DEBUG)
    sqlite_world.admit("dev-a", "developer")
    with served(sqlite_world) as client:
        yield Canaries(sqlite_world, client)


def test_nothing_secret_is_kept(canaries, caplog, capfd, monkeypatch):
    w, c = canaries.world, canaries
    commands(c)
    consents(c)
    strangers(c)
    console(c)
    failure(c, monkeypatch)
    w.parts.audit.tick(w.now)
    with w.parts.reading() as connection:
        kept = "\n".join(str(tuple(row)) for row in connection.execute(audit_t.select()))
    printed = "".join(capfd.readouterr())
    # What the client in this process logs of its own requests is the client's.
    records = [each for each in caplog.records if not each.name.startswith(("httpx", "httpcore"))]
    logged = "\n".join(caplog.handler.format(each) for each in records)
    assert "uvicorn" in {each.name.partition(".")[0] for each in records}
    assert kept.count("\n") > 20
    assert len(c.refusals) > 15
    assert "request_failed" in printed
    for secret in c.secrets:
        assert len(secret) >= 9
        assert secret not in kept
        assert secret not in logged
        assert secret not in printed
        assert not [each for each in c.refusals if secret in each]


def commands(c):
    """Names and remarks put through commands that are done, and through ones that are refused."""
    admitted = {"organisation_id": "dev-b", "kind": "developer", "name_zh": "b", "name_en": "b"}
    answer = c.post("registry-sip", "/v1/organisations", admitted)
    assert answer.status_code == 201
    # Everyone may read who takes part; a name that was refused is nobody's to read.
    admitted |= {"name_zh": NAME, "name_en": LABEL}
    assert c.post("registry-sip", "/v1/organisations", admitted, key="again").status_code == 409
    c.post("registry-sip", "/v1/organisations", admitted | {"kind": "canary", "name_en": ""}, key="bad")
    people(c, answer.json()["invitation_id"])
    issuance = c.world.credits("dev-a")["issuance_id"]
    retired = {"issuance_id": issuance, "quantity_kg": 1_000, "beneficiary": NAME, "purpose": REMARK}
    c.post("dev-a", "/v1/retirements", retired)
    c.post("dev-a", "/v1/retirements", retired | {"quantity_kg": 10**12}, key="much")
    c.post("dev-a", "/v1/retirements", retired | {"quantity_kg": NAME}, key="form")
    c.post("bank-gusu", "/v1/retirements", retired, key="whose")
    c.post("registry-chengdu", "/v1/freezes", {"issuance_id": issuance, "reason": REMARK})
    c.post("grid-sip", "/v1/freezes", {"issuance_id": issuance, "reason": REMARK, "whose": LABEL})
    c.keep(c.client.post("/v1/retirements", content=NAME.encode(), headers=bearer(c, "dev-a")))
    c.keep(c.client.post("/v1/retirements", json=retired, headers=bearer(c, "dev-a")))


def people(c, invitation_id):
    """An invitation, an authenticator, a password and a name: refused, accepted, signed in with."""
    w = c.world
    code = w.get("registry-sip", f"/v1/invitations/{invitation_id}/code")["invitation"]
    seen = c.client.post("/v1/invitations/opening", json={"invitation": code}).json()
    totp = seen["totp_secret"]
    shown = pyotp.TOTP(totp).at(w.now)
    c.secrets |= {code, totp, PASSWORD}
    chosen = {"invitation": code, "name": NAME, "login": "canary", "password": PASSWORD, "totp": shown}
    chosen["enrolment"] = seen["enrolment"]
    for wrong in ({"totp": "000000"}, {"password": None}, {"totp": NAME}, {"login": NAME}, {"invitation": PASSWORD}):
        assert c.keep(c.client.post("/v1/invitations/acceptance", json=chosen | wrong)).status_code in (401, 422)
    assert c.keep(c.client.post("/v1/invitations/acceptance", json=chosen)).status_code == 201
    w.now += timedelta(minutes=1)
    entering = {"login": "canary", "password": PASSWORD, "totp": pyotp.TOTP(totp).at(w.now)}
    assert c.keep(c.client.post("/v1/sessions", json=entering | {"password": LABEL})).status_code == 401
    signed_in = c.client.post("/v1/sessions", json=entering)
    assert signed_in.status_code == 201
    c.secrets.add(signed_in.json()["access_token"])
    made = c.client.post("/v1/keys", json={"label": LABEL}, headers=bearer(c, "dev-a"))
    c.secrets.add(made.json()["api_key"])
    c.keep(c.client.post("/oauth/token", data={"grant_type": "client_credentials", "client_assertion": PASSWORD}))


def bearer(c, who):
    return {"Authorization": f"Bearer {c.world.keys[who]}", "Content-Type": "application/json"}


def consents(c):
    """A consent with its signatures: recorded, refused at another bank, altered, and withdrawn under a false one."""
    subject = c.world.get("bank-gusu", "/v1/customers?limit=1")[0]["subject_id"]
    signed = c.world.signed("bank-gusu", subject)
    c.secrets |= {text for text in every_text(signed) if re.fullmatch(r"[0-9a-f]{64,}", text)}
    assert len(c.secrets) > 8
    assert c.post("bank-gusu", "/v1/consents", signed).status_code == 201
    c.post("bank-jinji", "/v1/consents", signed)
    c.post("bank-gusu", "/v1/consents", signed | {"valid_until": "2031-01-01T00:00:00Z"}, key="altered")
    c.post("bank-gusu", "/v1/consents", signed | {"purposes": [NAME]}, key="form")
    false = "ab" * 64
    c.secrets.add(false)
    c.post("bank-gusu", f"/v1/consents/{signed['consent_id']}/withdrawal", {"signature": false})
    asked = {"subject_id": subject, "consent_id": signed["consent_id"], "purpose": "credit_application"}
    c.post("bank-gusu", "/v1/scores", asked)
    c.post("bank-jinji", "/v1/scores", asked)


def every_text(value):
    if isinstance(value, dict):
        return [text for each in value.values() for text in every_text(each)]
    if isinstance(value, list | tuple):
        return [text for each in value for text in every_text(each)]
    return [value] if isinstance(value, str) else []


def strangers(c):
    """Keys that nobody has: in the header, in the wrong scheme, in the place of the cookie."""
    for path in ("/v1/loans", "/v1/customers", "/v1/nothing"):
        c.get(path, PASSWORD)
    c.keep(c.client.get("/v1/loans", headers={"Authorization": f"Basic {PASSWORD}"}))
    c.keep(c.client.get("/console/desk", headers=HTML | {"Cookie": f"{COOKIE}={PASSWORD}"}))
    c.keep(c.client.post("/v1/loans", json={"name": NAME}, headers={"Authorization": f"Bearer {PASSWORD}"}))


def console(c):
    """Signing in with a false key and with a true one; forms that are refused under a live cookie."""
    page = c.client.get("/sign-in", headers=HTML).text
    token = re.search(r'name="csrf" value="([^"]*)"', page).group(1)
    false = {"csrf": token, "form": "sign-in", "api_key": PASSWORD}
    assert c.keep(c.client.post("/session", data=false, headers=HTML)).status_code == 401
    true = false | {"api_key": c.world.keys["dev-a"]}
    assert c.keep(c.client.post("/session", data=true, headers=HTML)).status_code == 303
    c.secrets |= {c.world.keys["dev-a"], c.client.cookies[COOKIE]}
    c.keep(c.client.post("/console/register", data={"csrf": PASSWORD, "name": NAME}, headers=HTML))
    c.keep(c.client.get("/console/desk", headers=HTML))
    c.keep(c.client.get("/console/loans/none", headers=HTML))


def failure(c, monkeypatch):
    """A failure with a key among the locals of its frames."""

    def broken(self, connection, sha256, *more):
        key = c.world.keys["bank-gusu"]
        raise RuntimeError(f"broken {len(key)}")

    monkeypatch.setattr("credit_api.http.auth.known_keys.KnownKeys.require_live", broken)
    assert c.get("/v1/customers", c.world.keys["bank-gusu"]).status_code == 500
    assert c.post("bank-gusu", "/v1/revaluations", key="broken").status_code == 500
