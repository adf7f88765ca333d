"""Partial scores behind a mask that bank and grid company share and the network operator does not know.

A pair of nodes agrees on a key (X25519, HKDF-SHA256). For one query both derive the same 64 bits from that key and
all that the query says; the bank adds them to its logit, the grid company subtracts them. Guarantee: to an operator who
follows the protocol each masked share alone is uniform over the ring, so it learns the sum and nothing else about the
shares (reasons, which would say more, pass it sealed: `nodes.seals`); the same query asked again gives the same masked
shares. Threat model: semi-honest parties, authentic public
keys. A bank that evaluates its own share can still subtract it from the score that it is told: that the answer itself
says, and no masking can hide it. Source of the fixed-point form: Bonawitz et al., CCS 2017, section 4.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

RING = 1 << 64
SCALE = 1 << 32
# A logit beyond this is no model's; it keeps the sum of two shares far from wrapping around.
MAX_LOGIT = 1_000.0


def new_secret() -> bytes:
    """A fresh X25519 private key, 32 bytes."""
    return X25519PrivateKey.generate().private_bytes_raw()


def public_of(secret: bytes) -> bytes:
    """The public key of a private one, 32 bytes."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def shared_key(secret: bytes, public: bytes, pair: str) -> bytes:
    """The key of a pair of nodes, 32 bytes, the same from either side. Raises `ValueError` for a malformed key."""
    agreed = X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))
    return HKDF(SHA256(), 32, None, f"tanxin partial scores {pair}".encode()).derive(agreed)


def mask_of(key: bytes, query: str) -> int:
    """The mask of one query: 64 bits that look random to anyone without the key."""
    return int.from_bytes(hmac.digest(key, query.encode(), hashlib.sha256)[:8], "big")


def masked(logit: float, mask: int) -> int:
    """A logit in fixed point plus a mask, modulo 2^64. Raises `ValueError` for a logit that is not a model's."""
    if not abs(logit) <= MAX_LOGIT:
        raise ValueError("a partial logit is out of range")
    return (round(logit * SCALE) + mask) % RING


def unmasked_sum(first: int, second: int) -> float:
    """The sum of the logits behind two shares whose masks cancel; exact to 2^-32."""
    total = (first + second) % RING
    return (total - RING if total >= RING // 2 else total) / SCALE
