"""People outside a sandbox: `tanxin init`, an invitation, a password and a one-time code, sessions, help back in."""

import shutil
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from argon2 import extract_parameters
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from credit_api.app.main import create_app
from credit_api.app.settings import Limits, Settings
from credit_api.app.wiring import assemble
from credit_api.audit.store import AuditStore
from credit_api.cli.main import app
from credit_api.http.auth import passwords
from credit_api.http.auth.keys import authenticate, issue
from credit_api.http.auth.principal import digest

PASSWORD = "correct horse battery"


class Service:
    """A service that is no sandbox, and the people who came in: their authenticators' secrets by login."""

    def __init__(self, client, parts, invitation):
        self.client, self.parts, self.invitation = client, parts, invitation
        self.now = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
        self.secrets, self.number = {}, 0
        parts.clock = lambda: self.now

    def code(self, login):
        """A code that was not used: half a minute later."""
        self.now += timedelta(seconds=30)
        return pyotp.TOTP(self.secrets[login]).at(self.now)

    def join(self, code, who, **changes):
        seen = self.client.post("/v1/invitations/opening", json={"invitation": code})
        assert seen.status_code == 200, seen.text
        self.secrets[who] = seen.json()["totp_secret"]
        body = {"invitation": code, "name": f"Name {who}", "login": who, "password": PASSWORD}
        body["enrolment"] = seen.json()["enrolment"]
        return self.client.post("/v1/invitations/acceptance", json=body | {"totp": self.code(who)} | changes)

    def sign_in(self, login, **changes):
        body = {"login": login, "password": PASSWORD, "totp": self.code(login)} | changes
        return self.client.post("/v1/sessions", json=body)

    def call(self, method, token, path, body=None):
        self.number += 1
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"k{self.number}"}
        return self.client.request(method, path, json=body, headers=headers)

    def person(self, token, roles, login):
        """Somebody invited by who holds the token, signed in: the token."""
        invited = self.call("POST", token, "/v1/invitations", {"roles": roles}).json()["invitation_id"]
        code = self.call("GET", token, f"/v1/invitations/{invited}/code").json()["invitation"]
        assert self.join(code, login).status_code == 201
        return self.sign_in(login).json()["access_token"]


def initiate(home):
    return CliRunner().invoke(
        app, ["init", "exchange-x", "--name-zh", "交易所", "--name-en", "Exchange", "--home", str(home)]
    )


@pytest.fixture(scope="module")
def initiated(tmp_path_factory):
    """A home as `tanxin init` leaves it, made once, and the code of its invitation."""
    home = tmp_path_factory.mktemp("initiated") / "home"
    made = initiate(home)
    assert made.exit_code == 0, made.output
    return home, made.stdout.strip().partition("invitation=")[2]


@pytest.fixture
def service(tmp_path, initiated):
    home, invitation = initiated
    shutil.copytree(home, tmp_path / "home")
    limits = Limits(wrong_keys_per_address="1000/minute", wrong_passwords_per_login="4/minute")
    parts = assemble(Settings(home=tmp_path / "home", limits=limits))
    with TestClient(create_app(parts), raise_server_exceptions=False) as client:
        yield Service(client, parts, invitation)


@pytest.fixture
def first(service):
    """The first administrator's token."""
    assert service.join(service.invitation, "zhang").status_code == 201
    return service.sign_in("zhang").json()["access_token"]


def test_the_trail_has_how_people_came_and_who_tried(service, first):
    """The home's beginning, each look at an invitation, and wrong words for a login that somebody has."""
    assert service.sign_in("zhang", password="not this password").status_code == 401
    assert service.sign_in("zhang", totp="000000").status_code == 401
    service.secrets["nobody"] = service.secrets["zhang"]
    assert service.sign_in("nobody").status_code == 401
    # A refusal is answered before it is written.
    service.parts.writer.execute(lambda unit: None)
    with service.parts.reading() as connection:
        trail = [(e.action, e.outcome, e.organisation_id, e.credential) for e in AuditStore(connection).walk()]
        (zhang,) = {e.person for e in AuditStore(connection).walk() if e.action == "sign_in"}
    assert zhang.startswith("per_")
    assert trail == [
        ("init", "committed", "exchange-x", "shell"),
        ("open_invitation", "read", "exchange-x", "invitation"),
        ("accept_invitation", "committed", "exchange-x", "invitation"),
        ("sign_in", "committed", "exchange-x", "session"),
        ("sign_in", "refused", "exchange-x", "password"),
        ("sign_in", "refused", "exchange-x", "password"),
    ]


def test_a_home_is_initiated_once_and_holds_nothing_of_a_sandbox(initiated):
    home, _ = initiated
    again = initiate(home)
    assert (again.exit_code, "invalid_state" in again.stderr) == (2, True)
    assert not (home / "network").exists()
    assert not list(home.glob("sandbox-*"))


def test_a_login_that_nobody_has_costs_what_one_that_somebody_has_costs(real_passwords):
    """RFC 9106's second choice, or more: 64 MiB, three passes."""
    hashed = passwords.hash_password(PASSWORD)
    assert extract_parameters(passwords.NOBODY) == extract_parameters(hashed)
    assert extract_parameters(hashed).memory_cost >= 65_536
    assert extract_parameters(hashed).time_cost >= 3
    assert passwords.is_password(hashed, PASSWORD)
    assert not passwords.is_password(hashed, PASSWORD + "x")


def test_from_an_empty_home_to_a_bank_with_people(service, first):
    admitted = {"organisation_id": "bank-x", "kind": "bank", "name_zh": "银行", "name_en": "Bank"}
    invited = service.call("POST", first, "/v1/organisations", admitted).json()["invitation_id"]
    code = service.call("GET", first, f"/v1/invitations/{invited}/code").json()["invitation"]
    entered = service.join(code, "lili")
    assert (entered.status_code, entered.json()["api_key"]) == (201, None)
    answer = service.sign_in("lili").json()
    assert (answer["organisation_id"], answer["expires_in"]) == ("bank-x", 600)
    bank = answer["access_token"]
    assert [each["name"] for each in service.call("GET", bank, "/v1/people").json()] == ["Name lili"]
    # Of the other organisation nothing is seen, and no key is given outside a sandbox.
    assert service.call("POST", bank, "/v1/keys", {"label": "x"}).status_code == 403
    assert len(service.call("GET", bank, "/v1/sessions").json()) == 1
    service.now += timedelta(minutes=10)
    assert service.call("GET", bank, "/v1/people").status_code == 401


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"totp": "000000"}, 401),
        ({"password": "short"}, 422),
        ({"password": None}, 422),
        ({"login": None, "totp": None}, 422),
        ({"enrolment": "forged"}, 401),
        ({"login": "Not A Login"}, 422),
        ({"invitation": "tinv_nothing"}, 401),
    ],
)
def test_a_wrong_acceptance_lets_nobody_in_and_leaves_the_invitation(service, changes, status):
    refused = service.join(service.invitation, "zhang", **changes)
    assert refused.status_code == status, refused.text
    assert PASSWORD not in refused.text
    assert service.join(service.invitation, "zhang").status_code == 201


def test_whatever_is_wrong_at_sign_in_is_told_in_the_same_words(service, first):
    answers = [
        service.sign_in("zhang", password="wrong horse battery"),
        service.sign_in("zhang", totp="123456"),
        service.client.post("/v1/sessions", json={"login": "nobody", "password": PASSWORD, "totp": "123456"}),
    ]
    assert {each.status_code for each in answers} == {401}
    assert len({each.json()["detail"] for each in answers}) == 1
    assert PASSWORD not in "".join(each.text for each in answers)


def test_a_one_time_code_works_once(service, first):
    code = service.code("zhang")
    body = {"login": "zhang", "password": PASSWORD, "totp": code}
    assert [service.client.post("/v1/sessions", json=body).status_code for _ in range(2)] == [201, 401]


def test_guessing_a_password_is_slowed_for_that_login_only(service, first):
    other = service.person(first, ["viewer"], "wang")
    assert other
    codes = [service.sign_in("zhang", password=f"wrong password {n}").status_code for n in range(6)]
    assert codes == [401] * 4 + [429] * 2
    # The right one is not looked at either until the window is over, or guessing would go on behind it.
    assert service.sign_in("zhang").status_code == 429
    assert service.sign_in("wang").status_code == 201


def test_sessions_are_seen_and_ended_by_their_owner_or_an_administrator(service, first):
    wang, li = service.person(first, ["maker"], "wang"), service.person(first, ["viewer"], "lili")
    assert len(service.call("GET", first, "/v1/sessions").json()) == 3
    (own,) = service.call("GET", wang, "/v1/sessions").json()
    (others,) = service.call("GET", li, "/v1/sessions").json()
    assert service.call("POST", wang, f"/v1/sessions/{others['session_id']}/end").status_code == 404
    assert service.call("POST", wang, f"/v1/sessions/{own['session_id']}/end").json()["ended_at"]
    assert service.call("GET", wang, "/v1/people").status_code == 401
    assert service.call("POST", first, f"/v1/sessions/{others['session_id']}/end").status_code == 200
    assert service.call("GET", li, "/v1/people").status_code == 401


def test_who_lost_the_phone_is_let_back_in_by_an_administrator(service, first):
    wang = service.person(first, ["viewer"], "wang")
    person = next(e["person_id"] for e in service.call("GET", first, "/v1/people").json() if e["name"] == "Name wang")
    assert service.call("POST", wang, f"/v1/people/{person}/recovery").status_code == 403
    invited = service.call("POST", first, f"/v1/people/{person}/recovery").json()["invitation_id"]
    code = service.call("GET", first, f"/v1/invitations/{invited}/code").json()["invitation"]
    # Until it is used, all is as it was; then the old code is worth nothing and the old sessions have ended.
    assert service.call("GET", wang, "/v1/people").status_code == 200
    old = service.secrets["wang"]
    parts, at = service.parts, service.now
    key = parts.writer.execute(lambda unit: issue(unit.connection, person, "lost too", at))
    assert service.join(code, "wang").json()["person_id"] == person
    assert service.call("GET", wang, "/v1/people").status_code == 401
    with parts.reading() as connection:
        assert authenticate(connection, digest(key), service.now) is None
    new, service.secrets["wang"] = service.secrets["wang"], old
    assert service.sign_in("wang").status_code == 401
    service.secrets["wang"] = new
    assert service.sign_in("wang").status_code == 201


def test_an_administrator_is_made_or_helped_by_two(service, first):
    wang = service.person(first, ["checker"], "wang")
    zhang = service.call("GET", first, "/v1/people").json()[0]["person_id"]
    for path, body in (("/v1/invitations", {"roles": ["administrator"]}), (f"/v1/people/{zhang}/recovery", None)):
        waiting = service.call("POST", first, path, body)
        assert (waiting.status_code, waiting.json()["outcome"]) == (202, None)
        confirmation = f"/v1/proposals/{waiting.json()['proposal_id']}/confirmation"
        assert service.call("POST", first, confirmation).json()["code"] == "not_permitted"
        before = len(service.call("GET", first, "/v1/invitations").json())
        assert service.call("POST", wang, confirmation).json()["outcome"] == "confirmed"
        assert len(service.call("GET", first, "/v1/invitations").json()) == before + 1
        assert service.call("POST", wang, confirmation).json()["code"] == "invalid_state"


def test_nobody_makes_a_second_person_of_its_own_or_becomes_a_checker(service, first):
    """Alone, an administrator made a checker, joined as it and confirmed; or took a checker over by recovery."""
    wang = service.person(first, ["checker"], "wang")
    for role in ("checker", "maker"):
        assert service.call("POST", first, "/v1/invitations", {"roles": [role]}).status_code == 202
    person = next(e["person_id"] for e in service.call("GET", wang, "/v1/people").json() if e["name"] == "Name wang")
    assert service.call("POST", first, f"/v1/people/{person}/recovery").status_code == 202


def test_what_a_person_left_behind_ends_with_it(service, first):
    wang = service.person(first, ["maker"], "wang")
    invited = service.call("POST", first, "/v1/invitations", {"roles": ["viewer"]}).json()["invitation_id"]
    code = service.call("GET", first, f"/v1/invitations/{invited}/code").json()["invitation"]
    person = next(e["person_id"] for e in service.call("GET", wang, "/v1/people").json() if e["name"] == "Name wang")
    service.call("POST", first, f"/v1/people/{person}/departure")
    assert service.client.post("/v1/invitations/opening", json={"invitation": code}).status_code == 401


def test_a_cookie_is_no_token_and_a_token_no_cookie(service, first):
    page = service.client.get("/sign-in").text
    token = page.split('name="csrf" value="')[1].split('"')[0]
    form = {"csrf": token, "login": "zhang", "password": PASSWORD, "totp": service.code("zhang")}
    assert service.client.post("/session", data=form, follow_redirects=False).status_code == 303
    cookie = service.client.cookies["tanxin_session"]
    service.client.cookies.clear()
    assert service.call("GET", cookie, "/v1/people").status_code == 401
    headers = {"Cookie": f"tanxin_session={first}"}
    assert service.client.get("/console/people", headers=headers).status_code == 401


def test_who_opened_an_invitation_before_does_not_know_its_authenticator(service):
    """The organisation that invites could read the secret, and so make codes for the invited person for good."""
    first, second = (
        service.client.post("/v1/invitations/opening", json={"invitation": service.invitation}).json() for _ in range(2)
    )
    assert first["totp_secret"] != second["totp_secret"]
    service.secrets["zhang"] = first["totp_secret"]
    body = {"invitation": service.invitation, "name": "x", "login": "zhang", "password": PASSWORD}
    wrong = body | {"totp": service.code("zhang"), "enrolment": second["enrolment"]}
    assert service.client.post("/v1/invitations/acceptance", json=wrong).status_code == 401
    service.secrets["zhang"] = second["totp_secret"]
    right = body | {"totp": service.code("zhang"), "enrolment": second["enrolment"]}
    assert service.client.post("/v1/invitations/acceptance", json=right).status_code == 201
