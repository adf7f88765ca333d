"""An exchange hears from banks' nodes which versions there are and what was decided: no bank alone tells it."""

from dataclasses import replace

import pytest
from nodes_apart import BANK, GRID, NOW, Member, version_of

from credit_api.nodes.following import Following
from credit_api.nodes.messages import Decided, Decisions
from federated.errors import ChannelRefused, NodeUnavailable
from federated.governance.model_registry import ModelRegistry
from federated.governance.versions import Governance

OTHER, THIRD = "bank-jinji", "bank-taihu"
BANKS = (BANK, OTHER, THIRD)


@pytest.fixture
def exchange(apart):
    return Member(apart, "exchange-seee", "exchange")


@pytest.fixture
def following(apart, exchange):
    apart.serve(*BANKS)
    banks = {bank: apart.urls[bank] for bank in BANKS}
    found = Following(exchange.home, exchange.home / "network", banks, lambda: NOW)
    yield found
    found.close()


def handed(apart, files, *banks, operator):
    for bank in banks:
        seat = operator.seat(bank)
        seat.hand_over(*files)
        seat.close()


def standing(exchange):
    home = exchange.home / "network"
    return Governance(home, ModelRegistry(home)).lifecycle()


def test_what_all_banks_decided_stands_at_the_exchange_too(apart, exchange, following):
    files, said = version_of(apart), []
    handed(apart, files, *BANKS, operator=Member(apart))
    nodes = {bank: apart.serving[bank][0] for bank in BANKS}
    nodes[BANK].decide("v0009", "approve", "looked at it")
    following.round(said.append)
    assert standing(exchange).versions == {}, "one bank alone introduces no version"
    nodes[OTHER].decide("v0009", "approve", "")
    following.round(said.append)
    record = standing(exchange).versions["v0009"]
    assert (record.endorsed_by, record.status(NOW)) == ((BANK, OTHER), "registered")
    nodes[THIRD].decide("v0009", "approve", "")
    nodes[BANK].decide("v0009", "appoint", "")
    nodes[OTHER].decide("v0009", "appoint", "")
    for _ in range(2):
        following.round(said.append)
    found = standing(exchange)
    assert (found.champion, found.status("v0009", NOW)) == ("v0009", "approved")
    assert [(e.kind, e.by) for e in found.events if e.by == BANK] == [("endorsed", BANK), ("nominated", BANK)]
    assert ModelRegistry(exchange.home / "network").files("credit", "v0009") == files
    assert said == [f"v0009 is registered, as {BANK} has it"]


def test_another_version_of_that_name_is_not_entered_nor_what_is_said_of_it(apart, exchange, following):
    operator, before = Member(apart), ModelRegistry(apart.home)
    forged = ModelRegistry(apart.folder / "forged")
    changed = replace(before.manifest("credit", "v0001"), version="v0009", registered_by="operator", cut_off=300)
    forged.publish(changed, before.load("credit", "v0001"))
    handed(apart, forged.files("credit", "v0009"), BANK, operator=operator)
    handed(apart, version_of(apart), OTHER, THIRD, operator=operator)
    for bank in BANKS:
        apart.serving[bank][0].decide("v0009", "approve", "")
    following.round()
    record = standing(exchange).versions["v0009"]
    assert record.endorsed_by == (OTHER, THIRD)
    assert ModelRegistry(exchange.home / "network").manifest("credit", "v0009").cut_off != 300
    # Nor does one bank change what was decided by telling it of itself alone.
    assert standing(exchange).status("v0009", NOW) == "registered"


def test_a_version_whose_banks_are_not_all_followed_is_left_out(apart, exchange):
    apart.serve(*BANKS)
    handed(apart, version_of(apart), *BANKS, operator=Member(apart))
    for bank in (BANK, OTHER):
        apart.serving[bank][0].decide("v0009", "approve", "")
    said, few = [], {bank: apart.urls[bank] for bank in (BANK, OTHER)}
    following = Following(exchange.home, exchange.home / "network", few, lambda: NOW)
    for _ in range(2):
        following.round(said.append)
    assert standing(exchange).versions == {}
    assert said == [
        f"{each}, v0009: v0009 is of other banks than this party knows: ['bank-taihu']" for each in (BANK, OTHER)
    ]
    following.close()


def test_a_bank_that_is_silent_is_said_once_and_heard_when_it_is_back(apart, exchange, following):
    said = []
    handed(apart, version_of(apart), *BANKS, operator=Member(apart))
    for bank in BANKS:
        apart.serving[bank][0].decide("v0009", "approve", "")
    apart.stop(THIRD)
    for _ in range(2):
        following.round(said.append)
    assert standing(exchange).status("v0009", NOW) == "registered"
    assert [line.partition(":")[0] for line in said if "is registered" not in line] == [THIRD]
    apart.serve(THIRD)
    following.round(said.append)
    assert standing(exchange).status("v0009", NOW) == "approved"


def test_it_asks_as_an_exchange_and_banks_alone(apart, exchange):
    with pytest.raises(ChannelRefused, match="and not of an exchange"):
        Following(Member(apart).home, exchange.home, {BANK: apart.urls[BANK]}, lambda: NOW)
    with pytest.raises(ChannelRefused, match="none is named"):
        Following(exchange.home, exchange.home, {}, lambda: NOW)
    apart.serve(BANK, GRID)
    said, named = [], {BANK: apart.urls[BANK], GRID: apart.urls[GRID]}
    following = Following(exchange.home, exchange.home / "network", named, lambda: NOW)
    following.round(said.append)
    assert said == [f"{GRID}: {GRID} is no bank"]
    following.close()
    # A bank that forgot it, or never knew it, does not answer it.
    apart.keys[BANK].unpin("exchange-seee")
    stranger = Following(exchange.home, exchange.home / "network", {BANK: apart.urls[BANK]}, lambda: NOW)
    stranger.round(said.append)
    assert said[1].startswith(f"{BANK}: {BANK} does not answer")
    with pytest.raises(NodeUnavailable):
        stranger._ask_decisions(BANK)
    stranger.close()


def test_a_version_that_may_not_be_entered_holds_up_no_other_decision(apart, exchange):
    """Two banks are followed: one version is of them alone, another of a third bank too, whom nobody would hear."""
    apart.serve(*BANKS)
    made, before = ModelRegistry(apart.folder / "drafts-of-two"), ModelRegistry(apart.home)
    manifest = before.manifest("credit", "v0001")
    rows = {pair: count for pair, count in manifest.aligned_rows.items() if not pair.startswith(THIRD)}
    two = tuple(name for name in manifest.participants if name != THIRD)
    of_two = replace(manifest, version="v0009", registered_by="operator", aligned_rows=rows, participants=two)
    made.publish(of_two, before.load("credit", "v0001"))
    operator, followed = Member(apart), (BANK, OTHER)
    handed(apart, made.files("credit", "v0009"), *followed, operator=operator)
    handed(apart, version_of(apart, "v0010"), *followed, operator=operator)
    nodes = [apart.serving[bank][0] for bank in followed]
    banks = {bank: apart.urls[bank] for bank in followed}
    found, said = Following(exchange.home, exchange.home / "network", banks, lambda: NOW), []
    for version in ("v0009", "v0010"):
        for node in nodes:
            node.decide(version, "approve", "")
        found.round(said.append)
    nodes[0].decide("v0009", "retire", "it is wrong")
    for _ in range(3):
        found.round(said.append)
    found.close()
    assert set(standing(exchange).versions) == {"v0009"}
    assert standing(exchange).status("v0009", NOW) == "retired"
    assert len([line for line in said if "v0010" in line]) == len(followed), said


def test_made_up_decisions_cost_a_round_little(apart, exchange, following, monkeypatch):
    """A bank tells of as many versions as a message holds: each is looked up once, none is entered or asked for."""
    made_up = [
        Decided(version=f"z{n:x}", manifest_sha256="", act="retire", note="", command="c" * 16) for n in range(20_000)
    ]
    real, looked = following._asked, []

    def asked(bank, path, message, answer, *more):
        looked.append(path)
        told = real(bank, path, message, answer, *more)
        return Decisions(decided=made_up) if (bank, path) == (BANK, "/decisions") else told

    monkeypatch.setattr(following, "_asked", asked)
    counted = count_calls(monkeypatch, Governance, "lifecycle")
    following.round()
    assert looked == ["/decisions"] * 3
    assert len(counted) <= 10, "not once a decision"
    assert standing(exchange).versions == {}


def count_calls(monkeypatch, kind, name):
    real, calls = getattr(kind, name), []

    def counted(*given, **more):
        calls.append(name)
        return real(*given, **more)

    monkeypatch.setattr(kind, name, counted)
    return calls
