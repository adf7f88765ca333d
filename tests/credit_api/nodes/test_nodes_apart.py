"""A bank's node and others that run apart: the same scores over mutual TLS, and what each is refused."""

import base64
import json
import shutil
import stat
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from nodes_apart import BANK, GRID, NOW, WORD, Member, version_of

from credit_api.nodes import proof
from credit_api.nodes.desk import Desk
from credit_api.nodes.local import local_server
from credit_api.nodes.messages import (
    PROTOCOL,
    Begin,
    ConsentAsked,
    ConsentFound,
    ConsentGiven,
    Decided,
    Decisions,
    Done,
    First,
    Meet,
    Nonces,
    Run,
    Sealed,
    Withdrawal,
)
from federated.channel.authority import NetworkAuthority
from federated.channel.client import Channel
from federated.channel.own_socket import ask_own, listening
from federated.consent.record import Purpose
from federated.errors import (
    ChannelRefused,
    ConsentWithdrawn,
    FederatedError,
    ModelCorrupt,
    ModelExists,
    ModelInUse,
    NodeUnavailable,
    NotPermitted,
    RunLost,
)
from federated.governance.model_registry import ModelRegistry
from federated.nodes.identity import pinned_identity, pinned_kinds
from federated.nodes.node import PartialRequest
from federated.nodes.statements import jwk_of
from federated.serving import Basis, Electricity, Network, ScoreQuery
from simulations.worlds.wallet import Wallet


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


@pytest.mark.parametrize("wrong", ["bank", "grid"])
def test_where_a_clock_is_an_hour_off_the_bank_answers_alone(apart, trained, wrong, monkeypatch):
    """Neither knows whose it is; a grid company that is wrong about the time takes no bank's scores away."""
    clocks = {BANK: NOW, GRID: NOW}
    clocks[BANK if wrong == "bank" else GRID] += timedelta(hours=1)
    others = [org for org in apart.stores if org not in (BANK, GRID)]
    apart.serve(*others)
    desk_at = apart.desk
    monkeypatch.setattr(apart, "desk", lambda org: desk_at(org, lambda: clocks.get(org, NOW)))
    apart.serve(GRID)
    desk = apart.desk(BANK)
    try:
        found = desk.network().score(query(customers(trained)[0], at=clocks[BANK]))
        assert (found.basis, found.electricity) == (Basis.BANK_ONLY, Electricity.UNAVAILABLE)
        clocks[BANK] = clocks[GRID] = NOW
        assert desk.own_network.score(query(customers(trained)[0])).basis is Basis.JOINT
    finally:
        desk.close()


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


def raw(peer, path, body):
    response = peer._channel._pool.request("POST", path, body=json.dumps(body), retries=False)
    return response.status, response.json()


def test_a_bank_asks_for_its_own_customers_alone(apart, bank, trained):
    subject = customers(trained)[0]
    other = apart.serving["bank-jinji"][0].peers[GRID]
    asked = PartialRequest(BANK, subject, f"CONS-{subject}", Purpose.CREDIT_APPLICATION, NOW, "v0003")
    with pytest.raises(NotPermitted, match="only ask for its own customers"):
        other.ask(
            "/first", First(query=asked, explained=True, nonce=b"n" * 16, bank_nonce=b"b" * 16, dealt=b""), Sealed
        )
    assert other.ask("/consent", ConsentAsked(consent_id=f"CONS-{subject}"), ConsentFound).consent is None
    # Nor does a grid company ask another, and nobody is answered whose messages are not as nodes write them.
    grids = apart.serving["grid-gaoxin"][0].peers[GRID]
    with pytest.raises(NotPermitted, match="grid-gaoxin is no bank"):
        grids.ask("/begin", Begin(count=1), Nonces)
    told = b"a message is not as nodes write it"
    unread = {"query": {"bank_id": BANK}, "explained": True, "more": 1}
    assert raw(other, "/first", unread) == (422, {"code": "federated_error", "detail": told.decode(), "context": {}})
    assert bank[1].kinds()[GRID] == "grid"
    # No key for masks that is none is pinned, and nobody makes a node keep what it cannot hold.
    for path, body in (
        ("/meet", {"key": "AAEC"}),
        ("/meet", {"key": "?"}),
        ("/first", []),
        ("/deal", None),
        ("/begin", {"count": 65}),
    ):
        assert raw(other, path, body)[0] == 422
    with pytest.raises(ChannelRefused, match="at the most"):
        other._channel.post("/begin", b" " * (1 << 21))


def test_a_withdrawal_that_is_to_hold_later_holds_at_once(apart, bank, trained):
    """The first withdrawal stands: one of a hundred years hence would keep the subject's own from ever holding."""
    subject = customers(trained)[1]
    bank[1].peers[GRID].meet()
    later = Withdrawal(consent_id=f"CONS-{subject}", at=NOW + timedelta(days=36_500), by=BANK, signature=b"")
    told = bank[1].peers[GRID].ask("/consent/withdraw", later, ConsentGiven).consent
    assert told.withdrawn_at == NOW
    with pytest.raises(ConsentWithdrawn):
        bank[0].score(query(subject))


def test_nodes_of_other_releases_say_so_when_they_meet(apart, monkeypatch):
    apart.serve(GRID)
    desk, said = apart.desk(BANK), []
    told = Meet.of(desk.node)
    monkeypatch.setattr(Meet, "of", lambda _: told.model_copy(update={"protocol": 1}))
    stopped = threading.Event()
    rounds = threading.Thread(target=desk.rounds, args=(stopped, said.append))
    rounds.start()
    deadline = time.monotonic() + 10
    while not any(line.startswith(GRID) for line in said) and time.monotonic() < deadline:
        time.sleep(0.02)
    stopped.set()
    rounds.join()
    theirs = "bank-gusu speaks version 1 of the messages between nodes"
    word = f"{theirs}, and grid-sip version {PROTOCOL}: run one release at both"
    assert [line for line in said if line.startswith(GRID)] == [f"{GRID}: {word}"]
    assert not desk.peers[GRID].met
    assert BANK not in pinned_kinds(apart.serving[GRID][0].node.store)
    desk.close()


def test_a_store_is_served_under_its_own_name_alone(apart):
    with pytest.raises(ChannelRefused, match="this certificate is grid-sip's, and the store bank-gusu's"):
        Desk.open(apart.folder / GRID, apart.stores[BANK], {})


@pytest.fixture
def operator(apart):
    apart.serve(BANK, GRID)
    return Member(apart)


def test_a_node_registers_what_an_operator_registered_itself(apart, operator, monkeypatch):
    manifest, weights = version_of(apart)
    seat = operator.seat(GRID)
    for _ in range(2):
        seat.hand_over(manifest, weights)
    desk = apart.serving[GRID][0]
    assert ModelRegistry(apart.folder / GRID).files("credit", "v0009") == (manifest, weights)
    assert [e.kind for e in desk.oversight.lifecycle().events if e.version == "v0009"] == ["registered"]
    files = version_of(apart, "v0012")
    with pytest.raises(ModelExists):
        seat.hand_over(manifest.replace(b"2024", b"2025"), weights)
    with pytest.raises(ModelCorrupt):
        seat.hand_over(*version_of(apart, "v0010")[:1], weights[:-1])
    monkeypatch.setattr("federated.governance.model_registry.MOST_UNPACKED", 10_000)
    with pytest.raises(ModelCorrupt, match="unpack to more than any model's"):
        seat.hand_over(*files)
    monkeypatch.undo()
    with pytest.raises(NotPermitted, match="registered by another, not by operator"):
        seat.hand_over(*version_of(apart, "v0011", by="another"))
    assert "v0011" not in desk.oversight.lifecycle().versions
    seat.close()


def test_who_is_no_operator_trains_nobody_and_registers_nothing(apart, operator):
    for name, kind in (("bank-new", "bank"), ("exchange", "exchange")):
        other = Member(apart, name, kind).seat(GRID)
        with pytest.raises(NotPermitted, match="is no operator"):
            other.begin(bytes(16))
        with pytest.raises(NotPermitted, match="is no operator"):
            other.answer(bytes(16), 1, b"")
        with pytest.raises(NotPermitted, match="is no operator"):
            other.hand_over(*version_of(apart, f"v-{name}"))
        other.close()
    bank = apart.serving[BANK][0].peers[GRID]
    with pytest.raises(NotPermitted, match="is no operator"):
        bank.ask("/run", Run(run=bytes(16)), Done)
    seat = operator.seat(GRID)
    with pytest.raises(RunLost):
        seat.answer(bytes(16), 1, b"")
    seat.begin(bytes(16))
    with pytest.raises(ChannelRefused, match="no message of Flower's"):
        seat.answer(bytes(16), 1, b"\xff")
    seat.close()


def test_a_bank_decides_for_itself_and_nodes_that_were_away_catch_up(apart, operator):
    manifest, weights = version_of(apart)
    for name in (BANK, GRID):
        seat = operator.seat(name)
        seat.hand_over(manifest, weights)
        seat.close()
    bank, grid = apart.serving[BANK][0], apart.serving[GRID][0]
    event, not_told = bank.decide("v0009", "approve", "looked at it")
    assert (event.kind, event.by) == ("endorsed", BANK)
    assert sorted(not_told) == ["bank-jinji", "bank-taihu", "grid-gaoxin"]
    (told,) = [e for e in grid.oversight.lifecycle().events if e.version == "v0009" and e.kind == "endorsed"]
    assert (told.by, told.note, told.command) == (BANK, "looked at it", event.command)
    # A node that was away asks, and asking twice enters nothing twice.
    apart.serve("grid-gaoxin")
    away = apart.serving["grid-gaoxin"][0]
    seat = operator.seat("grid-gaoxin")
    decisions = away.peers[BANK].ask("/decisions", Done(), Decisions)
    assert away.register.catch_up(decisions, BANK) == 0
    seat.hand_over(manifest, weights)
    assert [away.register.catch_up(decisions, BANK) for _ in range(2)] == [1, 0]
    seat.close()
    with pytest.raises(ChannelRefused, match="is no bank"):
        grid.decide("v0009", "approve", "")
    with pytest.raises(NotPermitted, match="grid-sip is no bank"):
        grid.peers["grid-gaoxin"].ask("/decided", decisions.decided[0], Done)


def test_a_decision_about_another_version_of_that_name_is_refused(apart, operator):
    seat = operator.seat(GRID)
    seat.hand_over(*version_of(apart))
    seat.close()
    seat = operator.seat(BANK)
    other = ModelRegistry(apart.folder / "others")
    before = ModelRegistry(apart.home)
    changed = replace(before.manifest("credit", "v0001"), version="v0009", registered_by="operator", cut_off=600)
    other.publish(changed, before.load("credit", "v0001"))
    seat.hand_over(*other.files("credit", "v0009"))
    seat.close()
    _, not_told = apart.serving[BANK][0].decide("v0009", "approve", "")
    assert not_told[GRID] == "bank-gusu decided about another v0009"
    assert apart.serving[GRID][0].oversight.lifecycle().versions["v0009"].endorsed_by == ()


def test_a_bank_answers_its_own_organisation_alone(apart, bank, trained):
    network, desk = bank
    home, subject = apart.folder / BANK, customers(trained)[0]
    own, server = listening(home), local_server(desk, network)
    thread = threading.Thread(target=server.run, args=([own],), daemon=True)
    thread.start()
    try:
        with pytest.raises(ChannelRefused, match="is served by another process"):
            listening(home)
        assert stat.S_IMODE((home / "node.sock").stat().st_mode) == 0o600
        told = ask_own(home, "/score", {"subject": subject, "consent": f"CONS-{subject}", "purpose": "loan_review"})
        assert (told["basis"], told["no_file"]) == ("joint", False)
        stated = told["statement"]
        assert set(stated) == {"statement", "public_key", "signature"}
        assert stated["statement"]["score"] == told["score"]
        assert not any(reason["en"] in json.dumps(stated) for reason in told["reasons"])
        assert ask_own(home, "/statement-key") == jwk_of(stated["public_key"])
        renewed = ask_own(home, "/statement-key", {"new": True})
        assert renewed != jwk_of(stated["public_key"])
        assert ask_own(home, "/statement-key") == renewed
        assert subject in ask_own(home, "/customers", {"limit": 1000})["subjects"]
        assert ask_own(home, "/standing")["champion"] == "v0003"
        with pytest.raises(FederatedError, match="not as nodes write it"):
            ask_own(home, "/score", {"subject": subject})
    finally:
        server.should_exit = True
        thread.join(10)
        own.close()


def test_who_was_revoked_or_unpinned_is_not_answered_on_a_connection_that_stands(apart, bank):
    peer, authority = bank[1].peers[GRID], NetworkAuthority(apart.folder / "ca")
    asked = ConsentAsked(consent_id="CONS-NONE")
    assert peer.ask("/consent", asked, ConsentFound).consent is None
    apart.keys[GRID].unpin(BANK)
    with pytest.raises(ChannelRefused, match="bank-gusu is not known here"):
        peer.ask("/consent", asked, ConsentFound)
    apart.keys[GRID].pin((apart.keys[BANK].folder / "certificate.pem").read_bytes())
    assert peer.ask("/consent", asked, ConsentFound).consent is None
    at = datetime.now(UTC)
    authority.revoke(BANK, "key_compromise", WORD, at)
    apart.keys[GRID].take_trust(authority.trust_pem, authority.revoked_pem)
    with pytest.raises(ChannelRefused, match="the certificate of bank-gusu was revoked"):
        peer.ask("/consent", asked, ConsentFound)
    # Nor on a new connection.
    apart.serving[GRID][0].reload()
    peer.reload()
    with pytest.raises((ChannelRefused, NodeUnavailable)):
        peer.ask("/consent", asked, ConsentFound)


def test_an_operator_is_no_node_whatever_it_says(apart, operator):
    channel = Channel(operator.keys, BANK, apart.urls[BANK])
    keys = {"key": base64.b64encode(bytes(range(32))).decode(), "signing": base64.b64encode(bytes(32)).decode()}
    keys["protocol"] = PROTOCOL
    with pytest.raises(NotPermitted, match="operator is a operator: banks and grid companies are nodes"):
        channel.post("/meet", json.dumps(keys).encode())
    store = apart.serving[BANK][0].node.store
    assert "operator" not in pinned_identity(store).known
    # Nor where an earlier program pinned one.
    store.first_state("peer signs operator", b"operator " + bytes(32))
    assert "operator" not in pinned_identity(store).known
    assert "operator" not in pinned_kinds(store)
    channel.close()


def test_who_took_no_part_in_a_version_decides_nothing_about_it(apart, operator):
    seat = operator.seat(GRID)
    manifest, weights = version_of(apart)
    seat.hand_over(manifest, weights)
    known = json.loads(manifest)
    theirs = {"participants": [BANK, "grid-elsewhere"], "aligned_rows": {"bank-gusu|grid-elsewhere": 9}}
    with pytest.raises(NotPermitted, match="of other participants than this node knows"):
        seat.hand_over(json.dumps(known | theirs | {"version": "v0013"}).encode(), weights)
    for name in ("events.jsonl", "scores.db-journal", "../v0014", "v14"):
        with pytest.raises(ModelCorrupt, match="names a version of credit"):
            seat.hand_over(json.dumps(known | {"version": name}).encode(), weights)
    for wrong in ({"aligned_rows": 5}, {"cut_off": "x"}, {"metrics": []}, {"model": 5}, {"model": "other"}):
        with pytest.raises(ModelCorrupt):
            seat.hand_over(json.dumps(known | {"version": "v0015"} | wrong).encode(), weights)
    seat.close()
    register = apart.serving[GRID][0].register
    told = Decided(version="v0009", manifest_sha256=register.sha256("v0009"), act="reject", note="", command="c" * 16)

    def said(bank, **changes):
        return proof.signed(apart.keys[bank], bank, told.model_copy(update=changes))

    with pytest.raises(NotPermitted, match="only the banks of v0009"):
        register.decide(told, "bank-elsewhere")
    # What is rolled back has to score here.
    with pytest.raises(ModelInUse, match="v0009 does not score here"):
        register.decide(said(BANK, act="roll_back"), BANK)
    # One that was turned down keeps no decision about another from arriving.
    register.decide(said("bank-jinji"), "bank-jinji")
    late = said(BANK, act="approve", command="d" * 16)
    assert register.catch_up(Decisions(decided=[late]), BANK) == 0
    seat = operator.seat(GRID)
    seat.hand_over(*version_of(apart, "v0010"))
    seat.close()
    hashed = {"version": "v0010", "manifest_sha256": register.sha256("v0010")}
    next_one = said(BANK, act="approve", command="e" * 16, **hashed)
    assert register.catch_up(Decisions(decided=[late, next_one]), BANK) == 1
    with pytest.raises(NotPermitted, match="decided something else under this id"):
        register.decide(said(BANK, act="approve", command="e" * 16), BANK)
