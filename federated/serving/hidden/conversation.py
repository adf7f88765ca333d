"""One query of a hidden function as the operator passes it on: from one node to another, sealed, in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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


class Conversations:
    """All sides of one machine's nodes, by name, and the operator between them."""

    def __init__(self, nodes: Iterable[BankNode | GridNode], models: ApprovedModels) -> None:
        every = list(nodes)
        self.banks = {n.org_id: HiddenBank(n, models) for n in every if isinstance(n, BankNode)}
        self.grids = {n.org_id: HiddenGrid(n, models) for n in every if isinstance(n, GridNode)}
        self.dealers: Mapping[str, NodeDealer] = {n.org_id: NodeDealer(n, models) for n in every}
        self.operator = OperatorDealer()

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
        self, request: PartialRequest, model: ScoringModel, grid: HiddenGrid, opening: Opening, grid_nonce: bytes,
        *, explained: bool,
    ) -> Dealt:  # fmt: skip
        text, bank = request.text(), self.banks[request.bank_id]
        query = query_hash(text, opening.nonce, grid_nonce, opening.function_id, explained=explained)
        if opening.dealer is None:
            key = bank.mask_key(opening.nonce, grid_nonce)
            return self.operator.deal(hidden_of(model), bank.node, grid.node, query, key, explained=explained)
        dealer = self.dealers.get(opening.dealer)
        if dealer is None:
            raise NodeUnavailable(f"{opening.dealer}, which deals, does not answer", node=opening.dealer)
        return dealer.deal(request.model, request.bank_id, grid.node.org_id, query, explained=explained)
