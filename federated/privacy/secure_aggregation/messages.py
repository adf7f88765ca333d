"""What travels in the steps of a round. All fields are plain bytes, names and arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from federated.privacy.secure_aggregation.ring import RingArray


@dataclass(frozen=True, slots=True)
class Plan:
    """What everybody knows of a round: its id (fresh), parties' degree in the graph, shares needed, and vector length.

    `threshold` shares of a seed are needed, one of which may be the party's own. `colluders` is how many of those who
    hold a party's shares may collude with the operator, whatever they do: 2·threshold − holders must exceed it, in
    a sparse graph by more than one.
    """

    round_id: bytes
    degree: int
    threshold: int
    length: int
    bits: int
    colluders: int = 1

    def text(self) -> bytes:
        """The plan as bytes, to be signed with everything else."""
        numbers = f"{self.degree},{self.threshold},{self.length},{self.bits},{self.colluders}"
        return self.round_id + b"\0" + numbers.encode()


@dataclass(frozen=True, slots=True)
class Advertisement:
    """A party's two public keys for this round, one for encrypting shares, one for masks, and its commitment to a nonce

    (`graph.committed`), all signed.
    """

    name: str
    share_key: bytes
    mask_key: bytes
    commitment: bytes
    signature: bytes

    def signed_text(self, plan: Plan) -> bytes:
        """What the signature covers."""
        return b"advertise\0" + plan.text() + b"\0" + self.name.encode() + b"\0" + self.content

    @property
    def content(self) -> bytes:
        """The keys and the commitment, one after the other: 96 bytes."""
        return self.share_key + self.mask_key + self.commitment


def roster_of(plan: Plan, ads: Mapping[str, Advertisement]) -> bytes:
    """A hash (32 bytes) of the plan and of who takes part with which keys and commitment."""
    roster = hashlib.sha256(b"tanxin roster\0" + plan.text())
    for name in sorted(ads):
        roster.update(hashlib.sha256(name.encode()).digest() + ads[name].content)
    return roster.digest()


@dataclass(frozen=True, slots=True)
class Unmasking:
    """What a party releases at the end: shares of survivors' own streams and of dropped parties' mask keys."""

    streams: Mapping[str, bytes]
    keys: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Masked:
    """A party's masked vector."""

    name: str
    values: RingArray


def survivors_text(graph: bytes, survivors: Iterable[str]) -> bytes:
    """What parties sign before they release anything: who is in the sum, of the round whose graph has this seed."""
    return b"survivors\0" + graph + b"\0" + "\0".join(sorted(survivors)).encode()
