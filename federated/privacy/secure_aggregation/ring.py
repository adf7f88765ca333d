"""Vectors as integers modulo 2^64, and streams of masks.

A number x becomes round(x · 2^bits) modulo 2^64. The sum of n vectors is exact to n · 2^-(bits + 1), and right as long
as its magnitude stays below 2^(63 − bits): both are checked where they can be, when a vector is encoded.
"""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray

from federated.errors import AggregationFailed

FloatArray = NDArray[np.float64]
RingArray = NDArray[np.uint64]
BITS = 24


def encoded(values: FloatArray, parties: int, bits: int = BITS) -> RingArray:
    """`values` in fixed point, same shape. Raises `AggregationFailed` if a sum over `parties` could leave the ring."""
    limit = 2.0 ** (63 - bits) / max(parties, 1)
    if not np.all(np.abs(values) < limit):
        raise AggregationFailed(f"a number is not finite, or beyond {limit:.3g}, and cannot be summed in the ring")
    return np.rint(np.asarray(values, dtype=np.float64) * 2.0**bits).astype(np.int64).astype(np.uint64)


def decoded(total: RingArray, bits: int = BITS) -> FloatArray:
    """The numbers behind a sum in the ring."""
    return np.asarray(total.astype(np.int64) / 2.0**bits, dtype=np.float64)


def stream(key: bytes, length: int, nonce: int = 0) -> RingArray:
    """`length` ring elements from AES-256 in counter mode; a key and nonce are used for one vector only."""
    cipher = Cipher(AES256(key), CTR(nonce.to_bytes(8, "big") + bytes(8))).encryptor()
    return np.frombuffer(cipher.update(bytes(8 * length)), dtype="<u8").astype(np.uint64)
