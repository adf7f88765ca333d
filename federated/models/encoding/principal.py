"""Few columns instead of many, chosen without labels: the directions in which a prior lets a function vary most.

Where coefficients have independent normal priors with precisions P, the function Xw varies over customers by the
covariance of C = X P^(−1/2), and of all sets of k columns the first k principal components of C keep most of it
(Jolliffe, Principal Component Analysis, 2nd ed. 2002, property A1; as regressors: section 8.1). They need the Gram
matrix of X alone, which is a sum over customers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg

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
    what each was divided by: times it, all coefficients of a part have one prior, but that of a `constant`, which is
    the first. `parts` are how many columns each has: components of ramps and leaves of pairs, then of intervals.
    """

    basis: RandomLeaves
    directions: FloatArray
    scale: FloatArray
    parts: tuple[int, ...]
    constant: bool = False

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.directions.shape[1])

    @property
    def relative(self) -> FloatArray:
        """Ridge (width,) of every column, where that of a ramp is 1, and 0 of a constant."""
        relative = 1.0 / self.scale**2
        if self.constant:
            relative[0] = 0.0
        return np.asarray(relative)

    def columns(self, values: FloatArray) -> Float32Array:
        """Design matrix (rows, width) of `values` (rows, features)."""
        return projected(self.basis.columns(values), self.directions)

    def functions(self, beta: FloatArray) -> tuple[ConvexFunction, TreeFunction]:
        """The fitted function of coefficients `beta` (width,): its ramps, and its trees."""
        return self.basis.functions(self.directions @ beta)


def projected(columns: Float32Array, directions: FloatArray) -> Float32Array:
    """Columns (rows, n) times `directions` (n, width), cut to [−1, 1]."""
    return np.asarray(np.clip(columns @ directions.astype(np.float32), -1.0, 1.0), dtype=np.float32)


def priors(
    basis: RandomLeaves, directions: FloatArray, precision: FloatArray, *, constant: bool
) -> tuple[FloatArray, tuple[int, ...]]:
    """`relative` and `parts` of a basis's `directions`, as `principal` finds them: whoever is told directions need not
    be told these. A column's prior is that of the coefficients that it stands for, `precision` (width,) times as tight
    as a ramp's.

    Raises `ValueError` for directions that are not a constant, if there is one, then columns of ramps and leaves of
    pairs, then columns of intervals.
    """
    own, first = directions[1:], int(constant)
    of_intervals = np.isin(np.arange(1, basis.width), basis.intervals)
    intervals, others = ((own[kind, first:] != 0.0).any(axis=0) for kind in (of_intervals, ~of_intervals))
    ordered = np.all(intervals != others) and np.all(np.diff(intervals.astype(np.int64)) >= 0)
    if not ordered or (constant and (directions[0, 0] != 1.0 or own[:, 0].any())):
        raise ValueError("directions are of intervals or of other columns, these first, and a constant is nothing else")
    relative = np.asarray(precision[1:] @ np.square(own), dtype=np.float64)
    counts = [int(kind.sum()) for kind in (others, intervals) if kind.any()]
    return relative, (counts[0] + first, *counts[1:])


def principal(
    basis: RandomLeaves, gram: FloatArray, precision: FloatArray, most: Sequence[int], *, constant: bool
) -> PrincipalColumns:
    """Components of `basis`, of whose columns `gram` (width, width) is the Gram matrix: at the `most` so many of each
    part, of which there are components at all.

    A column's prior is `precision` (width,) times as tight as a ramp's. The constant, the first column, is taken out of
    all components, and comes before them if there is to be one.
    """
    intervals = basis.intervals
    found = []
    for columns, few in zip((np.setdiff1d(np.arange(1, basis.width), intervals), intervals), most, strict=True):
        if len(columns) and few:
            found.append(_components(gram, columns, precision[columns], few))
    parts = tuple(len(scale) for _, scale in found)
    directions, scale = np.hstack([d for d, _ in found]), np.concatenate([s for _, s in found])
    if constant:
        first = np.zeros((basis.width, 1))
        first[0] = 1.0
        directions, scale = np.hstack([first, directions]), np.concatenate([[1.0], scale])
        parts = (parts[0] + 1, *parts[1:])
    return PrincipalColumns(basis, directions, scale, parts, constant)


def _components(gram: FloatArray, columns: IntArray, precision: FloatArray, most: int) -> tuple[FloatArray, FloatArray]:
    """Directions (gram's width, components) and scale (components,) of some columns, less their mean."""
    tight = np.sqrt(precision)
    rows, mean = gram[0, 0], gram[0, columns] / gram[0, 0]
    spread = (gram[np.ix_(columns, columns)] / rows - np.outer(mean, mean)) / np.outer(tight, tight)
    few = (max(len(spread) - most, 0), len(spread) - 1)
    variance, vectors = scipy.linalg.eigh(spread, subset_by_index=few, overwrite_a=True)
    variance, vectors = variance[::-1], vectors[:, ::-1]
    # Columns that are all constant have one component still, which says nothing.
    kept = variance >= LEAST_VARIANCE * max(variance[0], 0.0)
    scale = FARTHEST * np.sqrt(np.maximum(variance[kept], LEAST_VARIANCE))
    own = vectors[:, kept] / tight[:, None] / scale
    directions = np.zeros((len(gram), own.shape[1]))
    directions[0], directions[columns] = -mean @ own, own
    return directions, np.asarray(scale)
