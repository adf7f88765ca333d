"""What nodes say to each other: bytes are base64, instants ISO 8601 with a zone; what is not declared is refused."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from federated.channel.certificates import Party
from federated.consent.record import ConsentRecord
from federated.errors import ChannelRefused
from federated.nodes.identity import pin_signer, signing_key
from federated.nodes.node import Node, PartialRequest


class Message(BaseModel):
    """Base of all messages."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_bytes="base64", val_json_bytes="base64")


Key = Annotated[bytes, Field(min_length=32, max_length=32)]


# Which messages a node speaks: 3 since what is dealt is bound to the pair and the function that it is dealt for.
PROTOCOL = 3


class Meet(Message):
    """A node's public keys, which its peer pins, for masks and of its signatures, and which messages it speaks."""

    key: Key
    signing: Key
    protocol: Annotated[int, Field(ge=1)] = 1

    @staticmethod
    def of(node: Node) -> Meet:
        """Those of this node. Raises `NodeUnavailable` if it cannot open them."""
        signing = signing_key(node.store).public_key().public_bytes_raw()
        return Meet(key=node.public_key(), signing=signing, protocol=PROTOCOL)

    def pinned_by(self, node: Node, party: Party) -> None:
        """Have a node know the party, with whom it is connected, by these keys.

        Raises `NotPermitted` for others, `ChannelRefused` for one that speaks other messages.
        """
        if self.protocol != PROTOCOL:
            raise ChannelRefused(
                f"{party.name} speaks version {self.protocol} of the messages between nodes, and {node.org_id}"
                f" version {PROTOCOL}: run one release at both"
            )
        pin_signer(node.store, party.name, party.kind, self.signing)
        node.pin_peer(party.name, self.key)


class Version(Message):
    """A version for the node's own register: its manifest and its weights, as they lie in the operator's."""

    manifest: bytes
    weights: bytes


class VersionAsked(Message):
    """Asks for a version as it lies in a node's register."""

    version: Annotated[str, Field(min_length=1, max_length=64)]


ActName = Literal["approve", "reject", "appoint", "retire", "roll_back"]


class Decided(Message):
    """What a bank decided about a version, whose manifest it had before it (SHA-256, hex); `command` is its own id.

    It is signed with the key of the bank's certificate (DER), as `proof.content` says.
    """

    version: str
    manifest_sha256: str
    act: ActName
    note: Annotated[str, Field(max_length=1_000)]
    command: Annotated[str, Field(min_length=16, max_length=64)]
    certificate: Annotated[bytes, Field(max_length=4_096)] = b""
    signature: Annotated[bytes, Field(max_length=128)] = b""


class Decisions(Message):
    """All that a bank decided, the first first."""

    decided: list[Decided]


class Run(Message):
    """A run of training to take part in."""

    run: Annotated[bytes, Field(min_length=16, max_length=16)]


class Done(Message):
    """Nothing but that it was done, or a question without terms."""


# For how many queries at once is dealt.
MOST_AHEAD = 64


class Begin(Message):
    """Begins so many queries, of which nothing is known yet."""

    count: Annotated[int, Field(ge=1, le=MOST_AHEAD)]


class Nonces(Message):
    """By which a node knows queries."""

    nonces: Annotated[list[bytes], Field(max_length=MOST_AHEAD)]


class First(Message):
    """What is asked, with reasons or without; the dealer's part for a grid company, and what the bank says of its
    factors."""

    query: PartialRequest
    explained: bool
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
    """Asks a node to deal to the asking bank and a grid company, for queries of these hashes."""

    version: str
    grid: str
    queries: Annotated[list[bytes], Field(min_length=1, max_length=MOST_AHEAD)]
    explained: bool


class DealtParts(Message):
    """What was dealt for one query, sealed for either side."""

    grid: bytes
    bank: bytes


class AllDealt(Message):
    """What was dealt, in the order of the queries."""

    dealt: Annotated[list[DealtParts], Field(max_length=MOST_AHEAD)]


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
