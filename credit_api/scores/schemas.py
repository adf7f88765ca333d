"""Consents and scores over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field

from credit_api.http.fields import RequestModel, ResponseModel, TextPair
from federated.consent.record import ConsentRecord, DataScope, KeyAttestation, Purpose
from federated.nodes.statements import SignedStatement
from federated.serving import NoFile, Score
from financing.base.commands import Id, Moment

Signature = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$", description="Ed25519, 64 bytes in hex")]
PublicKey = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="Ed25519, 32 bytes in hex")]


class SubjectKeyIn(RequestModel):
    """The identity authority's attestation that a public key is the subject's. `valid_until` is exclusive."""

    public_key: PublicKey
    valid_from: Moment
    valid_until: Moment
    signature: Signature

    def attestation(self, subject_id: str) -> KeyAttestation:
        """The attestation of this key as the subject's."""
        return KeyAttestation(**_bytes(self.model_dump() | {"subject_id": subject_id}, "public_key", "signature"))


class ConsentParties(BaseModel):
    """Which consent of whom towards which bank, and how long it lasts. `valid_until` is exclusive."""

    consent_id: Id
    subject_id: Id
    bank_id: Id
    grid_id: Annotated[Id | None, BeforeValidator(lambda named: named or None)] = Field(
        default=None, description="the grid company that serves the subject; named where electricity data are opened"
    )
    valid_from: Moment
    valid_until: Moment


class ConsentIn(ConsentParties, RequestModel):
    """What a subject signed towards the calling bank, and with which key. `valid_until` is exclusive.

    The signed bytes are described in docs/api.md.
    """

    purposes: Annotated[list[Purpose], Field(min_length=1, max_length=len(Purpose))]
    scope: Annotated[list[DataScope], Field(min_length=1, max_length=len(DataScope))]
    signature: Signature
    key: SubjectKeyIn

    def record(self) -> ConsentRecord:
        """The record to be checked and kept. Raises `InvalidConsent` for contradictory terms."""
        return ConsentRecord(
            **_bytes(self.model_dump(exclude={"key", "grid_id"}), "signature"),
            key=self.key.attestation(self.subject_id),
            grid_id=self.grid_id or "",
        )


def _bytes(stated: dict[str, Any], *names: str) -> dict[str, Any]:
    """`stated` with these hexadecimal fields as the bytes that they are."""
    return stated | {name: bytes.fromhex(stated[name]) for name in names}


class WithdrawalIn(RequestModel):
    """The subject's signature under the withdrawal. A withdrawal stands without it too: it can only stop things."""

    signature: Signature


def _hex(value: bytes) -> str:
    return value.hex()


Hex = Annotated[str, BeforeValidator(_hex)]


class ConsentOut(ConsentParties, ResponseModel):
    """A consent as a bank keeps it; null: not withdrawn."""

    purposes: Annotated[list[Purpose], BeforeValidator(sorted)]
    scope: Annotated[list[DataScope], BeforeValidator(sorted)]
    withdrawn_at: datetime | None
    withdrawn_by: Annotated[str | None, BeforeValidator(lambda by: by or None)] = Field(
        description="a bank's id, or `subject`"
    )
    signature: Hex = Field(description="the subject's, Ed25519, in hex")
    public_key: Hex = Field(description="that verifies it, in hex")


class ScoreIn(RequestModel):
    """An inquiry: whose score, under which consent, for what. All three are mandatory (征信业管理条例, article 18)."""

    subject_id: Id
    consent_id: Id
    purpose: Purpose


class ScoreTold(ResponseModel):
    """What an inquiry told of a score, or null where it told none, with the reasons and the model behind it."""

    inquiry_id: str
    score: int | None = Field(default=None, ge=300, le=850)
    grade: str | None = None
    reasons: list[TextPair] | None = Field(
        default=[],
        max_length=4,
        description="what lowered the score most, at most four; null: the bank's node, which keeps them, does not tell",
    )
    electricity: Literal["included", "not_consented", "no_file", "unavailable", "not_used"] | None = Field(
        default=None, description="unavailable: a grid company did not answer; asked again the score may differ"
    )
    model_version: str | None = None
    asked_at: datetime


class ScoreOut(ScoreTold):
    """`answer` is `score`, or `no_file` when the bank has no record of the subject: that is not a low score."""

    answer: Literal["score", "no_file"]
    subject_id: str
    purpose: Purpose
    probability: float | None = Field(default=None, ge=0, le=1, description="of default, at this score point")
    basis: Literal["joint", "bank_only"] | None = Field(
        default=None, description="bank_only: no electricity data was used; `electricity` says why"
    )
    data_origin: str | None = Field(default=None, description="`generated` for a generated population")
    valid_until: datetime | None = None
    statement: SignedStatement | None = Field(
        default=None, description="the same but for the reasons, signed by the bank's node: what a decision rests on"
    )

    @classmethod
    def told(cls, inquiry_id: str, asked: ScoreIn, answer: Score | NoFile, at: datetime) -> Self:
        kind = "no_file" if isinstance(answer, NoFile) else "score"
        return cls.joined(answer, inquiry_id=inquiry_id, answer=kind, purpose=asked.purpose, asked_at=at)
