"""A firm is a customer of banks when the customer's own key says so, and never because a registry wrote it down."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from identity import authority_of, served

from credit_api.identity.authority import IdentityAuthority, proof_bytes


@pytest.fixture
def firms(sqlite_world):
    """Two firms, and the id of a customer whose key neither registry nor second firm has."""
    sqlite_world.admit("dev-a", "developer")
    sqlite_world.admit("dev-b", "developer")
    return sqlite_world, sqlite_world.get("bank-gusu", "/v1/customers?limit=2")[1]["subject_id"]


def proof(world, firm, subject, **changes):
    asked = world.get(firm, f"/v1/subject/challenge?subject_id={subject}")
    return world.wallet.binding(subject, firm, asked["challenge"]) | changes


def test_a_registry_cannot_say_who_a_firm_is(firms):
    """A firm admitted under a stranger's id read the stranger's score and withdrew the stranger's consent."""
    world, subject = firms
    consent = world.consent("bank-gusu", subject)["consent_id"]
    body = {"organisation_id": "dev-c", "kind": "developer", "name_zh": "c", "name_en": "c"}
    world.assert_refused("registry-sip", "/v1/organisations", body | {"subject_id": subject}, "invalid_request")
    world.get("dev-a", "/v1/subject/inquiries", status=403)
    world.assert_refused("dev-a", f"/v1/subject/consents/{consent}/withdrawal", None, "forbidden", status=403)
    assert world.get("bank-gusu", f"/v1/consents/{consent}")["withdrawn_at"] is None


def test_whoever_lacks_the_key_binds_nothing(firms):
    world, subject = firms
    other = world.get("bank-gusu", "/v1/customers?limit=1")[0]["subject_id"]
    good = proof(world, "dev-a", subject)
    forged = [
        good | {"signature": "00" * 64},
        good | {"subject_id": other},
        # Its own attested key, under the stranger's id.
        proof(world, "dev-a", other) | {"subject_id": subject, "challenge": good["challenge"]},
        good | {"key": good["key"] | {"public_key": "11" * 32}},
        good | {"key": good["key"] | {"signature": "00" * 64}},
    ]
    for each in forged:
        headers = world.bearer("dev-a") | {"Idempotency-Key": each["signature"][:9] + each["subject_id"]}
        refused = world.client.post("/v1/subject/binding", json=each, headers=headers)
        assert refused.json()["code"] in {"consent_signature_invalid", "signature_invalid", "idempotency_key_reused"}
    world.get("dev-a", "/v1/subject/inquiries", status=403)
    # A proof that was made for one firm is none for another, and none after an hour.
    refused = world.post("dev-b", "/v1/subject/binding", good, status=422).json()
    assert refused["code"] == "signature_invalid"
    world.now += timedelta(hours=1)
    assert world.post("dev-a", "/v1/subject/binding", good, status=422).json()["code"] == "signature_invalid"


def test_a_proof_binds_once_and_for_good(firms):
    world, subject = firms
    assert world.bind("dev-a", subject) == {"organisation_id": "dev-a", "subject_id": subject}
    world.get("dev-a", "/v1/subject/inquiries")
    other = world.get("bank-gusu", "/v1/customers?limit=1")[0]["subject_id"]
    for firm, who in (("dev-a", other), ("dev-b", subject)):
        world.assert_refused(firm, "/v1/subject/binding", proof(world, firm, who), "already_exists", status=409)
    world.assert_refused("bank-gusu", "/v1/subject/binding", proof(world, "dev-b", subject), "not_permitted")


@pytest.mark.parametrize("change", ["subject_id = 'x'", "subject_id = NULL", "subject_proved_at = NULL"])
def test_the_schema_keeps_a_binding(firms, change):
    from sqlalchemy import text
    from sqlalchemy.exc import IntegrityError

    world, subject = firms
    world.bind("dev-a", subject)
    statement = text(f"UPDATE organisation SET {change} WHERE id = 'dev-a'")
    with pytest.raises(IntegrityError):
        world.parts.writer.execute(lambda unit: unit.connection.execute(statement))


def test_an_id_that_was_written_down_before_is_worth_nothing_until_it_is_proved(firms):
    """As migration 0012 finds it: the claim stands in the column, and nothing proves it."""
    from sqlalchemy import text

    world, subject = firms
    claim = text("UPDATE organisation SET subject_id = :subject WHERE id = 'dev-b'")
    world.parts.writer.execute(lambda unit: unit.connection.execute(claim, {"subject": subject}))
    world.get("dev-b", "/v1/subject/inquiries", status=403)
    # The claim keeps nobody out who proves it.
    assert world.bind("dev-a", subject)["subject_id"] == subject
    world.get("dev-b", "/v1/subject/inquiries", status=403)
    world.get("dev-a", "/v1/subject/inquiries")


def test_a_key_that_its_authority_ended_binds_nothing(firms, tmp_path):
    world, subject = firms
    key = Ed25519PrivateKey.from_private_bytes(world.wallet._secret(subject))
    public, now = key.public_key().public_bytes_raw(), world.parts.clock
    home = authority_of(tmp_path / "authority", world.wallet.authority_secret)
    with served(home, now) as url:
        world.parts.settings = world.parts.settings.model_copy(update={"identity_url": url})
        authority = IdentityAuthority(home, now)
        code = authority.enrol(subject, "licence 91320594MA1")
        authority.attest(subject, code, public, key.sign(proof_bytes(subject, public, code)))
        authority.end(public, "key_compromise", "clerk Wang")
        authority.close()
        given = proof(world, "dev-a", subject)
        world.assert_refused("dev-a", "/v1/subject/binding", given, "consent_signature_invalid")
    # The authority is away, and what it said last does not hold any more.
    world.parts._listed = None
    world.assert_refused("dev-a", "/v1/subject/binding", given, "node_unavailable", status=503)
    world.parts.settings = world.parts.settings.model_copy(update={"identity_url": ""})
    world.post("dev-a", "/v1/subject/binding", given)
