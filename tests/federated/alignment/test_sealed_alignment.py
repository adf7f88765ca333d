"""An alignment through an operator that plays a party, or changes, repeats and exchanges what it passes on."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from federated.alignment.meeting import Meeting
from federated.consent.instants import to_micros
from federated.consent.record import ConsentRecord, DataScope, Purpose
from federated.engines.in_process import InProcessGrid, Seat
from federated.errors import AlignmentFailed
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.nodes.identity import fresh_identities, stored_identities
from federated.nodes.store import NodeStore
from federated.protocols.catalogue import VERTICAL
from federated.protocols.core.alignment import align, participants
from federated.protocols.core.messages import Content, Switchboard
from federated.protocols.node_app import node_app
from simulations.benchmarks.probing import measure_probing
from simulations.worlds.columns import load_schema
from simulations.worlds.wallet import Wallet

AT = datetime(2026, 11, 1, tzinfo=UTC)
BANK, GRID = "bank-gusu", "grid-sip"
RUN = (to_micros(AT), b"n" * 16)


@pytest.fixture
def stores(tmp_path):
    wallet, schema = Wallet(b"s" * 32, b"a" * 32), load_schema("generated-firms")
    made = []
    for org, role, names in ((BANK, "bank", "abcd"), (GRID, "grid", "bcxy"), ("bank-taihu", "bank", "efgh")):
        columns = len(schema.party(role).columns)
        store = NodeStore.create(
            tmp_path / f"{org}.db",
            org_id=org,
            role=role,
            schema=schema,
            data_origin="generated",
            authority=wallet.authority,
            subjects=list(names),
            values=np.zeros((len(names), columns)),
            labels=[0, 1, 0, 1] if role == "bank" else None,
        )
        until = AT + timedelta(days=9)
        drafts = (
            ConsentRecord(f"C-{s}", s, BANK, frozenset(Purpose), frozenset(DataScope), AT, until, grid_id=GRID)
            for s in "abcd"
        )
        (BankNode if role == "bank" else GridNode)(store).record_consents(map(wallet.sign, drafts))
        made.append(store)
    yield made
    for store in made:
        store.close()


def aligned(stores, board=Switchboard):
    known = stored_identities(stores)
    kinds = {"bank": BankNode, "grid": GridNode}
    apps = [node_app(kinds[s.role](s), known[s.org_id], VERTICAL) for s in stores[:2]]
    opened = board(InProcessGrid({i: Seat(app, {}) for i, app in enumerate(apps, start=2)}))
    return align(opened, participants(opened), to_micros(AT), lambda _: None)


def test_nodes_that_know_each_other_find_their_common_customers(stores):
    assert aligned(stores).rows == {f"{BANK}|{GRID}": 2}
    assert set(stores[0].alignment(GRID)) == {"b", "c"} == set(stores[1].alignment(BANK))


def with_points(requests, change):
    return {org: replace(c, config=dict(c.config) | change(dict(c.config))) for org, c in requests.items()}


class Changing(Switchboard):
    """Flips a bit of every sealed message."""

    def ask(self, action, requests):
        def flipped(config):
            return {"points": config["points"][:-1] + bytes([config["points"][-1] ^ 1])} if "points" in config else {}

        return super().ask(action, with_points(requests, flipped))


class Reflecting(Switchboard):
    """Gives each node back what itself had sealed."""

    def ask(self, action, requests):
        if action == "query.align_double":
            of = {org: c.points("points") for org, c in requests.items()}
            requests = {BANK: sealed(GRID, of[GRID]), GRID: sealed(BANK, of[BANK])}
        return super().ask(action, requests)


class Repeating(Switchboard):
    """Gives each node the peer's first message again in the place of its second."""

    def ask(self, action, requests):
        if action == "query.align_double":
            self.first = requests
        return super().ask(action, self.first if action == "query.align_match" else requests)


class Twice(Switchboard):
    """Has each node seal its points twice: under one key and one counter that would be two plain texts."""

    def ask(self, action, requests):
        if action == "query.align_blind":
            super().ask(action, requests)
        return super().ask(action, requests)


class Skipping(Switchboard):
    """Leaves the meeting out."""

    def ask(self, action, requests):
        if action == "query.align_meet":
            return dict.fromkeys(requests, Content(config={"key": b"k" * 32, "signature": b"s" * 64}))
        return super().ask(action, requests)


class Otherwhen(Switchboard):
    """Tells the two nodes different instants."""

    def ask(self, action, requests):
        if action == "query.align_meet":
            later = replace(requests[GRID], config=dict(requests[GRID].config) | {"at_us": to_micros(AT) + 1})
            requests = requests | {GRID: later}
        return super().ask(action, requests)


class Playing(Switchboard):
    """Plays each node to the other, with keys of its own."""

    def ask(self, action, requests):
        answers = super().ask(action, requests)
        if action == "query.align_meet":
            own = fresh_identities((BANK, GRID), {BANK: "bank", GRID: "grid"})
            nonce = requests[GRID].points("nonce")
            for org, peer in ((BANK, GRID), (GRID, BANK)):
                key, signature = Meeting(own[org], peer, to_micros(AT), nonce).card
                answers[org] = Content(config={"key": key, "signature": signature})
        return answers


def sealed(peer, points):
    return Content(config={"peer": peer, "points": points})


@pytest.mark.parametrize(
    ("board", "why"),
    [
        (Changing, "was changed on the way"),
        (Reflecting, "was changed on the way"),
        (Repeating, "was changed on the way"),
        (Twice, "was met before"),
        (Skipping, "no alignment with .* was begun"),
        (Otherwhen, "was not signed by it"),
        (Playing, "was not signed by it"),
    ],
)
def test_an_operator_that_does_not_pass_messages_on_is_found_out(stores, board, why):
    with pytest.raises(AlignmentFailed, match=why):
        aligned(stores, board)
    assert stores[0].alignment(GRID) == stores[1].alignment(BANK) == ()


def test_a_node_meets_nobody_of_its_own_kind_and_nobody_unknown(stores):
    known = stored_identities(stores)
    for peer in ("bank-taihu", "grid-nobody", BANK):
        with pytest.raises(AlignmentFailed, match="of the other kind"):
            Meeting(known[BANK], peer, *RUN)
    with pytest.raises(AlignmentFailed, match="nonce"):
        Meeting(known[BANK], GRID, to_micros(AT), b"")


def test_what_was_sealed_at_one_step_is_nothing_at_another(stores):
    known = stored_identities(stores)
    bank, grid = Meeting(known[BANK], GRID, *RUN), Meeting(known[GRID], BANK, *RUN)
    with pytest.raises(AlignmentFailed, match="was not met"):
        bank.seal("blind", b"points")
    bank.meet(*grid.card)
    grid.meet(*bank.card)
    assert grid.open("blind", bank.seal("blind", b"points")) == b"points"
    with pytest.raises(AlignmentFailed, match="another step"):
        grid.open("double", bank.seal("blind", b"points"))


def test_an_operator_with_copies_of_consents_that_plays_the_bank_finds_nobody():
    """Before messages were sealed it found every customer whose consent it had a copy of."""
    found = measure_probing(60)
    assert (found.played_found_unsealed, found.played_found, found.honest_found) == (1.0, 0.0, 1.0)
