"""A bank's node: labels and bank features of its own customers, and the consents that were given to it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from federated.consent.instants import require_near
from federated.consent.record import ConsentRecord, Purpose
from federated.consent.uses import NO_FILE, Action
from federated.errors import ConsentMissing, ConsentSignatureInvalid, FederatedError, NotPermitted
from federated.models.served.reasons import RankedReason, Reason, top_reasons
from federated.models.served.scaling import logit_of, probability_of
from federated.nodes import functions, statements
from federated.nodes.budget import TrainingLimit, default_training_limit
from federated.nodes.node import Node, PartialRequest, PartialScore
from federated.nodes.row_sets import RowSets, kept_sets
from federated.nodes.seals import opened

TRAINING_STATE = "training limit"


@dataclass(frozen=True, slots=True)
class OwnPartial:
    """What a bank's node answers: `passed_on` is for the operator, `reasons` are for the bank's own systems alone.

    They are at most four of both parties', strongest first.
    """

    passed_on: PartialScore
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class ToldScore:
    """What came of a query by the version that it names, for the bank's node to state: `valid_until` is exclusive,
    hashes are SHA-256 in hex."""

    score: int
    reasons: tuple[Reason, ...]
    basis: statements.Stated
    manifest_sha256: str
    model_sha256: str
    valid_until: datetime


class BankNode(Node):
    """Serves one bank only: consents and queries of another bank are refused with `NotPermitted`."""

    role = "bank"

    @property
    def training_limit(self) -> TrainingLimit:
        """How often training without noise may read the labels: what this bank set itself, else the common default."""
        own = self.store.state(TRAINING_STATE)
        return default_training_limit() if own is None else TrainingLimit.from_bytes(own)

    def set_training_limit(self, limit: TrainingLimit) -> None:
        """Allow so many runs from now on; earlier ones count."""
        self.store.put_state({TRAINING_STATE: limit.to_bytes()})

    def keep_function(self, function_id: str, secret: bytes) -> None:
        """Keep the weights of a hidden function and the key of their masks (`hidden_weights.BankWeights`).

        Raises `NotPermitted` if others are kept under this id, `NodeUnavailable`.
        """
        functions.keep_secret(self.store, function_id, secret)
        self.forget_functions()

    def row_sets(self, of: str) -> RowSets:
        """Its memory of runs: of what they opened (`of`) over its customers."""
        limit = self.training_limit
        # What counts labels is counted by the bank's own ledger; what fits them says other things with other columns.
        runs = limit.runs if of.startswith("counted") else limit.runs_a_set
        return kept_sets(self.store, of, self._clock(), limit.window, limit.row_sets, runs)

    def customers(self, limit: int, after: str = "") -> list[str]:
        """Own customers' subject ids in order, those after `after`, at most `limit`."""
        return self.store.subjects(limit, after)

    def has_file(self, subject_id: str) -> bool:
        """Whether this bank has a file of the subject."""
        return self.store.values_of(subject_id) is not None

    def consents(self, limit: int, after: str = "") -> list[ConsentRecord]:
        """Consents towards this bank in order of id, those after `after`, at most `limit`."""
        with self.store.consents() as consents:
            return consents.of_bank(self.org_id, limit, after)

    def consents_of(self, subject_id: str) -> list[ConsentRecord]:
        """A subject's consents towards this bank, in order of id."""
        with self.store.consents() as consents:
            return consents.of_subject(self.org_id, subject_id)

    def consents_in_force(self, at: datetime) -> int:
        """How many consents towards this bank cover `at` and are not withdrawn."""
        with self.store.consents() as consents:
            return consents.count_in_force(self.org_id, at)

    def own_consent(self, consent_id: str) -> ConsentRecord:
        """A consent towards this bank. Raises `ConsentMissing`."""
        record = self.consent(consent_id)
        if record is None or record.bank_id != self.org_id:
            raise ConsentMissing("no such consent towards this bank", consent_id=consent_id)
        return record

    def withdraw_own(
        self, consent_id: str, at: datetime, by: str, signature: bytes, tell: Iterable[str]
    ) -> ConsentRecord:
        """As `withdraw_consent`, noting in the same transaction whom to `tell`."""
        with self.store.consents(write=True) as consents:
            record = consents.withdraw(consent_id, self.org_id, at, by, signature)
            consents.owe(tell, consent_id)
            return record

    def undelivered(self) -> list[tuple[str, ConsentRecord, bytes]]:
        """Withdrawals that nodes were not told of yet: node, withdrawn consent, and the subject's signature if any."""
        waiting = []
        with self.store.consents() as consents:
            for peer, consent_id in consents.owed():
                # A row that somebody spoilt meanwhile does not hold the others up.
                with suppress(ConsentSignatureInvalid):
                    record = consents.get(consent_id)
                    if record is not None:
                        waiting.append((peer, record, consents.withdrawal_signature(consent_id)))
        return waiting

    def settle(self, told: Iterable[tuple[str, str]]) -> None:
        """Note that nodes were told: (node, consent id)."""
        with self.store.consents(write=True) as consents:
            consents.settle(told)

    def usable_consent(self, consent_id: str, subject_id: str, purpose: Purpose, at: datetime) -> ConsentRecord:
        """A consent towards this bank that opens its file for this purpose now, which `at` says is the time.

        Raises what `check` raises, and `InvalidTime`.
        """
        now = self._now(at)
        with self.store.consents() as consents:
            return self._allowed(consents, PartialRequest(self.org_id, subject_id, consent_id, purpose, at, ""), now)

    def admits(self, request: PartialRequest) -> bool:
        """Whether this bank has a file of the subject; asked before anybody else is.

        A refusal and a missing file end the query here and are logged; what goes on is logged with its answer. Raises
        consent errors and `InvalidTime`.
        """
        refusal = None
        with self.store.consents(write=True) as consents:
            now = self._clock()
            try:
                require_near(request.at, now)
                self._allowed(consents, request, now)
            except FederatedError as error:
                refusal = error
            known = refusal is not None or self.has_file(request.subject_id)
            if refusal is not None or not known:
                self._log(consents, request, Action.SCORE, now, NO_FILE if refusal is None else refusal.code)
        if refusal is not None:
            raise refusal
        return known

    def reviewed_consents(self, at: datetime) -> dict[str, str]:
        """As `Node.reviewed_consents`, towards this bank."""
        return self._reviewed(self.org_id, at)

    def partial(
        self, request: PartialRequest, beside: PartialScore | None, *, explained: bool = True
    ) -> OwnPartial | None:
        """As `GridNode.partial`, masked towards the grid company whose share is `beside`, with both sides' reasons.

        Without one it is the bank-only companion's whole score. Raises also `NotPermitted` if the request comes on
        behalf of another bank, and `SealBroken` if the reasons are not those that the grid company sealed for this
        query: then nothing is computed, and the refusal is logged. Never `QueryBudgetSpent`.
        """
        if request.bank_id != self.org_id:
            raise NotPermitted("a bank can only ask for its own customers", bank_id=request.bank_id)
        theirs = () if beside is None or not explained else self._opened(request, beside)
        found = self._partial(request, None if beside is None else beside.org_id, explained=explained)
        if found is None:
            return None
        share, ranked = found
        return OwnPartial(PartialScore(self.org_id, share), top_reasons([*ranked, *theirs]))

    def state(self, request: PartialRequest, told: ToldScore) -> statements.SignedStatement:
        """This bank's signed word on what came of its own query; its reasons stay here, with their salt.

        Raises `NotPermitted` on behalf of another bank, `InvalidStatement`, `NodeUnavailable`.
        """
        if request.bank_id != self.org_id:
            raise NotPermitted("a bank can only state scores of its own customers", bank_id=request.bank_id)
        shown, digest = statements.salted(told.reasons)
        statement = statements.ScoreStatement(
            statement_id=statements.new_id(),
            bank_id=self.org_id,
            subject_id=request.subject_id,
            consent_id=request.consent_id,
            purpose=request.purpose,
            score=told.score,
            probability=probability_of(logit_of(told.score)),
            basis=told.basis,
            reasons_sha256=digest,
            model_version=request.model,
            manifest_sha256=told.manifest_sha256,
            model_sha256=told.model_sha256,
            assessed_at=request.at,
            valid_until=told.valid_until,
        )
        return statements.signed_and_kept(self.store, statement, shown)

    def shown_reasons(self, statement_id: str) -> statements.ShownReasons:
        """The reasons behind one of this bank's statements, for its customer. Raises `DataMissing`."""
        return statements.kept_reasons(self.store, statement_id)

    def _opened(self, request: PartialRequest, beside: PartialScore) -> tuple[RankedReason, ...]:
        with self.refusals_logged(request):
            return opened(self.mask_key(beside.org_id), request.text(), beside.sealed)
