"""Consents and scores over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field

from credit_api.http.fields import (
    Id,
    Moment,
    RequestModel,
    ResponseModel,
    TextPair,
)
from federated.consent.record import ConsentRecord, DataScope, KeyAttestation, Purpose
from federated.serving import NoFile, Score

Signature = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$", description="Ed25519, 64 bytes in hex")]
PublicKey = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="Ed25519, 32 bytes in hex")]


class KeyIn(RequestModel):
    """The identity authority's attestation that a public key is the subject's. `valid_until` is exclusive."""

    public_key: PublicKey
    valid_from: Moment
    valid_until: Moment
    signature: Signature


class ConsentIn(RequestModel):
    """What a subject signed towards the calling bank, and with which key. `valid_until` is exclusive.

    The signed bytes are described in docs/api.md.
    """

    consent_id: Id
    subject_id: Id
    bank_id: Id
    purposes: Annotated[list[Purpose], Field(min_length=1)]
    scope: Annotated[list[DataScope], Field(min_length=1)]
    valid_from: Moment
    valid_until: Moment
    signature: Signature
    key: KeyIn

    def record(self) -> ConsentRecord:
        """The record to be checked and kept. Raises `InvalidConsent` for contradictory terms."""
        key = KeyAttestation(
            self.subject_id,
            bytes.fromhex(self.key.public_key),
            self.key.valid_from,
            self.key.valid_until,
            bytes.fromhex(self.key.signature),
        )
        return ConsentRecord(
            consent_id=self.consent_id,
            subject_id=self.subject_id,
            bank_id=self.bank_id,
            purposes=frozenset(self.purposes),
            scope=frozenset(self.scope),
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            signature=bytes.fromhex(self.signature),
            key=key,
        )


class WithdrawalIn(RequestModel):
    """The subject's signature under the withdrawal. A withdrawal stands without it too: it can only stop things."""

    signature: Signature


class ConsentOut(ResponseModel):
    consent_id: str
    subject_id: str
    bank_id: str
    purposes: list[Purpose]
    scope: list[DataScope]
    valid_from: datetime
    valid_until: datetime
    withdrawn_at: datetime | None
    withdrawn_by: str | None = Field(description="a bank's id, or `subject`")
    signature: str = Field(description="the subject's, Ed25519, in hex")
    public_key: str = Field(description="that verifies it, in hex")

    @classmethod
    def of(cls, record: ConsentRecord) -> Self:
        return cls(
            consent_id=record.consent_id,
            subject_id=record.subject_id,
            bank_id=record.bank_id,
            purposes=sorted(record.purposes),
            scope=sorted(record.scope),
            valid_from=record.valid_from,
            valid_until=record.valid_until,
            withdrawn_at=record.withdrawn_at,
            withdrawn_by=record.withdrawn_by or None,
            signature=record.signature.hex(),
            public_key="" if record.key is None else record.key.public_key.hex(),
        )


class ScoreIn(RequestModel):
    """An inquiry: whose score, under which consent, for what. All three are mandatory (征信业管理条例, article 18)."""

    subject_id: Id
    consent_id: Id
    purpose: Purpose


class ScoreOut(ResponseModel):
    """`answer` is `score`, or `no_file` when the bank has no record of the subject: that is not a low score."""

    inquiry_id: str
    answer: Literal["score", "no_file"]
    subject_id: str
    purpose: Purpose
    score: int | None = Field(default=None, ge=300, le=850)
    probability: float | None = Field(default=None, ge=0, le=1, description="of default, at this score point")
    grade: str | None = None
    reasons: list[TextPair] = Field(default=[], max_length=4, description="what lowered the score most, at most four")
    basis: Literal["joint", "bank_only"] | None = Field(
        default=None, description="bank_only: no electricity data was used; `electricity` says why"
    )
    electricity: Literal["included", "not_consented", "no_file", "unavailable"] | None = Field(
        default=None, description="unavailable: a grid company did not answer; asked again the score may differ"
    )
    model_version: str | None = None
    data_origin: str | None = Field(default=None, description="`generated` for a generated population")
    asked_at: datetime
    valid_until: datetime | None = None

    @classmethod
    def of(cls, inquiry_id: str, asked: ScoreIn, answer: Score | NoFile, at: datetime) -> Self:
        if isinstance(answer, NoFile):
            return cls(
                inquiry_id=inquiry_id,
                answer="no_file",
                subject_id=asked.subject_id,
                purpose=asked.purpose,
                asked_at=at,
            )
        return cls(
            inquiry_id=inquiry_id,
            answer="score",
            subject_id=answer.subject_id,
            purpose=asked.purpose,
            score=answer.score,
            probability=answer.probability,
            grade=answer.grade,
            reasons=[TextPair(code=found.code, zh=found.zh, en=found.en) for found in answer.reasons],
            basis=answer.basis.value,
            electricity=answer.electricity.value,
            model_version=answer.model_version,
            data_origin=answer.data_origin,
            asked_at=at,
            valid_until=answer.valid_until,
        )
