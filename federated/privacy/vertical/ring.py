"""Arithmetic on shares: numbers as 64-bit integers.

Bits after the point add up in products. A column value has 7, a coefficient 14, and their sum, a grid company's part of
a scaled logit u, is shifted down to 10, by each side on its own share: the only rounding by chance (`shifted`). From
there on nothing is: a cube of u times a coefficient has 36, a gradient 43. On the way everything is right modulo 2^64,
whatever its size; what has to fit is the opened sum alone, as an integer of magnitude below 2^63. `Curve.most_rows`
says how many rows that allows, from the exact extremes of the cubic: 370,800 at the least, at a rate of 9 %.
"""

from __future__ import annotations

import hashlib
import hmac
import math

import numpy as np
from numpy.typing import NDArray

from federated.errors import AggregationFailed
from federated.privacy.secure_aggregation.ring import stream

Ring = NDArray[np.uint64]
FloatArray = NDArray[np.float64]
LOGIT_BITS, COLUMN_BITS, WEIGHT_BITS = 10, 7, 14
RESIDUAL_BITS = 3 * LOGIT_BITS + 6
GRADIENT_BITS = RESIDUAL_BITS + COLUMN_BITS
# Magnitudes that an opened sum may have, so that its sign can be told.
LARGEST_SUM = (1 << 63) - 1


def fixed(values: FloatArray, bits: int, limit: float) -> Ring:
    """Numbers as ring elements. Raises `AggregationFailed` for one that is not finite or beyond `limit`."""
    scaled = np.asarray(values, dtype=np.float64) * 2.0**bits
    # Of what is no number the largest is none either, and not below the limit.
    if not np.abs(scaled).max(initial=0.0) <= limit * 2.0**bits:
        raise AggregationFailed(f"a number is not finite or beyond {limit:g}")
    return np.rint(scaled).astype(np.int64).view(np.uint64)


def shifted(share: Ring, bits: int, *, first: bool) -> Ring:
    """One side's share of numbers, from its share of them times 2^`bits`; one side is the `first`.

    What both sides' add up to is off by less than one unit, either way and 0 on the average; of a number of magnitude
    2^m before, it is something else altogether with a chance of 2^(m − 64) (Mohassel, Zhang, "SecureML", IEEE S&P 2017,
    theorem 1).
    """
    return np.asarray(share >> np.uint64(bits) if first else np.uint64(0) - ((np.uint64(0) - share) >> np.uint64(bits)))


def floating(values: Ring, bits: int) -> FloatArray:
    """Ring elements as numbers."""
    return np.asarray(values.astype(np.int64) / 2.0**bits, dtype=np.float64)


class Tape:
    """Uniform ring elements from one key (32 bytes), in order: whoever holds the key and draws alike has the same.

    What is drawn for one purpose comes from a tape `apart`: so whoever draws more or less often than the other end, or
    in another order, draws what it would have drawn for that purpose, and never what the other end has as something
    else.
    """

    def __init__(self, key: bytes) -> None:
        self._key, self._drawn, self._apart = key, 0, dict[str, Tape]()

    def apart(self, purpose: str) -> Tape:
        """The tape of one purpose, with a key and an order of its own."""
        if purpose not in self._apart:
            self._apart[purpose] = Tape(hmac.digest(self._key, purpose.encode(), hashlib.sha256))
        return self._apart[purpose]

    def draw(self, *shape: int) -> Ring:
        """The next elements, of this shape."""
        self._drawn += 1
        return stream(self._key, math.prod(shape), self._drawn).reshape(shape)
