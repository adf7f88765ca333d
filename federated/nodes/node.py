"""What banks and grid companies have in common: consents, the consent check, and the partial score of one customer."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

import numpy as np

from federated.consent.checking import check
from federated.consent.instants import TOLERANCE, Clock, require_near, system_clock
from federated.consent.record import ConsentRecord, Purpose
from federated.consent.store import ConsentStore
from federated.consent.uses import ANSWERED, NO_FILE, Action, Use
from federated.errors import FederatedError, NotPermitted, SchemaMismatch, VersionNotApproved
from federated.models.encoding.binning import Binning, IntArray
from federated.models.encoding.ramps import FloatArray
from federated.models.served.kept import KeptFunction
from federated.models.served.reasons import RankedReason, Reason, strength_of, strongest
from federated.models.served.scorer import PartyScorer
from federated.nodes import functions
from federated.nodes.consenting import ConsentingNode
from federated.nodes.keys import MASK, first_key
from federated.nodes.masks import mask_of, masked, new_secret, public_of, shared_key
from federated.nodes.store import NodeStore
from federated.nodes.wording import kind_of, reason_of

PEER_STATE = "peer mask key "
# No node is called so: it stands for a network's operator where that deals.
OPERATOR = "\0operator"
COUNTED_IN = 10
# Functions that a node keeps ready: of a champion and its challenger, each with its companion.
OPENED_MAX = 4


@dataclass(frozen=True, slots=True)
class PartialRequest:
    """Asks a node for its share of one customer's logit. `bank_id` is the bank on whose behalf the query runs.

    `at` makes both parties' masks those of one query; what a node counts and checks by time goes by its own clock.
    """

    bank_id: str
    subject_id: str
    consent_id: str
    purpose: Purpose
    at: datetime
    model: str

    def text(self) -> str:
        """All that the query says, as one string: equal for both parties, different for different queries."""
        parts = (self.bank_id, self.subject_id, self.consent_id, self.purpose.value, self.at.isoformat(), self.model)
        return "\0".join(parts)


Prepared = TypeVar("Prepared")


class Models(Protocol):
    """Where a node finds what it computes with: never with who asks. `governance.served` is the one in use."""

    def scorer(self, version: str, role: str, at: datetime, *, joint: bool) -> PartyScorer | KeptFunction:
        """The function of a `role` in a version whose approval holds at `at`.

        Raises `VersionNotFound`, `VersionNotApproved`, `ModelCorrupt`, and `NotPermitted` for a joint score by a hidden
        function, which no node computes alone.
        """
        ...

    def is_challenger(self, version: str, at: datetime) -> bool:
        """Whether this version is scored in the shadow of the champion at `at`."""
        ...

    def hidden_in_use(self) -> frozenset[str]:
        """Ids of functions that nodes keep parts of, of versions that score, or may come to. Raises `ModelCorrupt`."""
        ...


@dataclass(frozen=True, slots=True)
class PartialScore:
    """What a node gives the operator to pass on: its share of the logit of default, masked (see `nodes.masks`).

    With a grid company's come its strongest reasons, sealed for the bank (see `nodes.seals`). No raw value.
    """

    org_id: str
    share: int
    sealed: bytes = b""


class Node(ConsentingNode):
    """Base of both kinds of node. Everything it knows is in its own store, but for the `models` it scores with.

    A caller gives it neither a function nor a key: with a function of its choosing it would read a column, with a key
    of its choosing it would take the mask off.
    """

    def __init__(self, store: NodeStore, clock: Clock = system_clock, models: Models | None = None) -> None:
        super().__init__(store, clock)
        self._models = models
        self._opened_functions: dict[str, PartyScorer] = {}
        self._lending = np.array(store.schema.party(store.role).lending, dtype=np.int64)
        self._keys: dict[str, bytes] = {}
        self._gate = threading.Lock()

    def _allowed(self, consents: ConsentStore, request: PartialRequest, now: datetime) -> ConsentRecord:
        return check(
            consents.get(request.consent_id),
            authority=self.store.authority,
            ended=self.store.ended_keys,
            subject_id=request.subject_id,
            bank_id=request.bank_id,
            purpose=request.purpose,
            scope=self.party.scope,
            org_id=self.org_id,
            at=now,
        )

    def admitted(
        self, request: PartialRequest, action: Action, prepared: Callable[[datetime], Prepared]
    ) -> tuple[FloatArray, Prepared] | None:
        """The subject's values that a model reads, and what is `prepared` at this node's own time; None without a file.

        Consent is checked and the use logged in one transaction: what is answered was logged before, and a withdrawal
        comes before it or after it. Raises consent errors, `InvalidTime`, what `prepared` raises, and
        `QueryBudgetSpent`: they are logged as well.
        """
        found: tuple[FloatArray, Prepared] | None = None
        refusal: FederatedError | None = None
        with self.store.consents(write=True) as consents:
            now = self._clock()
            try:
                require_near(request.at, now)
                self._allowed(consents, request, now)
                ready = prepared(now)
                values = self.store.values_of(request.subject_id)
                if values is not None:
                    action = self._counted_as(consents, request, action, now)
                    self._require_budget(consents, request, action, now)
                    found = values[self._lending], ready
            except FederatedError as error:
                refusal = error
            outcome = NO_FILE if found is None else ANSWERED
            self._log(consents, request, action, now, outcome if refusal is None else refusal.code)
        if refusal is not None:
            raise refusal
        return found

    def values_for(self, request: PartialRequest) -> FloatArray | None:
        """The values that a query will read, before it is admitted; None without a file.

        The use is logged where it is admitted: what is computed of them until then leaves this node behind masks, or
        not at all. Raises consent errors and logs them.
        """
        self.require_allowed_still(request)
        values = self.store.values_of(request.subject_id)
        return None if values is None else np.asarray(values[self._lending])

    def require_allowed_still(self, request: PartialRequest) -> None:
        """Check consent once more in a query that was admitted. Raises consent errors and logs them."""
        with self.refusals_logged(request), self.store.consents() as consents:
            self._allowed(consents, request, self._clock())

    @contextmanager
    def refusals_logged(self, request: PartialRequest) -> Iterator[None]:
        """Notes a refusal that happens within, in a query that was admitted."""
        try:
            yield
        except FederatedError as refusal:
            self._log_refusal(request, refusal)
            raise

    def _log_refusal(self, request: PartialRequest, refusal: FederatedError) -> None:
        with self.store.consents(write=True) as consents:
            self._log(consents, request, Action.SCORE, self._clock(), refusal.code)

    def _scorer(self, version: str, now: datetime, *, joint: bool) -> PartyScorer:
        if self._models is None:
            raise VersionNotApproved(f"{self.org_id} serves no model", node=self.org_id)
        return self.opened_function(self._models.scorer(version, self.role, now, joint=joint))

    def opened_function(self, function: PartyScorer | KeptFunction) -> PartyScorer:
        """A function to compute with: of one that banks keep, with this bank's weights.

        Raises `NodeUnavailable` if this node keeps none, `ModelCorrupt` for those of another function.
        """
        if isinstance(function, PartyScorer):
            return function
        of = function.function_id
        if of not in self._opened_functions:
            opened = function.opened(self.kept_function(of))
            self._opened_functions = dict([*self._opened_functions.items()][1 - OPENED_MAX :]) | {of: opened}
        return self._opened_functions[of]

    def _counted_as(self, consents: ConsentStore, request: PartialRequest, action: Action, now: datetime) -> Action:
        """A shadow score is one only of a challenger, and beside an answer of its own: who asks does not decide what
        counts.

        A question is put within `TOLERANCE` of its instant on either side, so its answer is at most twice that old.
        """
        since = now - 2 * TOLERANCE
        challenger = self._models is not None and self._models.is_challenger(request.model, now)
        beside = (
            action is Action.SHADOW_SCORE
            and challenger
            and (
                self.role == "bank"
                or consents.uses.lacks_shadow(request.bank_id, request.subject_id, request.consent_id, since)
            )
        )
        return Action.SHADOW_SCORE if beside else Action.SCORE

    def _require_budget(self, consents: ConsentStore, request: PartialRequest, action: Action, now: datetime) -> None:
        """A grid company refuses here what a bank may not ask any more; a bank asks itself as often as it likes."""

    @staticmethod
    def _log(consents: ConsentStore, request: PartialRequest, action: Action, now: datetime, outcome: str) -> None:
        purpose = request.purpose.value
        consents.uses.append(
            Use(now, action, request.bank_id, purpose, outcome, request.subject_id, request.consent_id)
        )

    def public_key(self) -> bytes:
        """This node's public key for masks, 32 bytes. Its private key is made at first use and kept (`nodes.keys`).

        Raises `NodeUnavailable` if it cannot be opened.
        """
        return public_of(self._secret())

    def _secret(self) -> bytes:
        with self._gate:
            return first_key(self.store, MASK, new_secret)

    def pin_peer(self, org_id: str, public_key: bytes) -> None:
        """Know another node by this key (32 bytes) from now on, in the own store.

        Raises `NotPermitted` if another key was pinned before: no caller exchanges one.
        """
        name = PEER_STATE + org_id
        if (self.store.state(name) or self.store.first_state(name, public_key)) != public_key:
            raise NotPermitted(f"{self.org_id} knows {org_id} by another key", node=self.org_id, peer=org_id)

    def mask_key(self, peer: str) -> bytes:
        """The key of the masks shared with a peer, 32 bytes. Raises `NotPermitted` if none of its keys is pinned."""
        if peer not in self._keys:
            pinned = self.store.state(PEER_STATE + peer)
            if pinned is None:
                raise NotPermitted(f"{self.org_id} knows no key of {peer}", node=self.org_id, peer=peer)
            self._keys[peer] = shared_key(self._secret(), pinned, "|".join(sorted((self.org_id, peer))))
        return self._keys[peer]

    def dealt_key(self, operator: bytes) -> bytes:
        """The key in common with an operator that deals, 32 bytes, by its public key: for a network of two alone."""
        name = OPERATOR + operator.hex()
        if name not in self._keys:
            # An operator has a new key whenever it begins anew.
            self._keys = {peer: key for peer, key in self._keys.items() if not peer.startswith(OPERATOR)}
            self._keys[name] = shared_key(self._secret(), operator, f"{OPERATOR}|{self.org_id}")
        return self._keys[name]

    def keep_dealing(self, function_id: str, grid_id: str, key: bytes) -> None:
        """Keep the key (32 bytes) of a grid company's mask in a hidden function that this node deals for.

        Raises `NotPermitted` if another is kept, `NodeUnavailable`.
        """
        functions.keep_dealing(self.store, function_id, grid_id, key)
        self.forget_functions()

    def kept_dealing(self, function_id: str, grid_id: str) -> bytes:
        """The key of a grid company's mask. Raises `NodeUnavailable` if this node was not told to deal for it."""
        return functions.kept_dealing(self.store, function_id, grid_id)

    def kept_function(self, function_id: str) -> bytes:
        """This node's part of a hidden function. Raises `NodeUnavailable` if it was given none."""
        return functions.kept_secret(self.store, function_id)

    def forget_functions(self) -> None:
        """Forget parts of hidden functions of no version in use, but the latest; a node without models forgets none."""
        if self._models is not None:
            functions.forget_unused(self.store, self._models.hidden_in_use)

    def _mask(self, request: PartialRequest, peer: str) -> int:
        """What this node adds to its logit: the pair's mask at the bank, its negative at the grid company."""
        mask = mask_of(self.mask_key(peer), request.text())
        return mask if self.role == "bank" else -mask

    def _partial(
        self, request: PartialRequest, peer: str | None, *, explained: bool
    ) -> tuple[int, tuple[RankedReason, ...]] | None:
        """This node's share of a customer's logit by the version that the request names, None without a file.

        With it come its strongest reasons, which do not leave the node as they are. Approval and consent are checked
        and the use logged first. Masked towards `peer`; a bank without a peer computes the whole score, which is not
        masked. A version that runs in the shadow of another is not `explained`.
        """

        def prepared(now: datetime) -> tuple[PartyScorer, int]:
            scorer = self._scorer(request.model, now, joint=peer is not None)
            return scorer, 0 if peer is None else self._mask(request, peer)

        found = self.admitted(request, Action.SCORE if explained else Action.SHADOW_SCORE, prepared)
        if found is None:
            return None
        values, (scorer, mask) = found
        logit, ranked = self.evaluated(scorer, values, explained=explained)
        return masked(logit, mask), ranked

    def evaluated(
        self, scorer: PartyScorer, values: FloatArray, *, explained: bool
    ) -> tuple[float, tuple[RankedReason, ...]]:
        """A customer's logit by a function of this node's, and the strongest reasons."""
        if not explained:
            return float(scorer.logits(values[None, :])[0]), ()
        seed = 0 if scorer.exact else int.from_bytes(hashlib.sha256(values.tobytes()).digest()[:8], "big")
        logit, contributions = scorer.explain(values, seed)
        return logit, self._ranked(scorer, values, contributions)

    def column_counts(self, cuts: Mapping[str, Sequence[float]], at: datetime) -> dict[str, IntArray]:
        """How this node's customers fall into bins of each column at `at`, missing last: (cuts + 2,) a column.

        Counted once each are those whose consent opens this kind of data for loan review. Counts leave in whole
        `COUNTED_IN`s, rounded down: fewer are 0, and because every count is rounded the total of another column does
        not give one away. Raises `SchemaMismatch` for a column that this party does not lend on, `InvalidTime`,
        `CorruptData`, `NodeUnavailable`.
        """
        columns = {self.party.columns[j]: j for j in self._lending.tolist()}
        for column in cuts:
            if column not in columns:
                detail = f"{self.org_id} counts no column {column}: unknown, or protected"
                raise SchemaMismatch(detail, party=self.org_id, column=column)
        now = self._now(at)
        allowed, table = self.reviewed_consents(now), self.store.table()
        self.log_batch(Action.REVIEW, self.org_id, Purpose.LOAN_REVIEW, now, allowed)
        rows = np.array([subject in allowed for subject in table.subjects], dtype=np.bool_)
        binning = Binning(tuple(np.asarray(each, dtype=np.float64) for each in cuts.values()))
        codes = binning.codes(table.values[rows][:, [columns[column] for column in cuts]])
        counts_of = {}
        for j, (column, edges) in enumerate(cuts.items()):
            counts = np.bincount(codes[:, j], minlength=binning.size)
            kept = np.append(counts[: len(edges) + 1], counts[-1])
            counts_of[column] = kept // COUNTED_IN * COUNTED_IN
        return counts_of

    def _ranked(self, scorer: PartyScorer, values: FloatArray, contributions: FloatArray) -> tuple[RankedReason, ...]:
        return tuple(
            RankedReason(self._reason(scorer, j, float(values[j])), strength_of(float(contributions[j])))
            for j in strongest(contributions)
        )

    def _reason(self, scorer: PartyScorer, j: int, value: float) -> Reason:
        kind = kind_of(value, float(scorer.tables.reference[j]))
        return reason_of(self.party, int(self._lending[j]), kind, scorer.band(j, value))
