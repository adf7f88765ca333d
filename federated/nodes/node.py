"""What banks and grid companies have in common: consents, the consent check, and the partial score of one customer."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np

from federated.consent.checking import check
from federated.consent.instants import TOLERANCE, Clock, require_near, system_clock
from federated.consent.record import ConsentRecord, Purpose
from federated.consent.store import ConsentStore
from federated.consent.uses import ANSWERED, NO_FILE, Action, Use
from federated.errors import FederatedError, NotPermitted, SchemaMismatch, VersionNotApproved
from federated.models.encoding.binning import Binning, IntArray
from federated.models.encoding.ramps import FloatArray
from federated.models.served.reasons import RankedReason, Reason, strength_of, strongest
from federated.models.served.scorer import PartyScorer
from federated.nodes.consenting import ConsentingNode
from federated.nodes.keys import MASK, first_key
from federated.nodes.masks import mask_of, masked, new_secret, public_of, shared_key
from federated.nodes.store import NodeStore

PEER_STATE = "peer mask key "
COUNTED_IN = 10


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


Admitted = tuple[FloatArray, PartyScorer, int]


class Models(Protocol):
    """Where a node finds what it computes with: never with who asks. `governance.served` is the one in use."""

    def scorer(self, version: str, role: str, at: datetime, *, joint: bool) -> PartyScorer:
        """The function of a `role` in a version whose approval holds at `at`.

        Raises `VersionNotFound`, `VersionNotApproved`, `ModelCorrupt`.
        """
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
        self._lending = np.array(store.schema.party(store.role).lending, dtype=np.int64)
        self._keys: dict[str, bytes] = {}
        self._gate = threading.Lock()

    def _allowed(self, consents: ConsentStore, request: PartialRequest, now: datetime) -> ConsentRecord:
        return check(
            consents.get(request.consent_id),
            authority=self.store.authority,
            subject_id=request.subject_id,
            bank_id=request.bank_id,
            purpose=request.purpose,
            scope=self.party.scope,
            org_id=self.org_id,
            at=now,
        )

    def _admit(self, request: PartialRequest, peer: str | None, action: Action) -> Admitted | None:
        """The subject's values, the function and the mask, None without a file; consent is checked, the use logged.

        One transaction: what is answered was logged before, and a withdrawal comes before it or after it. Raises
        consent errors, `InvalidTime`, `NotPermitted`, of an unapproved version, and `QueryBudgetSpent`: they are logged
        as well, at this node's own time.
        """
        admitted: Admitted | None = None
        refusal: FederatedError | None = None
        with self.store.consents(write=True) as consents:
            now = self._clock()
            try:
                require_near(request.at, now)
                self._allowed(consents, request, now)
                scorer = self._scorer(request.model, now, joint=peer is not None)
                mask = 0 if peer is None else self._mask(request, peer)
                values = self.store.values_of(request.subject_id)
                if values is not None:
                    action = self._counted_as(consents, request, action, now)
                    self._require_budget(consents, request, action, now)
                    admitted = values, scorer, mask
            except FederatedError as error:
                refusal = error
            outcome = NO_FILE if admitted is None else ANSWERED
            self._log(consents, request, action, now, outcome if refusal is None else refusal.code)
        if refusal is not None:
            raise refusal
        return admitted

    def _scorer(self, version: str, now: datetime, *, joint: bool) -> PartyScorer:
        if self._models is None:
            raise VersionNotApproved(f"{self.org_id} serves no model", node=self.org_id)
        return self._models.scorer(version, self.role, now, joint=joint)

    def _counted_as(self, consents: ConsentStore, request: PartialRequest, action: Action, now: datetime) -> Action:
        """A shadow score is one only beside an answer of its own: who asks does not decide what counts.

        A question is put within `TOLERANCE` of its instant on either side, so its answer is at most twice that old.
        """
        since = now - 2 * TOLERANCE
        beside = action is Action.SHADOW_SCORE and (
            self.role == "bank"
            or consents.uses.lacks_shadow(request.bank_id, request.subject_id, request.consent_id, since)
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
        admitted = self._admit(request, peer, Action.SCORE if explained else Action.SHADOW_SCORE)
        if admitted is None:
            return None
        values, scorer, mask = admitted
        read = values[self._lending]
        if not explained:
            return masked(float(scorer.logits(read[None, :])[0]), mask), ()
        seed = 0 if scorer.exact else int.from_bytes(hashlib.sha256(read.tobytes()).digest()[:8], "big")
        logit, contributions = scorer.explain(read, seed)
        return masked(logit, mask), self._ranked(scorer, read, contributions)

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
        number = int(self._lending[j])
        feature = self.party.features[number]
        stem = f"{self.party.code_prefix}{number + 1:02d}"
        if np.isnan(value):
            return Reason(f"{stem}M", f"缺少数据：{feature.zh}", f"no data on: {feature.en}")
        low, high = scorer.band(j, value)
        band_zh, band_en = (
            f"（在客户中处于 {low}%–{high}% 分位）",
            f" (between the {low} % and {high} % marks of customers)",
        )
        if value >= scorer.tables.reference[j]:
            return Reason(f"{stem}H", feature.high_zh + band_zh, feature.high_en + band_en)
        return Reason(f"{stem}L", feature.low_zh + band_zh, feature.low_en + band_en)
