"""Convex learners from sums: gradients and Hessians that nodes add up, solved by Newton's method with a ridge.

Loss of member m: Σ over its rows of the logistic loss, plus ½ Σ_d ridge_d β_d². Sums over nodes equal sums over pooled
rows, so the steps, and the optimum, are those of pooled training whatever the split of rows. Members (inner folds ×
ridges) share one curvature, that of their mean logit, so one Gram matrix an inner fold serves them all: each member's
gradient is exact and therefore its optimum, only the path there is a quasi-Newton one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from federated.errors import TrainingFailed
from federated.models.encoding.binning import Binning
from federated.models.encoding.ramps import Float32Array, FloatArray, RampEncoder

CONSTANT = 1
CONSTANT_RIDGE = 1e-3
PAIR_RIDGE = 6.0


@dataclass(frozen=True, slots=True)
class Basis:
    """Columns of a convex learner: a constant, quantile ramps and missing indicators, and cells of chosen pairs.

    `pairs` are feature numbers; a pair's cells are those of the coarse binning, one indicator each.
    """

    encoder: RampEncoder
    coarse: Binning
    pairs: tuple[tuple[int, int], ...]

    @property
    def width(self) -> int:
        """Number of columns."""
        return CONSTANT + self.encoder.width + len(self.pairs) * self.coarse.size**2

    def penalty(self, ridge: float) -> FloatArray:
        """Ridge of every column, (width,): a pair's cells are held `PAIR_RIDGE` times as tightly as ramps."""
        out = np.full(self.width, ridge)
        out[0] = CONSTANT_RIDGE
        out[CONSTANT + self.encoder.width :] *= PAIR_RIDGE
        return out

    def columns(self, values: FloatArray) -> Float32Array:
        """Design matrix (rows, width) of `values` (rows, features)."""
        out = np.zeros((len(values), self.width), dtype=np.float32)
        out[:, 0] = 1.0
        out[:, CONSTANT : CONSTANT + self.encoder.width] = self.encoder.encode(values)
        codes, rows = self.coarse.codes(values), np.arange(len(values))
        start = CONSTANT + self.encoder.width
        for a, b in self.pairs:
            out[rows, start + codes[:, a] * self.coarse.size + codes[:, b]] = 1.0
            start += self.coarse.size**2
        return out


def gradient_of(columns: Float32Array, residual: FloatArray) -> FloatArray:
    """Gradient (members, width) of the loss without ridge. `residual` (members, rows), 0 where a row is not fitted."""
    return np.asarray(-(residual @ columns), dtype=np.float64)


def grams_of(columns: Float32Array, curvature: FloatArray, folds: FloatArray) -> FloatArray:
    """Gram matrices (folds, width, width) of `columns` (rows, width) weighted by `curvature` (rows,).

    `folds` (folds, rows) marks each inner fold's rows, so that a sum over folds leaves out any one of them.
    """
    gram = np.zeros((len(folds), columns.shape[1], columns.shape[1]))
    for k, mask in enumerate(folds):
        rows = np.flatnonzero(mask)
        part = columns[rows] * np.sqrt(curvature[rows])[:, None].astype(np.float32)
        gram[k] = part.T @ part
    return gram


class NewtonSystems:
    """The members' factored systems, (Gram of all folds but the member's own) + ridge, reused until new Grams come.

    Members run over folds, and over `penalties` (ridges, width) within a fold; a member of fold k fits all other folds.
    With `repeats` the folds of several partitions of the same rows stand one after the other.
    Every side has a constant, hardly penalised: a side that moves its level with its ramps needs far fewer rounds.
    Raises `TrainingFailed` if a system is not positive definite.
    """

    def __init__(self, gram: FloatArray, penalties: FloatArray, repeats: int = 1) -> None:
        self._penalties = penalties
        whole = gram.sum(axis=0) / repeats
        self._factors: list[tuple[FloatArray, bool]] = []
        for own in gram:
            hessian = whole - own if len(gram) > 1 else whole
            self._factors.extend(self._factored(hessian, penalty) for penalty in penalties)

    def _factored(self, hessian: FloatArray, penalty: FloatArray) -> tuple[FloatArray, bool]:
        system = hessian + np.diag(penalty)
        try:
            factor, lower = scipy.linalg.cho_factor(system, overwrite_a=True)
        except (np.linalg.LinAlgError, ValueError) as error:
            raise TrainingFailed(f"a Newton system has no solution: {error}") from error
        return np.asarray(factor), bool(lower)

    def step(self, gradient: FloatArray, beta: FloatArray) -> FloatArray:
        """The next coefficients from `beta` (members, width) and the loss's `gradient` (members, width) there."""
        out = beta.copy()
        for m, factor in enumerate(self._factors):
            slope = gradient[m] + self._penalties[m % len(self._penalties)] * beta[m]
            out[m] -= scipy.linalg.cho_solve(factor, slope)
        return out


def pair_cells(codes: FloatArray, size: int, residual: FloatArray, curvature: FloatArray) -> FloatArray:
    """Sums of `residual` and `curvature` (rows,) in the cells of every pair of features: (pairs, size, size, 2)."""
    features = codes.shape[1]
    sums = []
    for a in range(features):
        for b in range(a + 1, features):
            key = codes[:, a].astype(np.int64) * size + codes[:, b].astype(np.int64)
            sides = [np.bincount(key, w, size * size).reshape(size, size) for w in (residual, curvature)]
            sums.append(np.stack(sides, axis=-1))
    return np.asarray(np.array(sums).reshape(-1, size, size, 2), dtype=np.float64)


def strongest_pairs(cells: FloatArray, features: int, most: int) -> tuple[tuple[int, int], ...]:
    """The pairs whose cells explain most of the residual that main effects left, strongest first.

    The gain of a table of cells is Σ R² / (H + ridge), less what its rows and columns explain alone.
    """
    ridge = 10.0
    r, h = cells[..., 0], cells[..., 1]

    def worth(top: FloatArray, bottom: FloatArray) -> FloatArray:
        return np.asarray((top**2 / (bottom + ridge)).reshape(len(cells), -1).sum(axis=1))

    gain = worth(r, h) - worth(r.sum(axis=1), h.sum(axis=1)) - worth(r.sum(axis=2), h.sum(axis=2))
    names = [(a, b) for a in range(features) for b in range(a + 1, features)]
    order = np.argsort(-gain, kind="stable")[:most]
    return tuple(names[i] for i in order)
