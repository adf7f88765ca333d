"""What a node keeps of consents, and whose data they open to it in bulk: both kinds of node are one of these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from federated.consent.instants import Clock, require_near, system_clock
from federated.consent.record import ConsentRecord, DataScope, Purpose
from federated.consent.revocations import Revocations, require_not_ended
from federated.consent.signature import require_signed, signed
from federated.consent.uses import ANSWERED, Action, Use
from federated.errors import ConsentSignatureInvalid
from federated.nodes.schema import FeatureSchema, PartySchema
from federated.nodes.store import NodeStore


class ConsentingNode:
    """Records consents and withdrawals in its own store, verifies signatures, and logs uses. It has its own `clock`."""

    role = ""

    def __init__(self, store: NodeStore, clock: Clock = system_clock) -> None:
        if store.role != self.role:
            raise TypeError(f"{store.org_id} is a {store.role}, not a {self.role}")
        self.store = store
        self.org_id = store.org_id
        self._clock = clock

    def now(self) -> datetime:
        """This node's own time."""
        return self._clock()

    def _now(self, at: datetime) -> datetime:
        """This node's own time, at which a question that says it is asked `at` counts. Raises `InvalidTime`."""
        now = self._clock()
        require_near(at, now)
        return now

    @property
    def authority(self) -> bytes:
        """The public key (32 bytes) of the identity authority that this node pins."""
        return self.store.authority

    def take_revocations(self, content: bytes) -> Revocations:
        """Keep the authority's list of revoked keys, unless a later one is here; which holds then.

        Raises `ConsentSignatureInvalid` for what the authority did not sign.
        """
        given, known = Revocations.read(content, self.authority), self.store.ended_keys
        if known is None or given.number > known.number:
            self.store.keep_ended_keys(given)
            return given
        return known

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    @property
    def _grid_id(self) -> str:
        """The own name at a grid company, empty at a bank."""
        return self.org_id if self.party.scope is DataScope.ELECTRICITY else ""

    @property
    def schema(self) -> FeatureSchema:
        """The feature schema of this node's network."""
        return self.store.schema

    @property
    def party(self) -> PartySchema:
        """This node's half of the schema."""
        return self.schema.party(self.role)

    def record_consent(self, record: ConsentRecord) -> ConsentRecord:
        """Store a consent that its subject signed; the same terms again change nothing, also not a withdrawal.

        Raises `ConsentSignatureInvalid`, `ConsentConflict`, and `NotPermitted` for one that is not for this node.
        """
        require_signed(record, self.store.authority)
        require_not_ended(record, self.store.ended_keys, self._clock())
        self._require_own(record)
        with self.store.consents(write=True) as consents:
            return consents.add(record)

    def record_consents(self, records: Iterable[ConsentRecord]) -> None:
        """Store many new consents in one transaction; nothing is stored if one is refused.

        Raises `ConsentSignatureInvalid`, `NotPermitted`.
        """
        given = list(records)
        for record in given:
            self._require_own(record)
            require_not_ended(record, self.store.ended_keys, self._clock())
        for record, good in zip(given, signed(given, self.store.authority), strict=True):
            if not good:
                raise ConsentSignatureInvalid("the subject did not sign this consent", consent_id=record.consent_id)
        with self.store.consents(write=True) as consents:
            consents.add_many(given)

    def _require_own(self, record: ConsentRecord) -> None:
        """A grid company refuses here what another grid company is named in, or none."""

    def withdraw_consent(
        self, consent_id: str, bank_id: str, at: datetime, by: str, signature: bytes = b""
    ) -> ConsentRecord:
        """Withdraw a consent from `at` on, on the word of `by`. Raises `ConsentMissing`, `ConsentSignatureInvalid`."""
        with self.store.consents(write=True) as consents:
            return consents.withdraw(consent_id, bank_id, at, by, signature)

    def consent(self, consent_id: str) -> ConsentRecord | None:
        """The consent with this id as this node knows it. Raises `ConsentSignatureInvalid` for a spoilt row."""
        with self.store.consents() as consents:
            return consents.get(consent_id)

    def uses_of(self, subject_id: str) -> list[Use]:
        """What this node did with a subject's data and what it refused, newest first.

        The whole log is verified before it is read. Raises `UseLogTampered`.
        """
        with self.store.consents() as consents:
            consents.uses.verify()
            return consents.uses.of_subject(subject_id)

    def training_consents(self, bank_id: str, at: datetime, *, grid_id: str = "") -> dict[str, ConsentRecord]:
        """Own customers whose signed consent towards `bank_id` covers model training at `at`, each with that consent.

        It opens this node's kind of data, and both kinds if rows are to be aligned with or at the grid company
        `grid_id`, there. The log of uses is verified first: it is where withdrawals stand. Raises `UseLogTampered`.
        """
        scopes = frozenset(DataScope) if grid_id else frozenset({self.party.scope})
        own = self.store.subject_ids()
        with self.store.consents() as consents:
            consents.uses.verify()
            return consents.allowing(
                bank_id, Purpose.MODEL_TRAINING, scopes, at, self.store.authority, self.store.ended_keys, own, grid_id
            )

    def log_batch(
        self,
        action: Action,
        organisation: str,
        purpose: Purpose,
        at: datetime,
        used: Mapping[str, str],
        outcome: str = ANSWERED,
    ) -> None:
        """Note that the data of many subjects were used, each under its consent (`used`: subject to consent id).

        `outcome` is the code of the refusal where the use was refused.
        """
        if used:
            with self.store.consents(write=True) as consents:
                consents.uses.append_batch(Use(at, action, organisation, purpose.value, outcome), used)

    def reviewed_consents(self, at: datetime) -> dict[str, str]:
        """Own customers with a signed consent, towards any bank, that opens this node's data for loan review at `at`.

        Each with the id of the consent. Raises `UseLogTampered`.
        """
        return self._reviewed(None, at)

    def _reviewed(self, bank_id: str | None, at: datetime) -> dict[str, str]:
        own = self.store.subject_ids()
        with self.store.consents() as consents:
            consents.uses.verify()
            reviewed = consents.allowing(
                bank_id,
                Purpose.LOAN_REVIEW,
                {self.party.scope},
                at,
                self.store.authority,
                self.store.ended_keys,
                own,
                self._grid_id,
            )
        return {subject: record.consent_id for subject, record in reviewed.items()}
