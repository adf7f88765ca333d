"""A grid company's side of a query: it knows the customer's columns and masked weights."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from federated.consent.uses import Action
from federated.governance.served import ApprovedModels
from federated.models.served.hidden import HiddenFunction
from federated.nodes.grid import GridNode
from federated.nodes.node import PartialRequest
from federated.privacy.vertical.hidden_function import GridSide
from federated.privacy.vertical.hidden_weights import require_weights
from federated.privacy.vertical.ring import Ring
from federated.serving.hidden.common import (
    ANSWERED,
    ASKED,
    DEALT,
    FACTORS,
    FIRST,
    SHUFFLED,
    TOLD,
    Once,
    Ready,
    dealers_key,
    hidden_of,
    shape_of,
)
from federated.serving.hidden.naming import said_of
from federated.serving.hidden.seals import PAIR, Link, dealing_hash, dealt_to, fresh_nonce, query_hash


@dataclass(frozen=True, slots=True)
class _UnderWay:
    request: PartialRequest
    side: GridSide
    link: Link
    said: Ring


class HiddenGrid:
    """Answers `begin`, `first` and, for reasons, `shuffled` and `answered`, each once a query."""

    def __init__(self, node: GridNode, models: ApprovedModels) -> None:
        self.node, self._models, self._weights = node, models, Ready[Ring]()
        # By bank: one that begins queries without end makes others lose none.
        self._begun: defaultdict[str, Once[None]] = defaultdict(Once[None])
        self._told, self._asked = Once[_UnderWay](), Once[_UnderWay]()

    @property
    def name(self) -> str:
        """The grid company."""
        return self.node.org_id

    def begin(self, bank: str, count: int = 1) -> list[bytes]:
        """Nonces for so many queries of a bank, each for one: nothing is known of them yet."""
        nonces = [fresh_nonce() for _ in range(count)]
        for nonce in nonces:
            self._begun[bank].put(nonce, None)
        return nonces

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
        """The customer's entries behind a mask and the share of the value, sealed for the bank; None without a file.

        `factors` are what the bank said of its own, if the function multiplies any; `operator` is the public key of one
        that deals to a pair alone.

        Raises as `GridNode.partial`, and `SealBroken`, `ModelCorrupt` for masked weights that are not the version's,
        `NodeUnavailable` without any, `QueryLost` for a query that was not begun by this bank, or was answered.
        """
        self._begun[request.bank_id].take(nonce)

        def prepared(now: datetime) -> tuple[HiddenFunction, GridSide, Link, Ring | None]:
            function = hidden_of(self._models.approved(request.model, now))
            query = query_hash(request.text(), bank_nonce, nonce, function.function_id, explained=explained)
            bank, grid = request.bank_id, self.node.org_id
            dealing = dealing_hash(bank_nonce, nonce, function.function_id, explained=explained)
            purpose = dealt_to(grid, bank, grid, function.function_id, explained=explained)
            dealer = Link(dealers_key(self.node, function, bank, grid, operator), dealing, purpose)
            told, weights = dealer.open(DEALT, dealt), self._weights_of(function)
            side = GridSide(shape_of(function), dealer.tape, weights, told, explained=explained)
            pair = Link(self.node.mask_key(bank), query, PAIR)
            return function, side, pair, None if factors is None else pair.open(FACTORS, factors)

        found = self.node.admitted(request, Action.SCORE if explained else Action.SHADOW_SCORE, prepared)
        if found is None:
            return None
        values, (function, side, link, multiplied) = found
        first = side.first(function.entries(values), multiplied)
        if explained:
            self._told.put(nonce, _UnderWay(request, side, link, said_of(function, values)))
        return link.seal(FIRST, first)

    def shuffled(self, nonce: bytes, told: bytes) -> bytes:
        """All contributions in an order of this query, behind the bank's mask, sealed for it.

        Raises consent errors, `SealBroken`, `NotPermitted`, and `AggregationFailed` for shares of other weights.
        """
        query = self._told.take(nonce)
        self.node.require_allowed_still(query.request)
        with self.node.refusals_logged(query.request):
            answer = query.side.shuffled(query.link.open(TOLD, told))
        self._asked.put(nonce, query)
        return query.link.seal(SHUFFLED, answer)

    def answered(self, nonce: bytes, asked: bytes) -> bytes:
        """What is said of each feature, of which the bank can open four, sealed for it. Raises as `shuffled`."""
        query = self._asked.take(nonce)
        self.node.require_allowed_still(query.request)
        with self.node.refusals_logged(query.request):
            answer = query.side.answered(query.link.open(ASKED, asked), query.said)
        return query.link.seal(ANSWERED, answer)

    def _weights_of(self, function: HiddenFunction) -> Ring:
        of, name = function.function_id, self.node.org_id
        return self._weights.get(of, lambda: require_weights(function, name, self.node.masked_weights(of)))
