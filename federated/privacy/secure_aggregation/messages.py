"""What travels in the four steps of a round. All fields are plain bytes, names and arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from federated.privacy.secure_aggregation.ring import RingArray


@dataclass(frozen=True, slots=True)
class Plan:
    """What everybody knows of a round: its id (fresh), parties' degree in the graph, shares needed, and vector length.

    `threshold` shares of a seed are needed, one of which may be the party's own: more than half of all, so that two
    disjoint groups can never both take part.
    """

    round_id: bytes
    degree: int
    threshold: int
    length: int
    bits: int

    def text(self) -> bytes:
        """The plan as bytes, to be signed with everything else."""
        numbers = f"{self.degree},{self.threshold},{self.length},{self.bits}"
        return self.round_id + b"\0" + numbers.encode()


@dataclass(frozen=True, slots=True)
class Advertisement:
    """A party's two public keys for this round, signed: one for encrypting shares, one for masks."""

    name: str
    share_key: bytes
    mask_key: bytes
    signature: bytes

    def signed_text(self, plan: Plan) -> bytes:
        """What the signature covers."""
        return b"advertise\0" + plan.text() + b"\0" + self.name.encode() + b"\0" + self.share_key + self.mask_key


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


def survivors_text(plan: Plan, survivors: Iterable[str]) -> bytes:
    """What parties sign before they release anything: who is in the sum."""
    return b"survivors\0" + plan.text() + b"\0" + "\0".join(sorted(survivors)).encode()
