"""A bank's node and others that run apart: the same scores over mutual TLS, and what each is refused."""

import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from hidden_world import hide
from small_network import AT
from trained import trained_folder

from credit_api.app.settings import Limits
from credit_api.nodes.desk import Desk
from credit_api.nodes.messages import Begin, ConsentAsked, ConsentFound, ConsentGiven, Nonce, Withdrawal
from federated.channel.authority import NetworkAuthority
from federated.channel.certificates import Party
from federated.channel.node_keys import NodeKeys
from federated.consent.record import Purpose
from federated.errors import ChannelRefused, ConsentWithdrawn, NodeUnavailable, NotPermitted
from federated.nodes.node import PartialRequest
from federated.nodes.statements import jwk_of
from federated.nodes.store import NodeStore
from federated.privacy.vertical.dealer import dealer_of
from federated.serving import Basis, Electricity, Network, ScoreQuery
from simulations.worlds.wallet import Wallet

NOW = AT + timedelta(days=1)
BANK, GRID = "bank-gusu", "grid-sip"
WORD = "correct horse battery"


class Apart:
    """Nodes of one trained network with homes, keys and certificates of their own, all pinned at each other."""

    def __init__(self, home, folder):
        self.home, self.folder, at = home, folder, datetime.now(UTC)
        self.stores = {path.stem: path for path in sorted((home / "nodes").glob("*.db"))}
        self.urls = {org: f"https://127.0.0.1:{free_port()}" for org in self.stores}
        authority = NetworkAuthority.create(folder / "ca", "Suzhou", WORD, at)
        self.keys = {}
        for org in self.stores:
            self.keys[org] = keys = NodeKeys.create(folder / org, Party(org.split("-")[0], org), ["127.0.0.1"])
            made = authority.certify((keys.folder / "request.pem").read_bytes(), WORD, at)
            pem = made.public_bytes(serialization.Encoding.PEM)
            keys.install(pem, authority.trust_pem, authority.revoked_pem, at)
            shutil.copytree(home / "registry", folder / org / "registry")
        for one in self.keys.values():
            for other in self.keys.values():
                one.pin((other.folder / "certificate.pem").read_bytes())
        self.serving = {}

    def desk(self, org):
        peers = {name: url for name, url in self.urls.items() if name != org}
        return Desk.open(self.folder / org, self.stores[org], peers, lambda: NOW)

    def serve(self, *orgs):
        for org in orgs:
            desk = self.desk(org)
            server = desk.server("127.0.0.1", int(self.urls[org].rpartition(":")[2]), Limits())
            thread = threading.Thread(target=server.run, daemon=True)
            thread.start()
            self.serving[org] = desk, server, thread
        for org in orgs:
            while not self.serving[org][1].started:
                assert self.serving[org][2].is_alive()
                time.sleep(0.01)
        for org in orgs:
            for name, peer in self.serving[org][0].peers.items():
                if name in self.serving:
                    peer.meet()

    def stop(self, org):
        desk, server, thread = self.serving.pop(org)
        server.should_exit = True
        thread.join(10)
        desk.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = trained_folder(tmp_path_factory)
    with (folder / "result.pickle").open("rb") as file:
        return folder / "home", pickle.load(file)


@pytest.fixture(scope="module")
def made(trained, tmp_path_factory):
    home = tmp_path_factory.mktemp("apart") / "home"
    shutil.copytree(trained[0], home)
    return hide(home, trained[1].tables, AT, factors=2)


@pytest.fixture
def apart(made, tmp_path):
    shutil.copytree(made.home, tmp_path / "home")
    # Who is pinned in one process is pinned between the same nodes apart.
    found = Apart(tmp_path / "home", tmp_path)
    yield found
    for org in list(found.serving):
        found.stop(org)


@pytest.fixture
def bank(apart):
    others = [org for org in apart.stores if org != BANK]
    apart.serve(*others)
    desk = apart.desk(BANK)
    opened = desk.network()
    yield opened, desk
    desk.close()


def customers(trained, count=6):
    tables = trained[1].tables
    return [
        tables.subjects[i]
        for i in np.flatnonzero(tables.opens_electricity & tables.joint)
        if (tables.bank_of[i], tables.grid_of[i]) == (BANK, GRID)
    ][:count]


def query(subject, **changes):
    return replace(ScoreQuery(BANK, subject, f"CONS-{subject}", Purpose.CREDIT_APPLICATION, NOW), **changes)


def test_scores_between_nodes_apart_are_those_of_one_process(apart, bank, trained, tmp_path):
    shutil.copytree(apart.home, tmp_path / "together")
    network = Network.open(tmp_path / "together", lambda: NOW)
    try:
        for subject in customers(trained):
            found, known = bank[0].score(query(subject)), network.score(query(subject))
            assert (found.basis, found.electricity) == (Basis.JOINT, Electricity.INCLUDED)
            assert (found.score, found.model_version) == (known.score, known.model_version)
            assert len(found.reasons) == len(known.reasons)
    finally:
        network.close()
    grid = apart.serving[GRID][0].node
    assert [use.outcome for use in grid.uses_of(customers(trained)[0])][:1] == ["answered"]


def test_a_consent_is_delivered_and_withdrawn_where_it_lies(apart, bank, trained):
    network, grid = bank[0], apart.serving[GRID][0].node
    subject = customers(trained)[0]
    known = network.consent(f"CONS-{subject}", BANK)
    wallet = Wallet.open(apart.home)
    given = wallet.sign(replace(known.terms(), consent_id="CONS-NEW", valid_from=NOW - timedelta(hours=1)))
    network.record_consent(given)
    assert grid.consent("CONS-NEW") == given
    assert network.score(query(subject, consent_id="CONS-NEW")).basis is Basis.JOINT
    network.withdraw_consent("CONS-NEW", BANK, NOW, by=BANK)
    assert grid.consent("CONS-NEW").withdrawn_at is not None
    with pytest.raises(ConsentWithdrawn):
        network.score(query(subject, consent_id="CONS-NEW"))


def test_where_a_grid_company_is_down_the_bank_answers_alone_and_says_so(apart, bank, trained):
    subject = customers(trained)[0]
    assert bank[0].score(query(subject)).basis is Basis.JOINT
    apart.stop(GRID)
    found = bank[0].score(query(subject))
    assert (found.basis, found.electricity) == (Basis.BANK_ONLY, Electricity.UNAVAILABLE)
    apart.serve(GRID)
    assert bank[0].score(query(subject)).basis is Basis.JOINT


def test_who_is_not_known_any_more_is_not_answered(apart, trained):
    apart.serve(*(org for org in apart.stores if org != BANK))
    apart.keys[GRID].unpin(BANK)
    desk = apart.desk(BANK)
    try:
        found = desk.network().score(query(customers(trained)[0]))
        assert (found.basis, found.electricity) == (Basis.BANK_ONLY, Electricity.UNAVAILABLE)
        with pytest.raises(NodeUnavailable, match="grid-sip does not answer"):
            desk.peers[GRID].meet()
    finally:
        desk.close()


def test_a_bank_asks_for_its_own_customers_alone(apart, bank, trained):
    subject = customers(trained)[0]
    other = apart.serving["bank-jinji"][0].peers[GRID]
    asked = PartialRequest(BANK, subject, f"CONS-{subject}", Purpose.CREDIT_APPLICATION, NOW, "v0003")
    with pytest.raises(NotPermitted, match="only ask for its own customers"):
        other.ask("/begin", Begin(query=asked, explained=True), Nonce)
    assert other.ask("/consent", ConsentAsked(consent_id=f"CONS-{subject}"), ConsentFound).consent is None
    # Nor does a grid company ask another, and nobody is answered whose messages are not as nodes write them.
    grids = apart.serving["grid-gaoxin"][0].peers[GRID]
    with pytest.raises(NotPermitted, match="grid-gaoxin is no bank"):
        grids.ask("/begin", Begin(query=replace(asked, bank_id="grid-gaoxin"), explained=True), Nonce)
    response = other._client.post("/begin", json={"query": {"bank_id": BANK}, "explained": True, "more": 1})
    assert (response.status_code, response.json()["context"]) == (422, {})
    assert BANK not in response.text
    assert bank[1].kinds()[GRID] == "grid"
    # No key for masks that is none is pinned, and nobody makes a node keep what it cannot hold.
    for path, body in (("/meet", {"key": "AAEC"}), ("/meet", {"key": "?"}), ("/first", []), ("/deal", None)):
        assert other._client.post(path, json=body).status_code == 422
    long = other._client.post("/begin", content=b" " * (1 << 21))
    assert (long.json()["code"], "at the most" in long.json()["detail"]) == ("channel_refused", True)


def test_a_withdrawal_that_is_to_hold_later_holds_at_once(apart, bank, trained):
    """The first withdrawal stands: one of a hundred years hence would keep the subject's own from ever holding."""
    subject = customers(trained)[1]
    bank[1].peers[GRID].meet()
    later = Withdrawal(consent_id=f"CONS-{subject}", at=NOW + timedelta(days=36_500), by=BANK, signature=b"")
    told = bank[1].peers[GRID].ask("/consent/withdraw", later, ConsentGiven).consent
    assert told.withdrawn_at == NOW
    with pytest.raises(ConsentWithdrawn):
        bank[0].score(query(subject))


def test_a_store_is_served_under_its_own_name_alone(apart):
    with pytest.raises(ChannelRefused, match="this certificate is grid-sip's, and the store bank-gusu's"):
        Desk.open(apart.folder / GRID, apart.stores[BANK], {})


def test_nodes_in_processes_of_their_own_score(apart, made, trained):
    """As people start them: a grid company, the node that deals to it and the bank, and the bank's own question."""
    dealer = dealer_of(BANK, GRID, made.split.function.parties)
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    tanxin = [sys.executable, "-m", "credit_api"]
    running = []
    try:
        for org in (GRID, dealer):
            peers = [
                part for name in (GRID, dealer) if name != org for part in ("--peer", f"{name}={apart.urls[name]}")
            ]
            where = ["--home", str(apart.folder / org), "--store", str(apart.stores[org]), "--port"]
            words = ["node", "serve", *where, apart.urls[org].rpartition(":")[2], *peers]
            running.append(subprocess.Popen([*tanxin, *words], env=environment, stdout=subprocess.PIPE, text=True))
        for process in running:
            lines = [process.stdout.readline() for _ in range(2)]
            assert any("is met" in line for line in lines), lines
        store = NodeStore(apart.stores[BANK])
        subject = customers(trained)[0]
        store.close()
        where = ["--home", str(apart.folder / BANK), "--store", str(apart.stores[BANK])]
        peers = [part for name in (GRID, dealer) for part in ("--peer", f"{name}={apart.urls[name]}")]
        words = ["node", "score", *where, *peers, "--subject", subject, "--consent", f"CONS-{subject}"]
        done = subprocess.run([*tanxin, *words], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert (told["basis"], told["electricity"], told["no_file"]) == ("joint", "included", False)
        # The statement alone is what leaves the bank: printed, or in a file that only its owner reads.
        file = apart.folder / "statement.json"
        again = [*tanxin, *words, "--json", "--out", str(file)]
        done = subprocess.run(again, env=environment, capture_output=True, text=True, check=True)
        stated = json.loads(done.stdout)
        assert stated == json.loads(file.read_text())
        assert file.stat().st_mode & 0o777 == 0o600
        assert set(stated) == {"statement", "public_key", "signature"}
        assert stated["statement"]["score"] == told["score"]
        assert not any(reason["en"] in done.stdout for reason in told["reasons"])
        key = [*tanxin, "node", "statement-key", "--store", str(apart.stores[BANK])]
        jwk = json.loads(subprocess.run(key, env=environment, capture_output=True, text=True, check=True).stdout)
        assert jwk == jwk_of(stated["public_key"])
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(20)
            process.stdout.close()
