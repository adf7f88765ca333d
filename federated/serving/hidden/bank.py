"""A bank's side of a query: it knows the weights, is told the score, and opens four reasons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from federated.consent.uses import Action
from federated.errors import NodeUnavailable, NotPermitted
from federated.governance.served import ApprovedModels
from federated.governance.weights import ScoringModel
from federated.models.served.hidden import HiddenFunction
from federated.models.served.reasons import POINT, RankedReason, Reason, strength_of, top_reasons
from federated.models.served.scaling import score_of
from federated.models.served.scorer import PartyScorer
from federated.nodes.bank import BankNode
from federated.nodes.node import PartialRequest
from federated.nodes.wording import reason_together
from federated.privacy.vertical.hidden_function import BankSide, IntArray
from federated.privacy.vertical.hidden_weights import BankWeights, ServedWeights
from federated.privacy.vertical.ring import Ring
from federated.serving.hidden.common import (
    ANSWERED,
    ASKED,
    DEALT,
    FACTORS,
    FIRST,
    MASK_KEY,
    SHUFFLED,
    TOLD,
    Once,
    Ready,
    dealer_for,
    dealers_key,
    hidden_of,
    shape_of,
)
from federated.serving.hidden.naming import filled, named_places, reason_said, together
from federated.serving.hidden.seals import PAIR, Link, dealing_hash, dealt_to, fresh_nonce, query_hash


@dataclass(frozen=True, slots=True)
class Opening:
    """How a bank begins: its nonce, and who deals (None: the operator)."""

    nonce: bytes
    function_id: str
    dealer: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a bank's own systems are told: whole points, and at most four reasons of both parties, strongest first."""

    score: int
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class _Begun:
    request: PartialRequest
    grid: str
    function: HiddenFunction
    weights: ServedWeights
    operator: bytes | None
    explained: bool
    side: BankSide | None = None


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A query whose value was told: with the score, the own reasons, and by which strengths others are named."""

    request: PartialRequest
    side: BankSide
    link: Link
    dealt: Ring
    score: int
    own: tuple[RankedReason, ...]
    # Of the grid company's function: points above the reference, and those of reference customers together.
    points: float
    together: float | None
    strengths: tuple[int, ...] = ()


class HiddenBank:
    """Answers `begin`, `factors`, then `scored`, or for reasons `told`, `asked` and `finished`, each once a query."""

    def __init__(self, node: BankNode, models: ApprovedModels) -> None:
        self.node, self._models, self._weights = node, models, Ready[ServedWeights]()
        self._begun, self._told, self._asked = Once[_Begun](), Once[_UnderWay](), Once[_UnderWay]()

    def begin(
        self,
        request: PartialRequest,
        grid: str,
        operator: bytes | None = None,
        *,
        explained: bool = True,
        nonce: bytes = b"",
    ) -> Opening:
        """Begin a query at a grid company. `operator` is the public key of one that deals to a pair alone, `nonce` the
        one that was dealt for, if that was done ahead.

        Raises `NotPermitted` for another bank's request, `NodeUnavailable` if this bank or the grid company has no part
        in the function, `ModelCorrupt` for weights that are not the version's, and what `ApprovedModels.approved` does.
        """
        if request.bank_id != self.node.org_id:
            raise NotPermitted("a bank can only ask for its own customers", bank_id=request.bank_id)
        model = self._models.approved(request.model, self.node.now())
        function = hidden_of(model)
        of, bank = function.function_id, self.node.org_id
        # A bank that lost its part finds out before a grid company counts the query.
        self.node.opened_function(model.joint_bank)
        if bank not in function.banks or grid not in function.committed:
            raise NodeUnavailable(f"{bank} and {grid} have no part in the function of {request.model}", node=bank)
        weights = self._weights.get(
            f"{of} {grid}", lambda: ServedWeights.of(function, self.node.kept_function(of), grid)
        )
        nonce = nonce or fresh_nonce()
        self._begun.put(nonce, _Begun(request, grid, function, weights, operator, explained))
        return Opening(nonce, of, dealer_for(function, bank, grid))

    def mask_key(self, nonce: bytes, grid_nonce: bytes) -> bytes:
        """The key of the mask of weights, sealed for an operator that deals. Raises `NotPermitted` if none does."""
        begun = self._begun.take(nonce)
        self._begun.put(nonce, begun)
        function, grid = begun.function, begun.grid
        if dealer_for(function, self.node.org_id, grid) is not None or begun.operator is None:
            raise NotPermitted("a node deals to this pair")
        key = BankWeights.from_bytes(self.node.kept_function(function.function_id)).mask_key(grid)
        dealing = self._dealing(begun, nonce, grid_nonce)
        link = Link(self.node.dealt_key(begun.operator), dealing, self._dealt_to(begun))
        return link.seal(MASK_KEY, np.frombuffer(key, dtype="<u8").astype(np.uint64))

    def factors(self, nonce: bytes, grid_nonce: bytes) -> bytes | None:
        """What the own columns make of factors that are multiplied, behind masks, sealed for the grid company; None if
        the function multiplies none, or without a file. Raises consent errors."""
        begun = self._begun.take(nonce)
        if begun.side is not None:
            # Behind the same masks another file's factors would tell by how much they differ.
            raise NotPermitted("factors were said before in this query")
        between, factors = begun.function.interactions, begun.weights.factors
        values = None if between is None else self.node.values_for(begun.request)
        if between is None or factors is None or values is None:
            self._begun.put(nonce, begun)
            return None
        query = self._query(begun, nonce, grid_nonce)
        dealer = self._dealer(begun, self._dealing(begun, nonce, grid_nonce))
        side = BankSide(shape_of(begun.function), dealer.tape, begun.weights.weights)
        told = side.begun(factors.ours @ between.bank.of(values))
        self._begun.put(nonce, replace(begun, side=side))
        return Link(self.node.mask_key(begun.grid), query, PAIR).seal(FACTORS, told)

    def scored(self, nonce: bytes, grid_nonce: bytes, first: bytes, dealt: bytes) -> Answer | None:
        """The score without reasons; None without a file. Raises as `told`."""
        found = self._received(self._begun.take(nonce), nonce, grid_nonce, first, dealt)
        return None if found is None else Answer(found.score, ())

    def told(self, nonce: bytes, grid_nonce: bytes, first: bytes, dealt: bytes) -> bytes | None:
        """What the bank says of its shares, sealed for the grid company; None without a file.

        Raises consent errors and `InvalidTime`, `SealBroken`, `AggregationFailed`, `NotPermitted`.
        """
        begun = self._begun.take(nonce)
        if not begun.explained:
            raise NotPermitted("no reasons were asked for in this query")
        found = self._received(begun, nonce, grid_nonce, first, dealt)
        if found is None:
            return None
        self._told.put(nonce, found)
        return found.link.seal(TOLD, found.side.told())

    def asked(self, nonce: bytes, shuffled: bytes) -> bytes:
        """What the bank asks by for four reasons, always, sealed for the grid company. Raises as `told`."""
        query = self._told.take(nonce)
        with self.node.refusals_logged(query.request):
            contributions = query.side.contributions(query.link.open(SHUFFLED, shuffled))
        own = (*query.own, *self._together(query, contributions))
        named = named_places(contributions, own, self.node.schema.grid.code_prefix)
        strengths = tuple(strength_of(float(contributions[place]) * POINT) for place in named)
        asked = query.side.asked(filled(named, len(contributions)))
        self._asked.put(nonce, replace(query, own=own, strengths=strengths))
        return query.link.seal(ASKED, asked)

    def _together(self, query: _UnderWay, contributions: IntArray) -> tuple[RankedReason, ...]:
        if query.together is None:
            return ()
        strength = together(query.points, contributions, query.together)
        schema = self.node.schema
        return () if strength is None else (RankedReason(reason_together(schema.bank, schema.grid), strength),)

    def finished(self, nonce: bytes, answered: bytes) -> Answer:
        """The score and the reasons. Raises as `told`."""
        query = self._asked.take(nonce)
        self.node.require_allowed_still(query.request)
        party = self.node.schema.grid
        with self.node.refusals_logged(query.request):
            said = query.side.opened(query.link.open(ANSWERED, answered), query.dealt)
        named = zip((reason_said(each, party) for each in said), query.strengths, strict=False)
        theirs = [RankedReason(reason, strength) for reason, strength in named if reason is not None]
        return Answer(query.score, top_reasons([*query.own, *theirs]))

    def _query(self, begun: _Begun, nonce: bytes, grid_nonce: bytes) -> bytes:
        of, explained = begun.function.function_id, begun.explained
        return query_hash(begun.request.text(), nonce, grid_nonce, of, explained=explained)

    @staticmethod
    def _dealing(begun: _Begun, nonce: bytes, grid_nonce: bytes) -> bytes:
        return dealing_hash(nonce, grid_nonce, begun.function.function_id, explained=begun.explained)

    def _dealer(self, begun: _Begun, dealing: bytes) -> Link:
        bank = self.node.org_id
        key = dealers_key(self.node, begun.function, bank, begun.grid, begun.operator)
        return Link(key, dealing, self._dealt_to(begun))

    def _dealt_to(self, begun: _Begun) -> str:
        bank, of = self.node.org_id, begun.function.function_id
        return dealt_to(bank, bank, begun.grid, of, explained=begun.explained)

    def _received(self, begun: _Begun, nonce: bytes, grid_nonce: bytes, first: bytes, dealt: bytes) -> _UnderWay | None:
        """The query with its value: from the own columns, and what the grid company said first."""
        request, function, bank = begun.request, begun.function, self.node.org_id
        query = self._query(begun, nonce, grid_nonce)

        def prepared(now: datetime) -> tuple[ScoringModel, PartyScorer, BankSide, Link, float, Ring]:
            model = self._models.approved(request.model, now)
            own = self.node.opened_function(model.joint_bank)
            dealer = self._dealer(begun, self._dealing(begun, nonce, grid_nonce))
            link = Link(self.node.mask_key(begun.grid), query, PAIR)
            side = begun.side or BankSide(shape_of(function), dealer.tape, begun.weights.weights)
            return model, own, side, link, side.points(link.open(FIRST, first)), dealer.open(DEALT, dealt)

        found = self.node.admitted(request, Action.SCORE if begun.explained else Action.SHADOW_SCORE, prepared)
        if found is None:
            return None
        values, (model, scorer, side, link, points, told) = found
        own, ranked = self.node.evaluated(scorer, values, explained=begun.explained)
        logit = own + begun.weights.at_reference + POINT * points
        score = score_of(model.calibrated(logit, bank, alone=False))
        held = begun.weights
        typical = None if held.factors is None else held.together_at_reference / POINT
        return _UnderWay(request, side, link, told, score, ranked, points, typical)
