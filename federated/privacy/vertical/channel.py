"""What two nodes say to each other through an operator that passes it on: sealed, in order, once each.

Each node has a fresh X25519 key a run, signed with its long-lived Ed25519 key; two nodes derive a key for each
direction (HKDF-SHA256) and seal with ChaCha20-Poly1305 under a counter. Guarantee: an operator that passes messages on
learns their sizes; one that changes, repeats or reorders them is found out. Signing keys are known to the nodes
beforehand.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from federated.errors import AggregationFailed
from federated.nodes.identity import Identity


def card_text(run_id: bytes, name: str, key: bytes) -> bytes:
    """What a node signs: that this is its key of this run."""
    return b"tanxin channel\0" + run_id + b"\0" + name.encode() + b"\0" + key


class Introduction:
    """One node's key of a run, signed."""

    def __init__(self, identity: Identity, run_id: bytes) -> None:
        self.name, self._known, self._run_id = identity.name, identity.known, run_id
        self._key = X25519PrivateKey.generate()
        self.public = self._key.public_key().public_bytes_raw()
        self.signature = identity.signing.sign(card_text(run_id, self.name, self.public))

    def channel(self, peer: str, key: bytes, signature: bytes) -> Channel:
        """The channel with a peer. Raises `AggregationFailed` for a key that the peer did not sign."""
        try:
            self._known[peer].verify(signature, card_text(self._run_id, peer, key))
            agreed = self._key.exchange(X25519PublicKey.from_public_bytes(key))
        except (KeyError, InvalidSignature, ValueError):
            raise AggregationFailed(f"{self.name}: the key said to be {peer}'s was not signed by it") from None
        return Channel(self.name, peer, agreed, self._run_id)


class Channel:
    """Seals to one peer and opens what it sealed. Raises `AggregationFailed` for anything else."""

    def __init__(self, name: str, peer: str, agreed: bytes, run_id: bytes) -> None:
        self.name, self.peer, self._run_id = name, peer, run_id
        self._out, self._in = (
            ChaCha20Poly1305(HKDF(SHA256(), 32, run_id, f"tanxin channel {a} {b}".encode()).derive(agreed))
            for a, b in ((name, peer), (peer, name))
        )
        pair = " ".join(sorted((name, peer)))
        self._common = HKDF(SHA256(), 32, run_id, f"tanxin pair {pair}".encode()).derive(agreed)
        self._sent = self._received = 0

    def key_for(self, purpose: str) -> bytes:
        """A key (32 bytes) that both ends derive for one purpose, used once a run."""
        return HKDF(SHA256(), 32, None, purpose.encode()).derive(self._common)

    def apart(self, purpose: str) -> Channel:
        """A channel between the same two for one purpose, once a run: with keys and an order of its own."""
        return Channel(self.name, self.peer, self.key_for(f"channel for {purpose}"), self._run_id)

    def seal(self, plain: bytes) -> bytes:
        """The next message to the peer."""
        self._sent += 1
        return self._out.encrypt(self._sent.to_bytes(12, "big"), plain, None)

    def open(self, sealed: bytes) -> bytes:
        """The next message from the peer."""
        self._received += 1
        try:
            return self._in.decrypt(self._received.to_bytes(12, "big"), sealed, None)
        except InvalidTag:
            raise AggregationFailed(f"{self.name}: what came from {self.peer} was changed on the way") from None
