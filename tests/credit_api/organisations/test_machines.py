"""Machines: an assertion signed with a key of their own gets a short token, once, within their scopes."""

from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
AUDIENCE = "http://127.0.0.1:8000/oauth/token"


class Machine:
    """A bank's program, with the private half of its key."""

    def __init__(self, world, works=("scores",), key=None, days=90):
        self.world, self.key = world, key or ECKey.generate_key("P-256")
        self.number = 0
        body = {"label": "scoring robot", "works": list(works), "jwk": self.key.as_dict(private=False)}
        until = (world.now + timedelta(days=days)).isoformat()
        self.registered = world.post("bank-gusu", "/v1/machines", body | {"expires_at": until})
        self.id, self.kid = self.registered["machine_id"], self.registered["keys"][0]["kid"]

    def claims(self, **changes):
        self.number += 1
        at = int(self.world.now.timestamp())
        named = {"iss": self.id, "sub": self.id, "aud": AUDIENCE, "jti": f"assertion-{self.number}"}
        return {k: v for k, v in (named | {"iat": at, "exp": at + 60} | changes).items() if v is not None}

    def assertion(self, *, alg="ES256", kid=None, key=None, **changes):
        head = {"alg": alg, "kid": kid or self.kid}
        return jwt.encode(head, self.claims(**changes), key or self.key, algorithms=[alg])

    def ask(self, assertion=None, *, scope="", **form):
        asked = {"grant_type": "client_credentials", "client_assertion_type": TYPE, "scope": scope}
        given = {"client_assertion": assertion or self.assertion()}
        return self.world.client.post("/oauth/token", data=asked | given | form)

    def token(self, name="machine"):
        answer = self.ask()
        assert answer.status_code == 200, answer.text
        self.world.keys[name] = answer.json()["access_token"]
        return answer.json()


@pytest.fixture
def machine(sqlite_world):
    return Machine(sqlite_world)


def test_a_token_holds_for_ten_minutes_and_within_its_scopes(machine, sqlite_world):
    world = sqlite_world
    answer = machine.token()
    assert (answer["token_type"], answer["expires_in"], answer["scope"]) == ("Bearer", 600, "scores")
    subject = world.get("machine", "/v1/customers?limit=1")[0]["subject_id"]
    consent = world.post("machine", "/v1/consents", world.signed("bank-gusu", subject))
    asked = {"subject_id": subject, "consent_id": consent["consent_id"], "purpose": "credit_application"}
    assert world.post("machine", "/v1/scores", asked)["score"] >= 300
    world.assert_refused("machine", "/v1/business-days", {}, "not_permitted", status=403)
    for path in ("loans", "balances", "people", "models", "audit-events", "projects"):
        assert world.get("machine", f"/v1/{path}", status=403).json()["code"] == "forbidden"
    world.get("machine", "/v1/organisations")
    world.assert_refused("machine", "/v1/invitations", {"roles": ["viewer"]}, "not_permitted", status=403)
    world.now += timedelta(minutes=10)
    world.get("machine", "/v1/customers", status=401)


@pytest.mark.parametrize(
    ("make", "alg"),
    [(lambda: OKPKey.generate_key("Ed25519"), "Ed25519"), (lambda: RSAKey.generate_key(2048), "PS256")],
    ids=["Ed25519", "PS256"],
)
def test_other_keys_that_are_taken(sqlite_world, make, alg):
    machine = Machine(sqlite_world, key=make())
    assert machine.ask(machine.assertion(alg=alg)).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://elsewhere.example/oauth/token"},
        {"aud": None},
        {"iss": "mac_other"},
        {"exp": 1},
        {"exp": None},
        {"exp": 1 << 40},
        {"exp": "soon"},
        {"iat": 1 << 32},
        {"jti": None},
        {"jti": "x"},
        {"kid": "another"},
        {"key": ECKey.generate_key("P-256")},
    ],
    ids="-".join,
)
def test_an_assertion_that_is_not_as_it_should_be_gets_nothing(machine, changes):
    answer = machine.ask(machine.assertion(**changes))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client"), answer.text
    assert machine.ask().status_code == 200


def test_an_assertion_works_once_and_no_other_than_a_signed_one_does(machine):
    assertion = machine.assertion()
    assert [machine.ask(assertion).status_code for _ in range(2)] == [200, 400]
    head, body, _ = assertion.split(".")
    unsigned = "eyJhbGciOiJub25lIn0." + body + "."
    for forged in (unsigned, f"{head}.{body}.", f"{head}.{body}.AAAA", "x", "a.b.c", "", "." * 7000):
        assert machine.ask(forged or "-").status_code == 400, forged
    # A MAC with the public key as its secret, which a careless verifier would take.
    from joserfc.jwk import OctKey

    secret = OctKey.import_key(str(machine.key.as_dict(private=False)))
    mac = jwt.encode({"alg": "HS256", "kid": machine.kid}, machine.claims(), secret, algorithms=["HS256"])
    assert machine.ask(mac).status_code == 400


def test_what_else_the_endpoint_refuses(machine):
    assert machine.ask(scope="scores lending").json()["error"] == "invalid_scope"
    assert machine.ask(grant_type="password").json()["error"] == "unsupported_grant_type"
    assert machine.ask(client_assertion_type="x").json()["error"] == "invalid_request"
    assert machine.world.client.post("/oauth/token", content=b"x" * 20_000).status_code == 413


def test_keys_change_over_without_a_gap_and_a_revoked_one_ends_its_tokens(machine, sqlite_world):
    world = sqlite_world
    machine.token("old")
    new = ECKey.generate_key("P-256")
    until = (world.now + timedelta(days=30)).isoformat()
    path = f"/v1/machines/{machine.id}/keys"
    added = world.post("bank-gusu", path, {"jwk": new.as_dict(private=False), "expires_at": until})
    old_kid, machine.key, machine.kid = machine.kid, new, added["keys"][1]["kid"]
    machine.token("new")
    assert len(world.get("bank-gusu", f"/v1/machines/{machine.id}/jwks")["keys"]) == 2
    world.assert_refused("bank-jinji", f"{path}/{old_kid}/revocation", None, "not_found", status=404)
    world.post("bank-gusu", f"{path}/{old_kid}/revocation")
    world.get("old", "/v1/customers", status=401)
    world.assert_refused("old", "/v1/consents", {}, "unauthenticated", status=401)
    world.get("new", "/v1/customers")
    assert world.get("bank-gusu", "/v1/machines")[0]["keys"][1]["used_at"] is not None
    world.post("bank-gusu", f"/v1/machines/{machine.id}/revocation")
    world.get("new", "/v1/customers", status=401)
    assert machine.ask().status_code == 400


def test_a_key_ends_and_its_token_with_it(sqlite_world):
    machine = Machine(sqlite_world, days=1)
    sqlite_world.now += timedelta(days=1) - timedelta(minutes=5)
    machine.token()
    sqlite_world.now += timedelta(minutes=6)
    sqlite_world.get("machine", "/v1/customers", status=401)
    assert machine.ask().status_code == 400


@pytest.mark.filterwarnings("ignore:Key size should be")
def test_keys_that_are_not_taken(sqlite_world):
    world = sqlite_world
    good = ECKey.generate_key("P-256")
    body = {"label": "x", "works": ["scores"], "expires_at": (world.now + timedelta(days=9)).isoformat()}
    for jwk in (
        good.as_dict(private=True),
        {"kty": "oct", "k": "AAAA"},
        RSAKey.generate_key(1024).as_dict(private=False),
        ECKey.generate_key("P-521").as_dict(private=False),
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "??"},
        {},
    ):
        world.assert_refused("bank-gusu", "/v1/machines", body | {"jwk": jwk}, "invalid_state", status=409)
    public = {"jwk": good.as_dict(private=False)}
    for until in (world.now, world.now + timedelta(days=401)):
        late = body | public | {"expires_at": until.isoformat()}
        world.assert_refused("bank-gusu", "/v1/machines", late, "period_invalid")
    world.assert_refused("bank-gusu", "/v1/machines", body | public | {"works": ["everything"]}, "invalid_request")


def test_a_machine_makes_and_never_checks(sqlite_world):
    world = sqlite_world
    machine = Machine(world, works=("lending", "administration"))
    machine.token()
    proposal = {"roles": ["administrator"]}
    world.assert_refused("machine", "/v1/invitations", proposal, "not_permitted", status=403)
    waiting = world.post("bank-gusu", "/v1/invitations", proposal)
    path = f"/v1/proposals/{waiting['proposal_id']}/confirmation"
    world.assert_refused("machine", path, None, "not_permitted", status=403)


def test_the_metadata_say_where_and_how(sqlite_world):
    found = sqlite_world.client.get("/.well-known/oauth-authorization-server").json()
    assert found["token_endpoint"] == AUDIENCE
    assert found["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]


def test_nobody_is_two_through_a_machine(sqlite_world):
    """Its registrant confirmed what its machine had made, and was two persons in one."""
    world = sqlite_world
    world.price(3_000)
    key = ECKey.generate_key("P-256")
    until = (world.now + timedelta(days=9)).isoformat()
    body = {"label": "x", "works": ["operations"], "jwk": key.as_dict(private=False), "expires_at": until}
    made = world.post("exchange-seee", "/v1/machines", body)
    machine = Machine.__new__(Machine)
    machine.world, machine.key, machine.number = world, key, 0
    machine.id, machine.kid = made["machine_id"], made["keys"][0]["kid"]
    machine.token()
    price = {"asset_class": "PHCER", "observed_at": world.now.isoformat(), "source": "robot"}
    world.post("machine", "/v1/prices", price | {"price_fen_per_tonne": 3_100})
    jump = price | {"price_fen_per_tonne": 300_000}
    world.assert_refused("machine", "/v1/prices", jump, "not_permitted", status=403)


@pytest.mark.parametrize("changes", [{"aud": [{}]}, {"aud": {}}, {"sub": []}, {"sub": {"x": 1}}], ids=str)
def test_claims_of_a_strange_shape_are_refused(machine, changes):
    assert machine.ask(machine.assertion(**changes)).status_code == 400


def test_a_machine_ends_its_own_token_and_no_other(sqlite_world):
    world = sqlite_world
    machine = Machine(world, works=("administration",))
    machine.token()
    (own,) = world.get("machine", "/v1/sessions")
    machine.token("another")
    world.post("another", f"/v1/sessions/{own['session_id']}/end")
    world.get("machine", "/v1/sessions", status=401)
    other = Machine(world, works=("administration",))
    other.token("other")
    (mine,) = world.get("another", "/v1/sessions")
    world.post("other", f"/v1/sessions/{mine['session_id']}/end", status=404)
    world.get("another", "/v1/sessions")
