"""What banks and grid companies have in common: consents, the consent check, and the partial score of one customer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from federated.consent.record import ConsentRecord, Purpose, check
from federated.models.encoding import FloatArray
from federated.models.party import PartyModel
from federated.models.reasons import RankedReason, Reason, contributions
from federated.nodes.schema import FeatureSchema, PartySchema
from federated.nodes.store import NodeStore


@dataclass(frozen=True, slots=True)
class PartialRequest:
    """Asks a node for its share of one customer's logit. `bank_id` is the bank on whose behalf the query runs."""

    bank_id: str
    subject_id: str
    consent_id: str
    purpose: Purpose
    at: datetime


@dataclass(frozen=True, slots=True)
class PartialScore:
    """A node's share of the logit of default, and its features ranked by how much they raise it. No raw value."""

    org_id: str
    logit: float
    ranked: tuple[RankedReason, ...]


class Node:
    """Base of both kinds of node. Everything it knows is in its own store."""

    role = ""

    def __init__(self, store: NodeStore) -> None:
        if store.role != self.role:
            raise TypeError(f"{store.org_id} is a {store.role}, not a {self.role}")
        self.store = store
        self.org_id = store.org_id

    @property
    def schema(self) -> FeatureSchema:
        """The feature schema of this node's network."""
        return self.store.schema

    @property
    def party(self) -> PartySchema:
        """This node's half of the schema."""
        return self.schema.party(self.role)

    def record_consent(self, record: ConsentRecord) -> ConsentRecord:
        """Store a consent; the same terms again change nothing. Raises `ConsentConflict`."""
        with self.store.consents(write=True) as consents:
            return consents.add(record)

    def record_consents(self, records: Iterable[ConsentRecord]) -> None:
        """Store many new consents in one transaction."""
        with self.store.consents(write=True) as consents:
            consents.add_many(records)

    def withdraw_consent(self, consent_id: str, bank_id: str, at: datetime) -> ConsentRecord:
        """Mark a consent withdrawn from `at` on. Raises `ConsentMissing`."""
        with self.store.consents(write=True) as consents:
            return consents.withdraw(consent_id, bank_id, at)

    def consent(self, consent_id: str) -> ConsentRecord | None:
        """The consent with this id as this node knows it."""
        with self.store.consents() as consents:
            return consents.get(consent_id)

    def check_consent(self, request: PartialRequest) -> ConsentRecord:
        """Raise a consent error unless the named consent opens this node's kind of data for the request."""
        return check(
            self.consent(request.consent_id),
            subject_id=request.subject_id,
            bank_id=request.bank_id,
            purpose=request.purpose,
            scope=self.party.scope,
            at=request.at,
        )

    def training_subjects(self, bank_id: str, at: datetime) -> set[str]:
        """Subjects whose consent towards `bank_id` opens this node's kind of data for model training at `at`."""
        with self.store.consents() as consents:
            return consents.subjects_allowing(bank_id, Purpose.MODEL_TRAINING, self.party.scope, at)

    def partial(self, request: PartialRequest, model: PartyModel) -> PartialScore | None:
        """This node's share of a customer's logit, None without a file. Consent is checked first."""
        self.check_consent(request)
        values = self.store.values_of(request.subject_id)
        if values is None:
            return None
        return PartialScore(self.org_id, float(model.logits(values[None, :])[0]), self._rank(model, values))

    def _rank(self, model: PartyModel, values: FloatArray) -> tuple[RankedReason, ...]:
        seed = int.from_bytes(hashlib.sha256(values.tobytes()).digest()[:8], "big")
        sizes = contributions(model, values, seed)
        return tuple(
            RankedReason(self._reason(j, float(values[j]), float(model.encoder.reference[j])), float(sizes[j]))
            for j in np.flatnonzero(sizes > 0).tolist()
        )

    def _reason(self, j: int, value: float, reference: float) -> Reason:
        feature = self.party.features[j]
        stem = f"{self.party.code_prefix}{j + 1:02d}"
        if np.isnan(value):
            return Reason(f"{stem}M", f"缺少数据:{feature.zh}", f"no data on: {feature.en}")
        if value >= reference:
            return Reason(f"{stem}H", feature.high_zh, feature.high_en)
        return Reason(f"{stem}L", feature.low_zh, feature.low_en)
