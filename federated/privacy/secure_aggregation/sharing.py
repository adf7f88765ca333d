"""Shamir's secret sharing of 128-bit seeds over the field of 2^130 − 5 elements (Shamir, CACM 1979).

Fewer than `threshold` shares are independent of the seed; any `threshold` of them give it back. The prime is the
smallest well-known one above 2^128 (it is Poly1305's).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from federated.errors import AggregationFailed

PRIME = (1 << 130) - 5
SEED_BYTES = 16
SHARE_BYTES = 17


def split(seed: bytes, places: int, threshold: int) -> list[bytes]:
    """Shares (17 bytes each) for places 1 … `places`. Raises `ValueError` for a threshold that makes no sense."""
    if len(seed) != SEED_BYTES or not 1 <= threshold <= places:
        raise ValueError("a seed has 16 bytes, and a threshold lies between 1 and the number of shares")
    polynomial = [int.from_bytes(seed, "big"), *(secrets.randbelow(PRIME) for _ in range(threshold - 1))]
    return [_value(polynomial, place).to_bytes(SHARE_BYTES, "big") for place in range(1, places + 1)]


def _value(polynomial: list[int], x: int) -> int:
    total = 0
    for coefficient in reversed(polynomial):
        total = (total * x + coefficient) % PRIME
    return total


def joined(shares: Mapping[int, bytes], threshold: int) -> bytes:
    """The seed behind shares by place. Raises `AggregationFailed` for too few shares, or shares of no seed."""
    if len(shares) < threshold:
        raise AggregationFailed(f"{len(shares)} shares of a seed are there, {threshold} are needed")
    used = sorted(shares)[:threshold]
    total = 0
    for i in used:
        numerator = denominator = 1
        for j in used:
            if j != i:
                numerator, denominator = numerator * -j % PRIME, denominator * (i - j) % PRIME
        total += int.from_bytes(shares[i], "big") * numerator * pow(denominator, -1, PRIME)
    secret = total % PRIME
    if secret >> (8 * SEED_BYTES):
        raise AggregationFailed("shares do not belong together")
    return secret.to_bytes(SEED_BYTES, "big")
