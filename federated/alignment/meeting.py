"""One node's side of an alignment through an operator that it does not trust: who the peer is, and what it sealed.

Both nodes sign a fresh key for the run with the keys by which they know each other, and what they then say is sealed
for the other alone (`privacy.vertical.channel`). Guarantee: an operator that plays a bank or a grid company, or that
changes, repeats, reorders or exchanges messages, gets no answer beyond a signed key, and learns set sizes alone. Two
nodes that were told different instants do not understand each other. Threat model: an active operator, authentic
signing keys known beforehand. Not covered: a peer that is itself dishonest (see `psi`), and an operator that passes
nothing on.
"""

from __future__ import annotations

from federated.alignment.psi import PROTOCOL
from federated.errors import AggregationFailed, AlignmentFailed
from federated.nodes.identity import Identity
from federated.privacy.vertical.channel import Channel, Introduction

NONCE_BYTES = 16


class Meeting:
    """`card` → `meet` → steps, each sealed by one side and opened by the other in this order.

    Raises `AlignmentFailed` for a peer that is not known or is of the own kind.
    """

    def __init__(self, identity: Identity, peer: str, at_us: int, nonce: bytes) -> None:
        if peer not in identity.known or peer in identity.kin:
            raise AlignmentFailed(f"{identity.name} knows no {peer} of the other kind", party=identity.name, peer=peer)
        if len(nonce) != NONCE_BYTES:
            raise AlignmentFailed(f"{identity.name} was given a nonce of {len(nonce)} bytes", party=identity.name)
        self.peer, self.at_us = peer, at_us
        self._own = Introduction(identity, PROTOCOL + at_us.to_bytes(8, "big", signed=True) + nonce)
        self._channel: Channel | None = None

    @property
    def card(self) -> tuple[bytes, bytes]:
        """This node's key of the run, and its signature under it."""
        return self._own.public, self._own.signature

    def meet(self, key: bytes, signature: bytes) -> None:
        """Take the peer's card, once. Raises `AlignmentFailed` for one that the peer did not sign for this run."""
        if self._channel is not None:
            # A second channel of the same keys would seal anew under counters that were used.
            raise AlignmentFailed(f"{self._own.name}: {self.peer} was met before", party=self._own.name, peer=self.peer)
        try:
            self._channel = self._own.channel(self.peer, key, signature)
        except AggregationFailed as error:
            raise AlignmentFailed(error.detail, party=self._own.name, peer=self.peer) from error

    def seal(self, step: str, plain: bytes) -> bytes:
        """What the peer is told at a step."""
        return self._met().seal(_label(step) + plain)

    def open(self, step: str, sealed: bytes) -> bytes:
        """What the peer said at a step. Raises `AlignmentFailed` for anything else."""
        try:
            plain = self._met().open(sealed)
        except AggregationFailed as error:
            raise AlignmentFailed(error.detail, party=self._own.name, peer=self.peer) from error
        label = _label(step)
        if not plain.startswith(label):
            raise AlignmentFailed(f"{self.peer} spoke of another step than {step}", party=self._own.name)
        return plain[len(label) :]

    def _met(self) -> Channel:
        if self._channel is None:
            raise AlignmentFailed(f"{self._own.name}: {self.peer} was not met", party=self._own.name, peer=self.peer)
        return self._channel


def _label(step: str) -> bytes:
    return PROTOCOL + step.encode() + b"\0"
