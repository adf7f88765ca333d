"""What is dealt before it is asked for: fewer messages a query, each pair good for one, and none lost by a restart."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from nodes_apart import BANK, GRID, NOW

from credit_api.nodes.messages import AllDealt, Begin, Deal, Nonces
from federated.consent.record import Purpose
from federated.errors import (
    ConsentMissing,
    ConsentWithdrawn,
    NodeUnavailable,
    NotPermitted,
    QueryLost,
    StoreOutdated,
    UseLogTampered,
)
from federated.nodes.node import PartialRequest
from federated.serving import Basis, Electricity, ScoreQuery
from federated.serving.hidden.common import UNDER_WAY, Once, dealer_for
from federated.serving.hidden.dealer import NodeDealer
from federated.serving.hidden.grid import HiddenGrid
from federated.serving.network import AT_ONCE


def customers(trained, count=6):
    tables = trained[1].tables
    return [
        tables.subjects[i]
        for i in np.flatnonzero(tables.opens_electricity & tables.joint)
        if (tables.bank_of[i], tables.grid_of[i]) == (BANK, GRID)
    ][:count]


def query(subject):
    return ScoreQuery(BANK, subject, f"CONS-{subject}", Purpose.CREDIT_APPLICATION, NOW)


def until(held, seconds=10.0):
    end = time.monotonic() + seconds
    while not held():
        assert time.monotonic() < end
        time.sleep(0.02)


class Watched:
    """A bank's node with its peers, and which messages it sent."""

    def __init__(self, apart, trained):
        self.apart, self.trained, self.sent = apart, trained, []
        apart.serve(*(org for org in apart.stores if org != BANK))
        self.desk = apart.desk(BANK)
        self.network = self.desk.network()
        self.sides = self.network._conversations
        for name, peer in self.desk.peers.items():
            peer.ask = self._noting(name, peer.ask)

    def _noting(self, name, ask):
        def noted(path, *more):
            self.sent.append((name, path))
            return ask(path, *more)

        return noted

    @property
    def stock(self):
        return next(iter(self.sides._stock.values()), [])

    def filled(self):
        """Score until there is a stock, and what the next customers are."""
        first, *rest = customers(self.trained)
        assert self.network.score(query(first)).basis is Basis.JOINT
        until(lambda: len(self.stock) == self.sides._ahead and not self.sides._refilling)
        self.sent.clear()
        return rest


@pytest.fixture
def watched(apart, trained):
    found = Watched(apart, trained)
    yield found
    found.network.close()
    found.desk.close()


def test_a_query_that_was_dealt_for_ahead_has_three_messages(watched):
    subject, *_ = watched.filled()
    before = list(watched.stock)
    found = watched.network.score(query(subject))
    assert (found.basis, found.electricity) == (Basis.JOINT, Electricity.INCLUDED)
    assert watched.sent == [(GRID, "/first"), (GRID, "/shuffled"), (GRID, "/answered")]
    assert list(watched.stock) == before[1:]


def test_it_is_dealt_again_before_there_is_none_left(watched):
    subject, *_ = watched.filled()
    while len(watched.stock) > watched.sides._ahead // 2 + 1:
        watched.stock.popleft()
    watched.network.score(query(subject))
    until(lambda: len(watched.stock) > watched.sides._ahead)
    assert [path for _, path in watched.sent if path in ("/begin", "/deal")] == ["/begin", "/deal"]


def test_each_is_good_for_one_query(watched):
    first, second, *_ = watched.filled()
    pair, grid = watched.stock[0], watched.sides.grids[GRID]
    watched.network.score(query(first))
    assert watched.apart.serving[GRID][0].node.uses_of(first)[0].outcome == "answered"
    with pytest.raises(QueryLost):
        grid.shuffled(pair.grid, b"")
    # Put back, it is refused at once, and the query begins anew by itself.
    watched.stock.appendleft(pair)
    watched.sent.clear()
    assert watched.network.score(query(second)).basis is Basis.JOINT
    assert [path for _, path in watched.sent][:3] == ["/first", "/begin", "/deal"]
    uses = watched.apart.serving[GRID][0].node.uses_of(second)
    assert [use.outcome for use in uses if use.action.value == "score"] == ["answered"]


def test_a_grid_company_that_began_anew_is_asked_anew(watched):
    subject, other, *_ = watched.filled()
    watched.apart.stop(GRID)
    alone = watched.network.score(query(subject))
    assert (alone.basis, alone.electricity) == (Basis.BANK_ONLY, Electricity.UNAVAILABLE)
    watched.apart.serve(GRID)
    watched.sent.clear()
    found = watched.network.score(query(other))
    assert (found.basis, found.electricity) == (Basis.JOINT, Electricity.INCLUDED)
    assert [path for name, path in watched.sent if name == GRID][:2] == ["/first", "/begin"]


def test_a_dealer_that_is_away_is_not_missed_while_there_is_a_stock(watched):
    first, second, *_ = watched.filled()
    version = watched.desk.oversight.lifecycle().champion
    model = watched.desk.models.approved(version, NOW)
    dealer = dealer_for(model.joint_grid, BANK, GRID)
    watched.apart.stop(dealer)
    assert watched.network.score(query(first)).basis is Basis.JOINT
    watched.stock.clear()
    gone = watched.network.score(query(second))
    assert (gone.basis, gone.electricity) == (Basis.BANK_ONLY, Electricity.UNAVAILABLE)
    watched.apart.serve(dealer)


def test_what_was_begun_for_one_bank_is_no_other_banks(watched):
    """Nor does a bank that begins queries without end make others' be forgotten."""
    subject, *_ = watched.filled()
    pair = watched.stock[0]
    other = watched.apart.serving["bank-jinji"][0].peers[GRID]
    for _ in range(UNDER_WAY // 64 + 2):
        other.ask("/begin", Begin(count=64), Nonces)
    grid = watched.sides.grids[GRID]
    request, model, grid._peer = request_of(watched, subject), model_of(watched), other
    with pytest.raises(NodeUnavailable, match="its own customers"):
        watched.sides.score(request, model, GRID, explained=True)
    grid._peer = watched.desk.peers[GRID]
    assert watched.network.score(query(subject)).basis is Basis.JOINT
    assert pair not in watched.stock


@pytest.mark.parametrize("word", [ConsentWithdrawn, ConsentMissing, UseLogTampered, NotPermitted])
def test_a_dealer_says_nothing_of_a_customer(watched, word, monkeypatch):
    """A rival bank that deals, and knows nothing of the customer, says that a consent was withdrawn."""

    def refusing(*_, **__):
        raise word("the subject withdrew this consent")

    monkeypatch.setattr(NodeDealer, "deal", refusing)
    found = watched.network.score(query(customers(watched.trained)[0]))
    assert (found.basis, found.electricity) == (Basis.BANK_ONLY, Electricity.UNAVAILABLE)


def test_what_was_dealt_badly_is_not_kept(watched, monkeypatch):
    """A dealer deals what it was not asked for: the bank answers alone, until it deals well again."""
    deal, first, *rest = NodeDealer.deal, *customers(watched.trained)

    def badly(self, *given, **more):
        good = deal(self, *given, **more)
        return [replace(each, bank=bytes(len(each.bank)), grid=bytes(len(each.grid))) for each in good]

    monkeypatch.setattr(NodeDealer, "deal", badly)
    monkeypatch.setattr(watched.sides, "_from_stock", lambda *_: None)
    found = watched.network.score(query(first))
    assert (found.basis, found.electricity) == (Basis.BANK_ONLY, Electricity.UNAVAILABLE)
    monkeypatch.undo()
    until(lambda: not watched.sides._refilling)
    assert len(watched.stock) == watched.sides._ahead, "dealt badly ahead too"
    found = [watched.network.score(query(subject)).basis for subject in rest[:2]]
    assert found == [Basis.BANK_ONLY, Basis.JOINT]


@pytest.mark.parametrize(
    ("word", "electricity"),
    [
        (ConsentMissing, Electricity.NOT_CONSENTED),
        (UseLogTampered, Electricity.UNAVAILABLE),
        (StoreOutdated, Electricity.UNAVAILABLE),
        (NotPermitted, Electricity.UNAVAILABLE),
    ],
)
def test_what_is_wrong_in_a_grid_companys_house_does_not_end_a_banks_score(watched, word, electricity, monkeypatch):
    monkeypatch.setattr(HiddenGrid, "first", lambda *_, **__: refusing_with(word))
    found = watched.network.score(query(customers(watched.trained)[0]))
    assert (found.basis, found.electricity) == (Basis.BANK_ONLY, electricity)
    monkeypatch.setattr(HiddenGrid, "first", lambda *_, **__: refusing_with(ConsentWithdrawn))
    with pytest.raises(ConsentWithdrawn):
        watched.network.score(query(customers(watched.trained)[1]))


def refusing_with(word):
    raise word("so says the grid company")


def test_who_takes_no_part_in_a_version_is_dealt_nothing(watched):
    dealer = watched.desk.peers["bank-jinji"]
    asked = Deal(version=request_of(watched, "").model, grid="grid-none", queries=[bytes(32)], explained=False)
    with pytest.raises(NotPermitted, match="grid-none takes no part"):
        dealer.ask("/deal", asked, AllDealt)


@pytest.mark.parametrize("step", ["shuffled", "answered"])
def test_a_grid_company_that_begins_anew_between_two_steps_is_as_good_as_silent(watched, step, monkeypatch):
    subject, other, *_ = watched.filled()
    grid = watched.sides.grids[GRID]
    real = getattr(grid, step)

    def after_a_restart(*given):
        watched.apart.stop(GRID)
        watched.apart.serve(GRID)
        return real(*given)

    monkeypatch.setattr(grid, step, after_a_restart)
    found = watched.network.score(query(subject))
    assert (found.basis, found.electricity) == (Basis.BANK_ONLY, Electricity.UNAVAILABLE)
    monkeypatch.undo()
    assert watched.network.score(query(other)).basis is Basis.JOINT


def test_a_dealer_that_refuses_is_not_asked_ahead_at_once_again(watched, monkeypatch):
    subject, other, *_ = watched.filled()

    def refusing(*_, **__):
        raise NotPermitted("not now")

    monkeypatch.setattr(NodeDealer, "deal", refusing)
    while len(watched.stock) > watched.sides._ahead // 2:
        watched.stock.popleft()
    for each in (subject, other):
        assert watched.network.score(query(each)).basis is Basis.JOINT
        until(lambda: not watched.sides._refilling)
    assert watched.sent.count((GRID, "/begin")) == 1


def test_a_grid_company_that_hangs_takes_no_other_ones_turns(watched):
    held, asked = threading.Event(), []
    for _ in range(2 * AT_ONCE):
        asked.append(watched.network._pools["grid-gaoxin"].submit(held.wait, 20))
    found = watched.network.score(query(customers(watched.trained)[0]))
    held.set()
    assert (found.basis, found.electricity) == (Basis.JOINT, Electricity.INCLUDED)


def request_of(watched, subject):
    version = watched.desk.oversight.lifecycle().champion
    return PartialRequest(BANK, subject, f"CONS-{subject}", Purpose.CREDIT_APPLICATION, NOW, version)


def model_of(watched):
    return watched.desk.models.approved(watched.desk.oversight.lifecycle().champion, NOW)


def test_the_oldest_make_room():
    once = Once()
    for number in range(UNDER_WAY + 1):
        once.put(number.to_bytes(2, "big"), number)
    with pytest.raises(QueryLost):
        once.take((0).to_bytes(2, "big"))
    assert once.take((1).to_bytes(2, "big")) == 1
