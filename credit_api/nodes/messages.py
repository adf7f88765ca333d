"""What nodes say to each other: bytes are base64, instants ISO 8601 with a zone; what is not declared is refused."""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import UTC
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from federated.consent.record import ConsentRecord, DataScope, KeyAttestation, Purpose
from federated.nodes.node import PartialRequest


def _decoded(given: object) -> object:
    return b64decode(given, validate=True) if isinstance(given, str) else given


def _encoded(raw: bytes) -> str:
    return b64encode(raw).decode()


Bytes = Annotated[bytes, BeforeValidator(_decoded), PlainSerializer(_encoded, when_used="json")]


class Message(BaseModel):
    """Base of all messages."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Meet(Message):
    """A node's public key for masks, which its peer pins."""

    key: Bytes


class Query(Message):
    """A query about one customer, as all sides know it."""

    bank_id: str
    subject_id: str
    consent_id: str
    purpose: Purpose
    at: AwareDatetime
    model: str

    @classmethod
    def of(cls, request: PartialRequest) -> Self:
        """As it goes across."""
        return cls(
            bank_id=request.bank_id, subject_id=request.subject_id, consent_id=request.consent_id,
            purpose=request.purpose, at=request.at, model=request.model,
        )  # fmt: skip

    def request(self) -> PartialRequest:
        """As nodes take it."""
        at = self.at.astimezone(UTC)
        return PartialRequest(self.bank_id, self.subject_id, self.consent_id, self.purpose, at, self.model)


class Begin(Message):
    """Begins a query, with reasons or without."""

    query: Query
    explained: bool


class Nonce(Message):
    """By which a node knows a query."""

    nonce: Bytes


class First(Message):
    """The dealer's part for a grid company, and what the bank says of its factors."""

    nonce: Bytes
    bank_nonce: Bytes
    dealt: Bytes
    factors: Bytes | None = None


class Step(Message):
    """A sealed message of a query that is under way."""

    nonce: Bytes
    sealed: Bytes


class Sealed(Message):
    """What was sealed for who asked; none where there is no file."""

    sealed: Bytes | None


class Deal(Message):
    """Asks a node to deal to the asking bank and a grid company."""

    version: str
    grid: str
    query: Bytes
    explained: bool


class DealtParts(Message):
    """What was dealt, sealed for either side."""

    grid: Bytes
    bank: Bytes


class Attestation(Message):
    """`KeyAttestation`."""

    subject_id: str
    public_key: Bytes
    valid_from: AwareDatetime
    valid_until: AwareDatetime
    signature: Bytes


class Consent(Message):
    """`ConsentRecord`."""

    consent_id: str
    subject_id: str
    bank_id: str
    purposes: list[Purpose]
    scope: list[DataScope]
    valid_from: AwareDatetime
    valid_until: AwareDatetime
    signature: Bytes
    key: Attestation | None
    withdrawn_at: AwareDatetime | None
    withdrawn_by: str
    grid_id: str

    @classmethod
    def of(cls, record: ConsentRecord) -> Self:
        """As it goes across."""
        key = record.key
        attested = None if key is None else Attestation(
            subject_id=key.subject_id, public_key=key.public_key, valid_from=key.valid_from,
            valid_until=key.valid_until, signature=key.signature,
        )  # fmt: skip
        return cls(
            consent_id=record.consent_id, subject_id=record.subject_id, bank_id=record.bank_id,
            purposes=sorted(record.purposes), scope=sorted(record.scope), valid_from=record.valid_from,
            valid_until=record.valid_until, signature=record.signature, key=attested,
            withdrawn_at=record.withdrawn_at, withdrawn_by=record.withdrawn_by, grid_id=record.grid_id,
        )  # fmt: skip

    def record(self) -> ConsentRecord:
        """As nodes take it. Raises `InvalidConsent`, `InvalidTime`."""
        key = self.key
        attested = None if key is None else KeyAttestation(
            key.subject_id, key.public_key, key.valid_from, key.valid_until, key.signature
        )  # fmt: skip
        return ConsentRecord(
            self.consent_id, self.subject_id, self.bank_id, frozenset(self.purposes), frozenset(self.scope),
            self.valid_from, self.valid_until, self.signature, attested, self.withdrawn_at, self.withdrawn_by,
            self.grid_id,
        )  # fmt: skip


class ConsentAsked(Message):
    """Asks for a consent towards the asking bank."""

    consent_id: str


class ConsentFound(Message):
    """A consent, if there is one."""

    consent: Consent | None


class Withdrawal(Message):
    """A consent's withdrawal, on the word of `by`, with the subject's signature if it signed."""

    consent_id: str
    at: AwareDatetime
    by: str
    signature: Bytes
