"""Second moments of bounded integer rows with labels: all that a ridge regression needs, in one vector.

For a row x (see `models.hats`: ‖x‖² ≤ K·U² and 0 ≤ x_i ≤ U) with label y the vector holds x_i·x_j for i ≤ j, then
s·(2y − 1)·x with s = ⌊√K·U/2⌋. Its squared length is at most ½((K·U²)² + K·U²·U²) + s²·K·U²: the upper triangle counts
each product once, Σ_{i≤j} x_i²x_j² = ½(‖x‖⁴ + Σx_i⁴), and Σx_i⁴ ≤ U²·‖x‖².
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.models.encoding.hats import UNIT, IntArray
from federated.models.encoding.ramps import FloatArray

# Ridge over what a random symmetric matrix has in any direction, σ·√width; chosen on fold 0 of the Taiwan set.
RIDGE = 2.0
LEAST_RIDGE = 1e-4


@dataclass(frozen=True, slots=True)
class MomentShape:
    """`width` cells in `blocks` groups that each hold `UNIT` at most."""

    width: int
    blocks: int

    @property
    def label_scale(self) -> int:
        """s: how much the label's part weighs beside the products, in units."""
        return math.isqrt(self.blocks * UNIT**2) // 2

    @property
    def length(self) -> int:
        """Numbers in the vector."""
        return self.width * (self.width + 1) // 2 + self.width

    @property
    def bound_squared(self) -> int:
        """Square of the farthest that one record moves the vector, in units, exact."""
        energy = self.blocks * UNIT**2
        products = (energy**2 + energy * UNIT**2) // 2
        return products + self.label_scale**2 * energy


def moment_vector(rows: IntArray, labels: NDArray[np.int64], shape: MomentShape) -> IntArray:
    """The vector (shape.length,) of integer `rows` (records, width) with `labels` in {0, 1}, exact."""
    # Products of integers below 2^53 are exact in float64, whose matrix product is the fast one.
    x = rows.astype(np.float64)
    gram = x.T @ x
    sides = x.T @ (2.0 * labels - 1.0) * shape.label_scale
    upper = gram[np.triu_indices(shape.width)]
    return np.asarray(np.concatenate([upper, sides]), dtype=np.int64)


def solved(noisy: FloatArray, shape: MomentShape, deviation: float) -> FloatArray:
    """Coefficients (width,) of ½(2y − 1) on x/(√K·U), from a sum with noise of standard `deviation` units an entry.

    Post-processing: what noise made negative in the Gram matrix is cut to 0, and the ridge is `RIDGE` times the noise
    in any direction, so no data decide on it. Coefficients are returned for rows in units.
    """
    energy = shape.blocks * UNIT**2
    upper = noisy[: -shape.width] / energy
    gram = np.zeros((shape.width, shape.width))
    gram[np.triu_indices(shape.width)] = upper
    gram = gram + np.triu(gram, 1).T
    sides = noisy[-shape.width :] / (2.0 * shape.label_scale * math.sqrt(energy))
    values, vectors = np.linalg.eigh(gram)
    values = np.maximum(values, 0.0)
    ridge = RIDGE * deviation / energy * math.sqrt(shape.width) + LEAST_RIDGE * max(float(values[-1]), 1.0)
    beta = vectors @ ((vectors.T @ sides) / (values + ridge))
    return np.asarray(beta / math.sqrt(energy))
