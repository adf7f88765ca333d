"""A fit of coefficients with normal priors, one a part of columns, of the widths at which labels are likeliest.

These widths follow from the evidence, to second order: where labels are likeliest ridge · Σ relative · beta² is, of
each part, the number of coefficients that rows determine (MacKay, "Bayesian Interpolation", Neural Computation 1992,
equation 4.9). It takes coefficients and curvatures, of each part by itself: no row has to be set aside for it, and
nothing is opened for it. All widths are drawn to what they would be in common, as by `FIRM` coefficients more (a gamma
prior of a precision), or a part with next to no signal ends at either bound.

How much rows determine depends on how sure a fit is of them: a row at 1 or 99 % bends the likelihood a twelfth as much
as one at 13 %. Nobody knows whole logits; principal columns are uncorrelated, so coefficients tell how far logits
are spread, and the cubic's mean slope over a normal spread is exact (`Curve.mean_slope`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from federated.errors import TrainingFailed
from federated.models.encoding.principal import FARTHEST
from federated.models.encoding.ramps import FloatArray
from federated.models.learners.convex import CONSTANT_RIDGE
from federated.privacy.vertical.curve import Curve
from federated.protocols.protected.solver import Asking, Metric, ascend

# How many times the tolerance roundings may leave.
ROUNDED = 10.0
# Between which a ridge is, how near the one that is wanted has to be, in its logarithm, and no coefficients at all.
RIDGES, CLOSE, TINY = (0.2, 1e4), 0.15, 1e-9
CLOSER = 1.1
# So many determined coefficients weighs what all parts have in common; chosen on the sets of `tanxin bench credit`.
FIRM = 5.0
# Rows that a fit is sure of bend the likelihood less than average ones, but no less than this share.
LEAST_BEND = 0.02


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a side's principal columns: `relative` (width,) is the ridge of each where that of a ramp is 1, 0 of a
    constant, which is free; `curvature` (width,) is that of the log-likelihood if every row is an average one.
    Principal columns are uncorrelated, so it has no other entries."""

    relative: FloatArray
    curvature: FloatArray

    @staticmethod
    def of(relative: FloatArray, rows: float, rate: float) -> Block:
        """Of `rows` rows, of which the share `rate` defaulted."""
        whole = rate * (1.0 - rate) * rows
        return Block(relative, np.where(relative == 0.0, whole, whole / FARTHEST**2))

    def penalty(self, ridge: float) -> FloatArray:
        """Ridge of every column (width,) where that of a ramp is `ridge`."""
        return np.where(self.relative == 0.0, CONSTANT_RIDGE, ridge * self.relative)

    def determined(self, ridge: float, bend: float) -> float:
        """How many coefficients rows determine, where they bend the likelihood `bend` times as much as average ones."""
        held = self.relative > 0.0
        by_rows = bend * self.curvature[held]
        return float((by_rows / (by_rows + ridge * self.relative[held])).sum())


@dataclass(frozen=True, slots=True)
class Effort:
    """A fit has come to rest when a further step would add less than `tolerance` a coefficient to the log-likelihood.
    It takes `ridges` values of the ridges at the most, about `most` gradients each, and about `left` in all."""

    tolerance: float
    most: int
    ridges: int
    left: int


@dataclass(frozen=True, slots=True)
class Fit:
    """Coefficients of all blocks in a row, and the ridges that they were fitted at, one a block."""

    point: FloatArray
    ridges: tuple[float, ...]


def fit(
    blocks: Sequence[Block],
    start: FloatArray,
    ridges: Sequence[float],
    effort: Effort,
    curve: Curve,
    watch: Callable[[int, float], None] = lambda *_: None,
) -> Asking[Fit]:
    """Fit from `start`, at `ridges` first, what is the logistic function or the cubic `curve` of it; the first block
    has the constant. Raises `TrainingFailed` where that first fit does not come to rest."""
    tolerance = effort.tolerance * len(start)
    here, raw, left = start, None, effort.left
    best = Fit(start, tuple(rounded(ridge) for ridge in ridges))
    wanted = best.ridges
    for number in range(effort.ridges):
        if number and left <= 0:
            break
        metric = Metric(
            np.concatenate([block.penalty(ridge) for block, ridge in zip(blocks, wanted, strict=True)]),
            np.concatenate([block.curvature for block in blocks]),
        )
        found = yield from ascend(
            metric, here, tolerance=tolerance, most=min(effort.most, left), gradient=raw, watch=watch
        )
        left -= found.evaluations
        if found.left > ROUNDED * tolerance:
            # Less ridge takes logits to where the cubic is cut, and what is fitted there is no maximum.
            if number:
                break
            at = " and ".join(f"{ridge:g}" for ridge in wanted)
            raise TrainingFailed(f"the fit at ridge {at} does not come to rest in {found.evaluations} gradients")
        here, raw, best = found.point, found.gradient, Fit(found.point, wanted)
        wanted = _likeliest(blocks, best, curve)
        if np.all(np.abs(np.log(np.divide(wanted, best.ridges))) < CLOSE):
            break
    return best


def _likeliest(blocks: Sequence[Block], at: Fit, curve: Curve) -> tuple[float, ...]:
    """The ridges at which labels would be likeliest, were the rest as it is."""
    parts = np.split(at.point, np.cumsum([len(block.relative) for block in blocks])[:-1])
    spread = sum(float(np.square(part[block.relative > 0.0]).sum()) for block, part in zip(blocks, parts, strict=True))
    slope = curve.mean_slope(float(at.point[0]), spread / FARTHEST**2) / curve.slope_of_rate
    bend = float(np.clip(slope, LEAST_BEND, 1.0))
    determined = [block.determined(ridge, bend) for block, ridge in zip(blocks, at.ridges, strict=True)]
    lengths = [float(block.relative @ np.square(part)) for block, part in zip(blocks, parts, strict=True)]
    common = sum(determined) / max(sum(lengths), TINY)
    firm = FIRM if len(blocks) > 1 else 0.0
    return tuple(
        rounded((number + firm) / max(length + firm / common, TINY))
        for number, length in zip(determined, lengths, strict=True)
    )


def rounded(ridge: float) -> float:
    """The nearest of about a hundred ridges, each `CLOSER` times the one before. Raises `TrainingFailed` for a ridge
    that is no positive number."""
    if not 0.0 < ridge < np.inf:
        raise TrainingFailed(f"{ridge:g} is no ridge")
    steps = np.rint(np.log(np.clip(ridge, *RIDGES) / RIDGES[0]) / np.log(CLOSER))
    return float(RIDGES[0] * CLOSER**steps)
