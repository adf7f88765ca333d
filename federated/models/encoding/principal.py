"""Few columns instead of many, chosen without labels: the directions in which a prior lets a function vary most.

Where coefficients have independent normal priors with precisions P, the function Xw varies over customers by the
covariance of C = X P^(−1/2), and of all sets of k columns the first k principal components of C keep most of it
(Jolliffe, Principal Component Analysis, 2nd ed. 2002, property A1; as regressors: section 8.1). They need the Gram
matrix of X alone, which is a sum over customers. A gradient of k columns is k numbers about the labels, however many
columns the components were made of (`privacy.vertical.columns`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from federated.models.encoding.binning import IntArray
from federated.models.encoding.ramps import Float32Array, FloatArray
from federated.models.encoding.random_leaves import RandomLeaves
from federated.models.served.functions import ConvexFunction, TreeFunction

# How many standard deviations a column may be from its mean before it is cut.
FARTHEST = 8.0
# Components with less than this share of the first one's variance are rounding.
LEAST_VARIANCE = 1e-6


@dataclass(frozen=True, slots=True)
class PrincipalColumns:
    """Columns in [−1, 1]: those of `basis` times `directions` (basis.width, width), cut. `scale` (width,) is
    what each was divided by: times it, all coefficients have one prior."""

    basis: RandomLeaves
    directions: FloatArray
    scale: FloatArray

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.directions.shape[1])

    @property
    def exact(self) -> bool:
        """Whether the function is a sum of functions of at most two features."""
        return self.basis.exact

    @property
    def ramps(self) -> IntArray:
        """Numbers of all columns: none is a tree's leaf."""
        return np.arange(self.width)

    def penalty(self, ridge: float) -> FloatArray:
        """Ridge (width,) of every column, where that of a ramp is `ridge`."""
        return np.asarray(ridge / self.scale**2)

    def columns(self, values: FloatArray) -> Float32Array:
        """Design matrix (rows, width) of `values` (rows, features)."""
        return projected(self.basis.columns(values), self.directions)

    def functions(self, beta: FloatArray) -> tuple[ConvexFunction, TreeFunction]:
        """The fitted function of coefficients `beta` (width,): its ramps, and its trees."""
        return self.basis.functions(self.directions @ beta)


def projected(columns: Float32Array, directions: FloatArray) -> Float32Array:
    """Columns (rows, n) times `directions` (n, width), cut to [−1, 1]."""
    return np.asarray(np.clip(columns @ directions.astype(np.float32), -1.0, 1.0), dtype=np.float32)


def principal(basis: RandomLeaves, gram: FloatArray, most: int, leaf_ridge: float) -> PrincipalColumns:
    """At most `most` columns of `basis`, of whose columns `gram` (width, width) is the Gram matrix.

    A leaf's prior is `leaf_ridge` times as tight as a ramp's; the constant, the first column, is taken out.
    """
    precision = basis.penalty(1.0, leaf_ridge)[1:]
    rows, mean = gram[0, 0], gram[0, 1:] / gram[0, 0]
    spread = (gram[1:, 1:] / rows - np.outer(mean, mean)) / np.sqrt(np.outer(precision, precision))
    variance, vectors = np.linalg.eigh(spread)
    variance, vectors = variance[::-1][:most], vectors[:, ::-1][:, :most]
    # Columns that are all constant have one component still, which says nothing.
    kept = variance >= LEAST_VARIANCE * max(variance[0], 0.0)
    scale = FARTHEST * np.sqrt(np.maximum(variance[kept], LEAST_VARIANCE))
    own = vectors[:, kept] / np.sqrt(precision)[:, None] / scale
    return PrincipalColumns(basis, np.vstack([-mean @ own, own]), scale)
