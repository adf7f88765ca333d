"""A new customer's whole way at nodes apart: identified, attested, consented, scored; and what an ended key ends."""

import json
import threading
import time

import httpx
import numpy as np
import pytest
from identity import authority_of, served
from nodes_apart import BANK, GRID, NOW, Running
from typer.testing import CliRunner

from credit_api.cli import subject as module
from credit_api.cli.customers import node_app
from credit_api.cli.identity import identity_app
from credit_api.cli.subject import subject_app
from federated.channel.own_socket import ask_own
from federated.consent.revocations import LIFE
from federated.errors import ConsentSignatureInvalid, ConsentWithdrawn
from simulations.worlds.wallet import Wallet

WORD = "correct horse battery"


def run(app, *words):
    done = CliRunner().invoke(app, [str(word) for word in words], env={"TANXIN_SIGNING_PASSPHRASE": WORD})
    assert done.exit_code == 0, done.stderr
    return done.stdout


@pytest.fixture
def authority(apart, tmp_path):
    home = authority_of(tmp_path / "authority", Wallet.open(apart.home).authority_secret)
    with served(home, lambda: NOW) as url:
        yield home, url


@pytest.fixture
def bank(apart, authority):
    apart.serve(*(org for org in apart.stores if org != BANK))
    apart.serving[GRID][0].identity = authority[1]
    found = Running(apart, BANK)
    found.desk.identity = authority[1]
    for peer in found.desk.peers.values():
        peer.meet()
    yield found
    found.close()


def lists_taken(*desks):
    """What nodes do once a minute, of all that they do."""
    said = []
    for desk in desks:
        stopped = threading.Event()
        rounds = threading.Thread(target=desk.rounds, args=(stopped, said.append))
        rounds.start()
        before, end = desk.node.store.ended_keys, time.monotonic() + 10
        while desk.node.store.ended_keys == before and time.monotonic() < end:
            time.sleep(0.02)
        stopped.set()
        rounds.join(10)
    return said


def known_at_grid(apart, trained):
    """A customer of the bank that the grid company has a file of, and what both say of him."""
    tables = trained[1].tables
    place = next(
        i for i in np.flatnonzero(tables.opens_electricity & tables.joint)
        if (tables.bank_of[i], tables.grid_of[i]) == (BANK, GRID)
    )  # fmt: skip
    return tables.subjects[place]


def test_a_customer_is_scored_by_his_own_key_until_it_is_ended(apart, bank, authority, trained, tmp_path, monkeypatch):
    home, url = authority
    subject = known_at_grid(apart, trained)
    code = run(identity_app, "enrol", "--home", home, "--subject", subject, "--evidence", "licence 91320594MA1").strip()
    file, attestation = tmp_path / "subject.pem", tmp_path / "attestation.json"
    public = run(subject_app, "key", "--key", file).strip()
    asked = ("--key", file, "--subject", subject, "--code", code, "--identity", url, "--out", attestation)
    run(subject_app, "attest", *asked)
    at_his_terminal(monkeypatch)
    signing = ("--key", file, "--attestation", attestation, "--bank", BANK)
    consent = run(subject_app, "consent", *signing, "--grid", GRID, "--id", "CONS-OWN")
    (tmp_path / "consent.json").write_text(consent)
    run(node_app, "consent", "--home", bank.home, tmp_path / "consent.json")
    question = {"subject": subject, "consent": "CONS-OWN", "purpose": "credit_application"}
    told = ask_own(bank.home, "/score", question)
    assert (told["basis"], told["electricity"]) == ("joint", "included")
    # Ended at the authority, and heard by both nodes at their next round.
    run(identity_app, "end", "--home", home, "--key", public, "--by", "clerk Wang")
    assert ask_own(bank.home, "/score", question)["basis"] == "joint", "no node has heard of it yet"
    assert not [line for line in lists_taken(bank.desk, apart.serving[GRID][0]) if "identity" in line]
    with pytest.raises(ConsentSignatureInvalid, match="ended the key"):
        ask_own(bank.home, "/score", question)
    known = held(bank)
    other = next(each for each in trained[1].tables.subjects if each != subject and f"CONS-{each}" in known)
    assert ask_own(bank.home, "/score", question | {"subject": other, "consent": f"CONS-{other}"})["score"]
    # The grid company holds the same list, should the bank look away.
    assert apart.serving[GRID][0].node.store.ended_keys == bank.desk.node.store.ended_keys
    with pytest.raises(ConsentSignatureInvalid, match="ended the key"):
        bank.node.ask("/consents/record", json.loads(consent) | {"consent_id": "CONS-OWN"})


def at_his_terminal(monkeypatch):
    """His clock is the nodes'."""

    class Then(module.datetime):
        @classmethod
        def now(cls, zone=None):
            return NOW.astimezone(zone)

    monkeypatch.setattr(module, "datetime", Then)


def held(bank):
    return {record.consent_id for record in bank.desk.node.consents(1_000, "")}


def test_a_consent_is_withdrawn_by_the_bank_and_by_the_subject(apart, bank, trained):
    wallet = Wallet.open(apart.home)
    known = held(bank)
    one, two = [each for each in trained[1].tables.subjects if f"CONS-{each}" in known][:2]
    told = bank.node.ask("/consents/withdraw", {"consent_id": f"CONS-{one}"})
    assert (told["withdrawn_by"], told["consent_id"]) == (BANK, f"CONS-{one}")
    signature = wallet.sign_withdrawal(bank.desk.node.consent(f"CONS-{two}")).hex()
    with pytest.raises(ConsentSignatureInvalid):
        bank.node.ask("/consents/withdraw", {"consent_id": f"CONS-{two}", "signature": "00" * 64})
    told = bank.node.ask("/consents/withdraw", {"consent_id": f"CONS-{two}", "signature": signature})
    assert told["withdrawn_by"] == "subject"
    for each in (one, two):
        with pytest.raises(ConsentWithdrawn):
            ask_own(bank.home, "/score", {"subject": each, "consent": f"CONS-{each}", "purpose": "credit_application"})


def test_a_list_is_handed_over_by_hand_too_and_a_node_says_when_none_comes(apart, bank, authority, tmp_path):
    content = httpx.get(f"{authority[1]}/v1/revocations").content
    (tmp_path / "list.json").write_bytes(content)
    assert bank.node.send("/revoked-keys", tmp_path / "list.json")["number"] == 1
    (tmp_path / "forged.json").write_bytes(content.replace(b'"number": 1', b'"number": 2'))
    with pytest.raises(ConsentSignatureInvalid):
        bank.node.send("/revoked-keys", tmp_path / "forged.json")
    assert bank.desk.node.store.ended_keys.next_at == NOW + LIFE
    bank.desk.identity = "http://127.0.0.1:9"
    said = []
    stopped = threading.Event()
    rounds = threading.Thread(target=bank.desk.rounds, args=(stopped, said.append))
    rounds.start()
    end = time.monotonic() + 10
    while not any("identity authority: http://127.0.0.1:9" in line for line in said) and time.monotonic() < end:
        time.sleep(0.02)
    stopped.set()
    rounds.join(10)
    assert [line for line in said if "identity authority" in line], said
