"""What nodes say to each other: bytes are base64, instants ISO 8601 with a zone; what is not declared is refused."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from federated.consent.record import ConsentRecord
from federated.nodes.node import PartialRequest


class Message(BaseModel):
    """Base of all messages."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_bytes="base64", val_json_bytes="base64")


class Meet(Message):
    """A node's public key for masks, which its peer pins."""

    key: Annotated[bytes, Field(min_length=32, max_length=32)]


class Begin(Message):
    """Begins a query, with reasons or without."""

    query: PartialRequest
    explained: bool


class Nonce(Message):
    """By which a node knows a query."""

    nonce: bytes


class First(Message):
    """The dealer's part for a grid company, and what the bank says of its factors."""

    nonce: bytes
    bank_nonce: bytes
    dealt: bytes
    factors: bytes | None = None


class Step(Message):
    """A sealed message of a query that is under way."""

    nonce: bytes
    sealed: bytes


class Sealed(Message):
    """What was sealed for who asked; none where there is no file."""

    sealed: bytes | None


class Deal(Message):
    """Asks a node to deal to the asking bank and a grid company."""

    version: str
    grid: str
    query: bytes
    explained: bool


class DealtParts(Message):
    """What was dealt, sealed for either side."""

    grid: bytes
    bank: bytes


class ConsentAsked(Message):
    """Asks for a consent towards the asking bank."""

    consent_id: str


class ConsentGiven(Message):
    """A consent that is delivered."""

    consent: ConsentRecord


class ConsentFound(Message):
    """A consent, if there is one."""

    consent: ConsentRecord | None


class Withdrawal(Message):
    """A consent's withdrawal, on the word of `by`, with the subject's signature if it signed."""

    consent_id: str
    at: AwareDatetime
    by: str
    signature: bytes
