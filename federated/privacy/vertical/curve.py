"""σ as a cubic around the overall rate: additions and products are all that shares can do.

σ(z) ≈ c₀ + c₁u + c₂u² + c₃u³ with u = (z − m) / `REACH` and m the logit of the rate of default, by least squares over
`SPREAD` logits to either side, weighted by a normal density. The rate is public to both parties; nothing else enters.

Each party's part of u is cut to [−1, 1], so u lies in [−2, 2] and reaches beyond `SPREAD`, where the cubic follows σ no
longer (it reaches 5.28 at a rate of 5 %): sums have to have room for the cubic, not for σ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from federated.errors import AggregationFailed
from federated.privacy.vertical.ring import COLUMN_BITS, LARGEST_SUM, LOGIT_BITS, RESIDUAL_BITS, FloatArray, Ring

REACH, SPREAD, DEVIATION = 5.0, 4.5, 1.7


@dataclass(frozen=True, slots=True)
class Curve:
    """`centre` m and coefficients c₀ … c₃ in u."""

    centre: float
    coefficients: tuple[float, float, float, float]

    @staticmethod
    def around(rate: float) -> Curve:
        """The cubic for an overall rate of default, strictly between 0 and 1."""
        centre = float(np.log(rate / (1.0 - rate)))
        z = np.linspace(centre - SPREAD, centre + SPREAD, 2_001)
        u, weight = (z - centre) / REACH, np.exp(-(((z - centre) / DEVIATION) ** 2) / 4.0)
        powers = np.vander(u, 4, increasing=True)
        coefficients, *_ = np.linalg.lstsq(powers * weight[:, None], weight / (1.0 + np.exp(-z)), rcond=None)
        return Curve(
            centre, (float(coefficients[0]), float(coefficients[1]), float(coefficients[2]), float(coefficients[3]))
        )

    def of(self, logits: FloatArray) -> FloatArray:
        """The cubic's value, for comparison with what shares give."""
        u = (logits - self.centre) / REACH
        return np.asarray(np.polynomial.polynomial.polyval(u, self.coefficients), dtype=np.float64)

    @property
    def largest_residual(self) -> int:
        """The largest magnitude of y − σ(z), in units of 2^−36, for y in {0, 1} and any u that two parties can hold.

        Exact: a u held on shares is one of 4,097 integers, and the cubic's own integers are evaluated at all of them.
        """
        u = np.arange(-2 << LOGIT_BITS, (2 << LOGIT_BITS) + 1, dtype=np.int64)
        values = self.share(*(np.asarray(u**k).astype(np.uint64) for k in (1, 2, 3)), constant=True).astype(np.int64)
        return int(max(np.abs(y - values).max() for y in (0, 1 << RESIDUAL_BITS)))

    @property
    def most_rows(self) -> int:
        """How many rows' gradient is below 2^63 in magnitude, whatever their labels, logits and columns in [0, 1]."""
        return LARGEST_SUM // (self.largest_residual << COLUMN_BITS)

    def check_rows(self, rows: int) -> None:
        """Raise `AggregationFailed` if a gradient summed over `rows` could leave the ring and come out wrong."""
        if rows > self.most_rows:
            detail = f"the gradient of {rows} rows may not fit the ring, of {self.most_rows} it does: train on a sample"
            raise AggregationFailed(detail)

    def share(self, u: Ring, square: Ring, cube: Ring, *, constant: bool) -> Ring:
        """A party's share of the cubic from its shares of u, u² and u³; one party adds the constant."""
        c0, *rest = self.coefficients
        factors = [_integer(c, RESIDUAL_BITS - power * LOGIT_BITS) for power, c in enumerate(rest, start=1)]
        total = u * factors[0] + square * factors[1] + cube * factors[2]
        return np.asarray(total + _integer(c0, RESIDUAL_BITS) if constant else total)


def _integer(value: float, bits: int) -> np.uint64:
    return np.int64(round(value * 2.0**bits)).astype(np.uint64)
