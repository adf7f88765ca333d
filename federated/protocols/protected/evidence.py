"""A fit of coefficients with a normal prior, at the width of the prior at which labels are likeliest.

That width follows from the evidence, to second order: where labels are likeliest ridge · Σ relative · beta² is the
number of coefficients that rows determine (MacKay, "Bayesian Interpolation", Neural Computation 1992, equation 4.9).
It takes coefficients and Gram matrices, of each side by itself: no row has to be set aside for it, and nothing is
opened for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from federated.errors import TrainingFailed
from federated.models.encoding.ramps import FloatArray
from federated.models.learners.convex import CONSTANT_RIDGE
from federated.protocols.protected.solver import Asking, Metric, ascend

# How many times the tolerance roundings may leave.
ROUNDED = 10.0
# Between which the ridge is, how near the one that is wanted has to be, in its logarithm, and no coefficients at all.
RIDGES, CLOSE, TINY = (0.2, 1e4), 0.15, 1e-9
CLOSER = 1.1


@dataclass(frozen=True, slots=True)
class Block:
    """One side's columns: `relative` (width,) is the ridge of each where that of a ramp is 1, 0 of a constant, which is
    free; `curvature` (width, width) is that of the log-likelihood if every row is an average one, and `spectrum`
    (directions,) its eigenvalues beside the prior's unit, a constant taken out."""

    relative: FloatArray
    curvature: FloatArray
    spectrum: FloatArray

    @staticmethod
    def of(relative: FloatArray, curvature: FloatArray) -> Block:
        """A side's block; a constant, if there is one, is its first column."""
        own, scale = curvature, relative
        if relative[0] == 0.0:
            own, scale = own[1:, 1:] - np.outer(own[0, 1:], own[0, 1:]) / own[0, 0], relative[1:]
        spectrum = np.maximum(scipy.linalg.eigvalsh(own / np.sqrt(np.outer(scale, scale))), 0.0)
        return Block(relative, curvature, np.asarray(spectrum))

    def penalty(self, ridge: float) -> FloatArray:
        """Ridge of every column (width,) where that of a ramp is `ridge`."""
        return np.where(self.relative == 0.0, CONSTANT_RIDGE, ridge * self.relative)


@dataclass(frozen=True, slots=True)
class Effort:
    """A fit has come to rest when a further step would add less than `tolerance` a coefficient to the log-likelihood.
    It takes `ridges` values of the ridge at the most, about `most` gradients each, and about `left` in all."""

    tolerance: float
    most: int
    ridges: int
    left: int


@dataclass(frozen=True, slots=True)
class Fit:
    """Coefficients of all blocks in a row, and the ridge that they were fitted at."""

    point: FloatArray
    ridge: float


def fit(
    blocks: Sequence[Block],
    start: FloatArray,
    ridge: float,
    effort: Effort,
    watch: Callable[[int, float], None] = lambda *_: None,
) -> Asking[Fit]:
    """Fit from `start`, at `ridge` first. Raises `TrainingFailed` where that first fit does not come to rest."""
    tolerance = effort.tolerance * len(start)
    here, raw, left = start, None, effort.left
    relative = np.concatenate([block.relative for block in blocks])
    best = Fit(start, ridge)
    for number in range(effort.ridges):
        if number and left <= 0:
            break
        found = yield from ascend(
            _metric(blocks, ridge), here, tolerance=tolerance, most=min(effort.most, left), gradient=raw, watch=watch
        )
        left -= found.evaluations
        if found.left > ROUNDED * tolerance:
            # Less ridge takes logits to where the cubic is cut, and what is fitted there is no maximum.
            if number:
                break
            raise TrainingFailed(f"the fit at ridge {ridge:g} does not come to rest in {found.evaluations} gradients")
        here, raw = found.point, found.gradient
        best = Fit(here, ridge)
        determined = sum(float((block.spectrum / (block.spectrum + ridge)).sum()) for block in blocks)
        wanted = rounded(determined / max(float(relative @ np.square(here)), TINY))
        if abs(np.log(wanted / ridge)) < CLOSE:
            break
        ridge = wanted
    return best


def rounded(ridge: float) -> float:
    """The nearest of about a hundred ridges, each `CLOSER` times the one before: which one it is says little of the
    coefficients that it follows from. Raises `TrainingFailed` for a ridge that is no positive number."""
    if not 0.0 < ridge < np.inf:
        raise TrainingFailed(f"{ridge:g} is no ridge")
    steps = np.rint(np.log(np.clip(ridge, *RIDGES) / RIDGES[0]) / np.log(CLOSER))
    return float(RIDGES[0] * CLOSER**steps)


def _metric(blocks: Sequence[Block], ridge: float) -> Metric:
    penalties = [block.penalty(ridge) for block in blocks]
    try:
        factors = [
            scipy.linalg.cho_factor(block.curvature + np.diag(penalty))
            for block, penalty in zip(blocks, penalties, strict=True)
        ]
    except np.linalg.LinAlgError as error:
        raise TrainingFailed(f"a side's columns have no solvable system: {error}") from error
    return Metric(np.concatenate(penalties), factors)
