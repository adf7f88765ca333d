"""One query of a hidden function as the operator passes it on: from one node to another, sealed, in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from federated.errors import NodeUnavailable
from federated.governance.served import ApprovedModels
from federated.governance.weights import ScoringModel
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.nodes.node import PartialRequest
from federated.serving.hidden.bank import Answer, HiddenBank, Opening
from federated.serving.hidden.common import hidden_of
from federated.serving.hidden.dealer import Dealt, NodeDealer, OperatorDealer
from federated.serving.hidden.grid import HiddenGrid
from federated.serving.hidden.seals import query_hash


class AskedGrid(Protocol):
    """A grid company's side of queries, here (`HiddenGrid`) or in a process of its own."""

    @property
    def name(self) -> str:
        """The grid company."""
        ...

    def begin(self, request: PartialRequest, operator: bytes | None = None, *, explained: bool = True) -> bytes:
        """As `HiddenGrid.begin`."""
        ...

    def first(self, nonce: bytes, bank_nonce: bytes, dealt: bytes, factors: bytes | None = None) -> bytes | None:
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

    def deal(self, version: str, bank: str, grid: str, query: bytes, *, explained: bool) -> Dealt:
        """As `NodeDealer.deal`."""
        ...


class Conversations:
    """Sides of queries by name, and the operator between them, which deals where all nodes of a pair are here."""

    def __init__(
        self,
        banks: Mapping[str, HiddenBank],
        grids: Mapping[str, AskedGrid],
        dealers: Mapping[str, AskedDealer],
    ) -> None:
        self.banks, self.grids, self.dealers = dict(banks), dict(grids), dict(dealers)
        self.operator = OperatorDealer()

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
        bank, grid, public = self.banks[request.bank_id], self.grids[grid_id], self.operator.public
        opening = bank.begin(request, grid_id, public, explained=explained)
        grid_nonce = grid.begin(request, public, explained=explained)
        dealt = self._dealt(request, model, grid, opening, grid_nonce, explained=explained)
        factors = bank.factors(opening.nonce, grid_nonce)
        first = grid.first(grid_nonce, opening.nonce, dealt.grid, factors)
        if first is None:
            return None
        if not explained:
            return bank.scored(opening.nonce, grid_nonce, first, dealt.bank)
        told = bank.told(opening.nonce, grid_nonce, first, dealt.bank)
        if told is None:
            return None
        asked = bank.asked(opening.nonce, grid.shuffled(grid_nonce, told))
        return bank.finished(opening.nonce, grid.answered(grid_nonce, asked))

    def _dealt(
        self, request: PartialRequest, model: ScoringModel, grid: AskedGrid, opening: Opening, grid_nonce: bytes,
        *, explained: bool,
    ) -> Dealt:  # fmt: skip
        text, bank = request.text(), self.banks[request.bank_id]
        query = query_hash(text, opening.nonce, grid_nonce, opening.function_id, explained=explained)
        if opening.dealer is None:
            if not isinstance(grid, HiddenGrid):
                raise NodeUnavailable("nobody deals to a pair of nodes apart in a network of two", node=grid.name)
            key = bank.mask_key(opening.nonce, grid_nonce)
            return self.operator.deal(hidden_of(model), bank.node, grid.node, query, key, explained=explained)
        dealer = self.dealers.get(opening.dealer)
        if dealer is None:
            raise NodeUnavailable(f"{opening.dealer}, which deals, does not answer", node=opening.dealer)
        return dealer.deal(request.model, request.bank_id, grid.name, query, explained=explained)
