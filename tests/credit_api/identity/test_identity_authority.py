"""Whom an identity authority attests a key to, who ends one, and what it publishes."""

import json
import os
import socket
import stat
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from identity import served
from typer.testing import CliRunner

from credit_api.cli.identity import _tls, identity_app
from credit_api.cli.subject import subject_app
from credit_api.identity.authority import (
    BOOK,
    CODE_LIFE,
    KEY,
    LIST_AGE,
    MOST_KEYS,
    IdentityAuthority,
    end_bytes,
    proof_bytes,
)
from credit_api.identity.published_list import PublishedList
from credit_api.identity.service import MOST_BYTES
from federated.channel.authority import NetworkAuthority
from federated.channel.certificates import Party
from federated.channel.node_keys import NodeKeys
from federated.consent.revocations import LIFE, Revocations
from federated.consent.signature import key_bytes
from federated.errors import (
    ConsentSignatureInvalid,
    CorruptData,
    DataMissing,
    HomeOccupied,
    NodeUnavailable,
    NotPermitted,
)

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
WORD = "correct horse battery"
FIRM = "FIRM-00042"


class Clock:
    def __init__(self):
        self.at = NOW

    def __call__(self):
        return self.at


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def home(tmp_path):
    IdentityAuthority.create(tmp_path / "authority")
    return tmp_path / "authority"


@pytest.fixture
def authority(home, clock):
    found = IdentityAuthority(home, clock)
    yield found
    found.close()


class Subject:
    """Somebody with a key of his own."""

    def __init__(self, name=FIRM):
        self.name, self.key = name, Ed25519PrivateKey.generate()
        self.public = self.key.public_key().public_bytes_raw()

    def asked(self, code):
        return self.name, code, self.public, self.key.sign(proof_bytes(self.name, self.public, code))


def test_a_key_is_attested_by_a_code_and_the_key_itself(authority):
    subject = Subject()
    code = authority.enrol(FIRM, "licence 91320594MA1")
    made = authority.attest(*subject.asked(code))
    assert (made.subject_id, made.public_key) == (FIRM, subject.public)
    assert made.valid_from <= NOW < made.valid_until <= NOW + timedelta(days=365)
    Ed25519PublicKey.from_public_bytes(authority.public_key).verify(made.signature, key_bytes(made))
    # The answer may have been lost on its way.
    assert authority.attest(*subject.asked(code)) == made


def test_nobody_else_has_a_key_attested(authority, clock):
    subject, thief = Subject(), Subject()
    code = authority.enrol(FIRM, "licence 91320594MA1")
    with pytest.raises(NotPermitted, match="not given to this subject"):
        authority.attest(*subject.asked("0" * 32))
    with pytest.raises(NotPermitted, match="not given to this subject"):
        authority.attest(*Subject("FIRM-00043").asked(code))
    name, _, public, proof = subject.asked(code)
    for forged in (
        (name, code, thief.public, proof),
        (name, code, public, bytes(64)),
        (name, code, public, subject.key.sign(proof_bytes("FIRM-00043", public, code))),
        (name, code, public, subject.key.sign(proof_bytes(name, public, "1" * 32))),
    ):
        with pytest.raises(ConsentSignatureInvalid):
            authority.attest(*forged)
    # Under the neutral point everybody has signed everything.
    with pytest.raises(NotPermitted, match="small order"):
        authority.attest(FIRM, code, (1).to_bytes(32, "little"), bytes(64))
    clock.at = NOW + CODE_LIFE
    with pytest.raises(NotPermitted, match="is over"):
        authority.attest(*subject.asked(code))
    clock.at -= timedelta(microseconds=1)
    authority.attest(*subject.asked(code))
    with pytest.raises(NotPermitted, match="was used"):
        authority.attest(*thief.asked(code))
    assert [key.public_key for key in authority.keys_of(FIRM)] == [subject.public.hex()]


def test_a_key_is_one_subjects_and_never_attested_again_once_it_was_ended(authority):
    subject = Subject()
    code = authority.enrol(FIRM, "licence 91320594MA1")
    authority.attest(*subject.asked(code))
    other = Subject("FIRM-00043")
    other.key, other.public = subject.key, subject.public
    with pytest.raises(NotPermitted, match="attested before"):
        authority.attest(*other.asked(authority.enrol(other.name, "passport")))
    authority.end(subject.public, "key_compromise", "clerk Wang")
    for each in (code, authority.enrol(FIRM, "licence again")):
        with pytest.raises(NotPermitted):
            authority.attest(*subject.asked(each))


def test_a_subject_has_a_few_keys_at_a_time(authority, clock):
    def another():
        return authority.attest(*Subject().asked(authority.enrol(FIRM, "licence")))

    keys = [another() for _ in range(MOST_KEYS)]
    with pytest.raises(NotPermitted, match="end one of them"):
        another()
    authority.end(keys[0].public_key, "superseded", "clerk Wang")
    another()
    clock.at = keys[1].valid_until
    assert another().valid_until > clock.at


def test_a_key_is_ended_by_itself_or_a_clerk_once_and_for_good(authority, clock):
    subject, thief = Subject(), Subject()
    authority.attest(*subject.asked(authority.enrol(FIRM, "licence")))
    with pytest.raises(ConsentSignatureInvalid):
        authority.end_own(subject.public, thief.key.sign(end_bytes(subject.public)), "key_lost")
    with pytest.raises(DataMissing, match="never attested"):
        authority.end_own(thief.public, thief.key.sign(end_bytes(thief.public)), "key_lost")
    with pytest.raises(NotPermitted, match="is ended for one of"):
        authority.end(subject.public, "no reason", "clerk Wang")
    ended = authority.end_own(subject.public, subject.key.sign(end_bytes(subject.public)), "key_lost")
    clock.at += timedelta(days=1)
    again = authority.end(subject.public, "key_compromise", "clerk Wang")
    assert again == ended
    assert (again.ended_at, again.ended_by, again.reason) == (NOW, "the key's holder", "key_lost")


def test_lists_are_numbered_and_signed_anew_when_something_ends_or_a_day_has_passed(authority, home, clock):
    subject = Subject()
    authority.attest(*subject.asked(authority.enrol(FIRM, "licence")))

    def listed(of=authority):
        return Revocations.read(of.revocations(), of.public_key)

    assert [(each.number, len(each.keys)) for each in (listed(), listed())] == [(1, 0), (1, 0)]
    authority.end(subject.public, "key_lost", "clerk Wang")
    found = listed()
    assert (found.number, found.ends(subject.public), found.next_at) == (2, True, NOW + LIFE)
    clock.at += LIST_AGE
    assert (listed().number, listed().issued_at) == (3, clock.at)
    # Numbers go on where another process had them.
    other = IdentityAuthority(home, clock)
    assert listed(other).number == 3
    other.close()


def test_a_home_is_its_owners_alone_and_has_one_key(home, tmp_path):
    IdentityAuthority(home).close()
    assert {stat.S_IMODE((home / name).stat().st_mode) for name in (KEY, BOOK)} == {0o600}
    with pytest.raises(HomeOccupied):
        IdentityAuthority.create(home)
    with pytest.raises(DataMissing, match="tanxin identity init"):
        IdentityAuthority(tmp_path)


def test_a_key_is_sealed_where_a_passphrase_is_set_and_opened_by_that_one_alone(home, tmp_path, monkeypatch):
    monkeypatch.setenv("TANXIN_NODE_PASSPHRASE", "correct horse battery staple")
    public = IdentityAuthority.create(tmp_path / "sealed")
    assert b"ENCRYPTED" in (tmp_path / "sealed" / KEY).read_bytes()
    assert IdentityAuthority(tmp_path / "sealed").public_key == public
    IdentityAuthority(home).close()
    for word in ("", "another"):
        monkeypatch.setenv("TANXIN_NODE_PASSPHRASE", word)
        with pytest.raises(CorruptData, match="TANXIN_NODE_PASSPHRASE"):
            IdentityAuthority(tmp_path / "sealed")
    with pytest.raises(CorruptData, match="32 bytes"):
        IdentityAuthority.create(tmp_path / "short", b"short")


def run(app, *words):
    done = CliRunner().invoke(app, [str(word) for word in words], env={"TANXIN_SIGNING_PASSPHRASE": WORD})
    return done.exit_code, done.stdout, done.stderr


def test_a_subject_and_a_clerk_at_their_terminals(home, tmp_path):
    file, attestation = tmp_path / "subject.pem", tmp_path / "attestation.json"
    with served(home) as url:
        identified = ("--subject", FIRM, "--evidence", "licence 91320594MA1")
        code = run(identity_app, "enrol", "--home", home, *identified)[1].strip()
        public = run(subject_app, "key", "--key", file)[1].strip()
        asked = ("--key", file, "--subject", FIRM, "--code", code, "--identity", url, "--out", attestation)
        assert run(subject_app, "attest", *asked)[0] == 0
        signing = ("--key", file, "--attestation", attestation, "--bank", "bank-gusu")
        consent = json.loads(run(subject_app, "consent", *signing, "--grid", "grid-sip")[1])
        assert (consent["subject_id"], consent["key"]["public_key"]) == (FIRM, public)
        assert (consent["grid_id"], consent["scope"]) == ("grid-sip", ["bank_file", "electricity"])
        withdrawal = json.loads(run(subject_app, "withdraw", *signing, "--id", consent["consent_id"])[1])
        assert len(withdrawal["signature"]) == 128
        (known,) = json.loads(run(identity_app, "keys", "--home", home, "--subject", FIRM)[1])
        assert (known["public_key"], known["ended_at"]) == (public, None)
        code, told, _ = run(identity_app, "end", "--home", home, "--key", public, "--by", "clerk Wang")
        assert (code, "ended at" in told) == (0, True)
        assert Revocations.read(
            httpx.get(f"{url}/v1/revocations").content,
            bytes.fromhex(httpx.get(f"{url}/v1/authority").json()["public_key"]),
        ).ends(bytes.fromhex(public))
        # A key of somebody else is not signed with, nor is one ended that was never attested.
        run(subject_app, "key", "--key", tmp_path / "other.pem")
        code, _, said = run(subject_app, "consent", "--key", tmp_path / "other.pem", *signing[2:])
        assert (code, "the attestation is of another key" in said) == (2, True)
        code, _, said = run(subject_app, "end", "--key", tmp_path / "other.pem", "--identity", url)
        assert (code, "never attested" in said) == (2, True)
    code, _, said = run(subject_app, "end", "--key", file, "--identity", url)
    assert (code, "does not answer" in said) == (2, True)


def test_what_is_sent_is_bounded_and_not_repeated(home):
    with served(home) as url:
        wrong = httpx.post(f"{url}/v1/attestations", json={"subject_id": FIRM, "code": "a-code-of-somebody", "more": 1})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "bad_request")
        assert "a-code-of-somebody" not in wrong.text
        long = httpx.post(f"{url}/v1/attestations", content=b"x" * (MOST_BYTES + 1))
        assert (long.status_code, long.json()["code"]) == (413, "body_too_large")
        subject = Subject()
        name, code, public, proof = subject.asked("0" * 32)
        asked = {"subject_id": name, "code": code, "public_key": public.hex(), "proof": proof.hex()}
        refused = httpx.post(f"{url}/v1/attestations", json=asked)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")
        assert {"/v1/attestations", "/v1/revocations"} <= set(httpx.get(f"{url}/openapi.json").json()["paths"])
        assert httpx.get(f"{url}/healthz").json() == {"ok": True}
        # What clerks do is not reached from outside.
        assert [httpx.post(f"{url}{path}", json={}).status_code for path in ("/enrol", "/end", "/keys")] == [404] * 3


def test_strangers_are_served_over_tls_alone(home, tmp_path):
    code, _, said = run(identity_app, "serve", "--home", home, "--host", "0.0.0.0")
    assert (code, "in clear" in said) == (2, True)
    code, _, said = run(identity_app, "serve", "--home", home, "--certificate", tmp_path / "none.pem")
    assert (code, "belong together" in said) == (2, True)
    at = datetime.now(UTC)
    network = NetworkAuthority.create(tmp_path / "ca", "Suzhou", WORD, at)
    keys = NodeKeys.create(home, Party("authority", "identity"), ["127.0.0.1"])
    made = network.certify((keys.folder / "request.pem").read_bytes(), WORD, at)
    keys.install(made.public_bytes(serialization.Encoding.PEM), network.trust_pem, network.revoked_pem, at)
    context = _tls(home, "0.0.0.0", None, None)
    with served(home, context=context) as url:
        public = IdentityAuthority(home).public_key
        roots = keys.folder / "trust.pem"
        found = PublishedList(url, public, lambda: datetime.now(UTC), roots).current()
        assert (found.number, found.keys) == (1, frozenset())
        with pytest.raises(NodeUnavailable, match="certificate verify failed"):
            PublishedList(url, public, lambda: datetime.now(UTC)).current()


def test_a_list_is_believed_as_long_as_it_holds_and_no_other_ones(home, clock, tmp_path):
    other = IdentityAuthority.create(tmp_path / "another")
    with served(home, clock) as url:
        public = IdentityAuthority(home).public_key
        listed = PublishedList(url + "/", public, clock)
        assert listed.current().number == 1
        with pytest.raises(ConsentSignatureInvalid):
            PublishedList(url, other, clock).current()
    # The authority is away: what it said last holds for a week, and nothing after that.
    listed._asked -= 100
    clock.at = NOW + LIFE - timedelta(seconds=1)
    assert listed.current().number == 1
    clock.at = NOW + LIFE
    with pytest.raises(ConsentSignatureInvalid, match="is over since"):
        listed.current()
    with pytest.raises(NodeUnavailable):
        PublishedList(url, public, clock).current()


def test_a_socket_in_its_home_is_its_clerks(home):
    with served(home):
        assert stat.S_IMODE(os.stat(home / "node.sock").st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as own:
            own.connect(str(home / "node.sock"))
