"""σ as a cubic around the overall rate: additions and products are all that shares can do.

σ(z) ≈ c₀ + c₁u + c₂u² + c₃u³ with u = (z − m) / `REACH` and m the logit of the rate of default, by least squares
weighted by a normal density of standard deviation √2 · `DEVIATION` logits, among cubics that rise on all of [−2, 2].
The rate is public to both parties; nothing else enters.

A bank's part of u is cut to [−1, 1]; a grid company's, which nobody sees, is not, and lies there for customers whose
electricity moves their logit by no more than `REACH`. Then u lies in [−2, 2] and reaches where the cubic follows σ no
longer. Because it rises there too, what training ascends is concave: no row pulls a coefficient the wrong way. A fit
that takes many customers farther does not come to rest. (The cubic that follows σ best near the middle falls beyond 6
logits, and training on it diverged.) Sums have to have room for the cubic, not for σ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.optimize

from federated.errors import AggregationFailed
from federated.privacy.vertical.ring import COLUMN_BITS, LARGEST_SUM, LOGIT_BITS, RESIDUAL_BITS, FloatArray, Ring

REACH, DEVIATION = 4.0, 1.7
# A constant either way, and the integrals of 4 − u², of 1 and of (u − a)² for a on a grid, in powers of u: a cubic
# rises on [−2, 2] if and only if its derivative is a sum of such with weights that are not negative (Lukács; Szegő,
# Orthogonal Polynomials, theorem 1.21.1), but for the grid's step.
_GRID = np.linspace(-2.0, 2.0, 81)
RISING = np.array(
    [
        [1.0, 0.0, 0.0, 0.0],
        [-1.0, 0.0, 0.0, 0.0],
        [0.0, 4.0, 0.0, -1.0 / 3.0],
        [0.0, 1.0, 0.0, 0.0],
        *([0.0, a * a, -a, 1.0 / 3.0] for a in _GRID.tolist()),
    ]
)


@dataclass(frozen=True, slots=True)
class Curve:
    """`centre` m and coefficients c₀ … c₃ in u."""

    centre: float
    coefficients: tuple[float, float, float, float]

    @staticmethod
    def around(rate: float) -> Curve:
        """The cubic for an overall rate of default, strictly between 0 and 1."""
        centre = float(np.log(rate / (1.0 - rate)))
        u = np.linspace(-2.0, 2.0, 401)
        weight = np.exp(-((u * REACH / DEVIATION) ** 2) / 4.0)
        columns = np.stack([np.polynomial.polynomial.polyval(u, row) for row in RISING], axis=1)
        target = weight / (1.0 + np.exp(-(centre + u * REACH)))
        found, _ = scipy.optimize.nnls(columns * weight[:, None], target)
        c0, c1, c2, c3 = (float(c) for c in found @ RISING)
        return Curve(centre, (c0, c1, c2, c3))

    def of(self, logits: FloatArray) -> FloatArray:
        """The cubic's value, for comparison with what shares give."""
        u = (logits - self.centre) / REACH
        return np.asarray(np.polynomial.polynomial.polyval(u, self.coefficients), dtype=np.float64)

    def mean_slope(self, mean: float, variance: float) -> float:
        """How much the cubic rises with a logit, on the average over logits of a normal density."""
        u, spread = (mean - self.centre) / REACH, variance / REACH**2
        _, c1, c2, c3 = self.coefficients
        return (c1 + 2.0 * c2 * u + 3.0 * c3 * (u * u + spread)) / REACH

    @property
    def slope_of_rate(self) -> float:
        """p(1 − p) at the overall rate p: how much the logistic function rises there."""
        p = 1.0 / (1.0 + np.exp(-self.centre))
        return float(p * (1.0 - p))

    @property
    def largest_residual(self) -> int:
        """The largest magnitude of y − σ(z), in units of 2^−36, for y in {0, 1} and any u in [−2, 2].

        Exact: a u held on shares is one of 4,097 integers, and the cubic's own integers are evaluated at all of them.
        """
        u = np.arange(-2 << LOGIT_BITS, (2 << LOGIT_BITS) + 1, dtype=np.int64)
        values = self.share(*(np.asarray(u**k).astype(np.uint64) for k in (1, 2, 3)), constant=True).astype(np.int64)
        return int(max(np.abs(y - values).max() for y in (0, 1 << RESIDUAL_BITS)))

    @property
    def most_rows(self) -> int:
        """How many rows' gradient is below 2^63 in magnitude, whatever their labels, columns in [−1, 1], logits within
        reach."""
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
