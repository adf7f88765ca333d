"""One query of a hidden function as the operator passes it on: from one node to another, sealed, in order.

What a third node deals has nothing of a customer in it: between nodes apart it is asked for ahead, many at once, so
that a query itself has three messages there and back (the offline and the on-line phase of Beaver, CRYPTO 1995).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from federated.errors import NodeUnavailable, QueryLost, SealBroken
from federated.governance.served import ApprovedModels
from federated.governance.weights import ScoringModel
from federated.models.served.hidden import HiddenFunction
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.nodes.node import PartialRequest
from federated.serving.hidden.bank import Answer, HiddenBank, Opening
from federated.serving.hidden.common import dealer_for, hidden_of
from federated.serving.hidden.dealer import Dealt, NodeDealer, OperatorDealer
from federated.serving.hidden.grid import HiddenGrid
from federated.serving.hidden.seals import dealing_hash, fresh_nonce

# How long nothing is dealt ahead after a try that failed.
REFUSED_S = 30.0


class AskedGrid(Protocol):
    """A grid company's side of queries, here (`HiddenGrid`) or in a process of its own."""

    @property
    def name(self) -> str:
        """The grid company."""
        ...

    def begin(self, bank: str, count: int = 1) -> list[bytes]:
        """As `HiddenGrid.begin`."""
        ...

    def first(
        self,
        request: PartialRequest,
        nonce: bytes,
        bank_nonce: bytes,
        dealt: bytes,
        factors: bytes | None = None,
        operator: bytes | None = None,
        *,
        explained: bool = True,
    ) -> bytes | None:
        """As `HiddenGrid.first`."""
        ...

    def shuffled(self, nonce: bytes, told: bytes) -> bytes:
        """As `HiddenGrid.shuffled`."""
        ...

    def answered(self, nonce: bytes, asked: bytes) -> bytes:
        """As `HiddenGrid.answered`."""
        ...


class AskedDealer(Protocol):
    """A dealer of pairs, here (`NodeDealer`) or in a process of its own."""

    def deal(self, version: str, bank: str, grid: str, queries: Sequence[bytes], *, explained: bool) -> list[Dealt]:
        """As `NodeDealer.deal`."""
        ...


@dataclass(frozen=True, slots=True)
class Pair:
    """Both nonces of a query, and what was dealt for it: nothing yet where the operator deals."""

    bank: bytes
    grid: bytes
    dealt: Dealt | None


# Which queries a pair is for: version, bank, grid company, with reasons or without.
Wanted = tuple[str, str, str, bool]


class Conversations:
    """Sides of queries by name, and the operator between them, which deals where all nodes of a pair are here.

    `ahead` is for how many queries of a pair is dealt before they are asked, at once; `close` ends that.
    """

    def __init__(
        self,
        banks: Mapping[str, HiddenBank],
        grids: Mapping[str, AskedGrid],
        dealers: Mapping[str, AskedDealer],
        ahead: int = 0,
    ) -> None:
        self.banks, self.grids, self.dealers = dict(banks), dict(grids), dict(dealers)
        self.operator, self._ahead = OperatorDealer(), ahead
        self._stock: dict[Wanted, deque[Pair]] = {}
        self._refilling: set[Wanted] = set()
        self._not_before: dict[Wanted, float] = {}
        self._gate = threading.Lock()
        self._refills = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dealt-ahead")

    @staticmethod
    def of(nodes: Iterable[BankNode | GridNode], models: ApprovedModels) -> Conversations:
        """Of one machine's nodes."""
        every = list(nodes)
        return Conversations(
            {n.org_id: HiddenBank(n, models) for n in every if isinstance(n, BankNode)},
            {n.org_id: HiddenGrid(n, models) for n in every if isinstance(n, GridNode)},
            {n.org_id: NodeDealer(n, models) for n in every},
        )

    def score(self, request: PartialRequest, model: ScoringModel, grid_id: str, *, explained: bool) -> Answer | None:
        """What the bank is told of one query; None if either side has no file.

        Raises what the sides raise, and `NodeUnavailable` for a dealer that is not there.
        """
        wanted = (request.model, request.bank_id, grid_id, explained)
        pair = self._from_stock(wanted, hidden_of(model))
        if pair is not None:
            try:
                return self._score(request, model, pair, wanted)
            except _Forgotten:
                # The grid company's node began anew since: nothing was looked at, and what was dealt is of no use.
                self._drop(wanted)
            except SealBroken:
                # Who dealt badly once dealt all of it: the next query asks anew.
                self._drop(wanted)
                raise
        try:
            return self._score(request, model, None, wanted)
        except _Forgotten as error:
            raise error.lost from error

    def _score(self, request: PartialRequest, model: ScoringModel, ahead: Pair | None, wanted: Wanted) -> Answer | None:
        _, bank_id, grid_id, explained = wanted
        bank, grid, public = self.banks[bank_id], self.grids[grid_id], self.operator.public
        nonce = b"" if ahead is None else ahead.bank
        opening = bank.begin(request, grid_id, public, explained=explained, nonce=nonce)
        pair = ahead or self._begun(wanted, opening, hidden_of(model))
        dealt = pair.dealt or self._by_operator(model, bank, grid, pair, explained=explained)
        factors = bank.factors(pair.bank, pair.grid)
        try:
            first = grid.first(request, pair.grid, pair.bank, dealt.grid, factors, public, explained=explained)
        except QueryLost as error:
            raise _Forgotten(error) from error
        if first is None:
            return None
        if not explained:
            return bank.scored(pair.bank, pair.grid, first, dealt.bank)
        told = bank.told(pair.bank, pair.grid, first, dealt.bank)
        if told is None:
            return None
        asked = bank.asked(pair.bank, grid.shuffled(pair.grid, told))
        return bank.finished(pair.bank, grid.answered(pair.grid, asked))

    def _begun(self, wanted: Wanted, opening: Opening, function: HiddenFunction) -> Pair:
        """For one query that was begun, and more of its kind in the background."""
        if opening.dealer is None:
            _, bank, grid, _ = wanted
            return Pair(opening.nonce, self.grids[grid].begin(bank)[0], None)
        (found,) = self._prepared(wanted, function, opening.dealer, [opening.nonce])
        self._refill(wanted, function)
        return found

    def _prepared(
        self, wanted: Wanted, function: HiddenFunction, dealer_id: str, nonces: Sequence[bytes]
    ) -> list[Pair]:
        version, bank, grid, explained = wanted
        dealer = self.dealers.get(dealer_id)
        if dealer is None:
            raise NodeUnavailable(f"{dealer_id}, which deals, does not answer", node=dealer_id)
        theirs = self.grids[grid].begin(bank, len(nonces))
        hashes = [
            dealing_hash(own, their, function.function_id, explained=explained)
            for own, their in zip(nonces, theirs, strict=True)
        ]
        dealt = dealer.deal(version, bank, grid, hashes, explained=explained)
        return [Pair(*each) for each in zip(nonces, theirs, dealt, strict=True)]

    def _by_operator(
        self, model: ScoringModel, bank: HiddenBank, grid: AskedGrid, pair: Pair, *, explained: bool
    ) -> Dealt:
        if not isinstance(grid, HiddenGrid):
            raise NodeUnavailable("nobody deals to a pair of nodes apart in a network of two", node=grid.name)
        function = hidden_of(model)
        query = dealing_hash(pair.bank, pair.grid, function.function_id, explained=explained)
        key = bank.mask_key(pair.bank, pair.grid)
        return self.operator.deal(function, bank.node, grid.node, query, key, explained=explained)

    def _from_stock(self, wanted: Wanted, function: HiddenFunction) -> Pair | None:
        with self._gate:
            stock = self._stock.get(wanted)
            found = stock.popleft() if stock else None
            left = len(stock) if stock else 0
        if found is not None and left <= self._ahead // 2:
            self._refill(wanted, function)
        return found

    def _drop(self, wanted: Wanted) -> None:
        with self._gate:
            self._stock.pop(wanted, None)

    def _refill(self, wanted: Wanted, function: HiddenFunction) -> None:
        _, bank, grid, _ = wanted
        dealer = dealer_for(function, bank, grid)
        with self._gate:
            early = time.monotonic() < self._not_before.get(wanted, 0.0)
            if dealer is None or self._ahead == 0 or wanted in self._refilling or early:
                return
            self._refilling.add(wanted)
        self._refills.submit(self._refilled, wanted, function, dealer)

    def _refilled(self, wanted: Wanted, function: HiddenFunction, dealer: str) -> None:
        version, *rest = wanted
        try:
            made = self._prepared(wanted, function, dealer, [fresh_nonce() for _ in range(self._ahead)])
        except Exception:  # whatever it was, the next query asks for itself, and says what is wrong
            made = []
        with self._gate:
            self._refilling.discard(wanted)
            # Each try begins queries at the grid company's, which has room for so many and forgets the oldest.
            self._not_before[wanted] = 0.0 if made else time.monotonic() + REFUSED_S
            # A version that another replaced is not asked any more.
            self._stock = {
                key: each for key, each in self._stock.items() if key[1:] != tuple(rest) or key[0] == version
            }
            self._stock.setdefault(wanted, deque()).extend(made)

    def close(self) -> None:
        """Have nothing dealt ahead any more."""
        self._ahead = 0
        self._refills.shutdown(wait=False, cancel_futures=True)


class _Forgotten(Exception):
    """A grid company does not wait for a query that was begun: before anything of it was looked at."""

    def __init__(self, lost: QueryLost) -> None:
        super().__init__(lost.detail)
        self.lost = lost
