"""What does an insider of a bank, or the operator, make of scores?

The insider holds its own share of the model and subtracts it.

A score is told in whole points, so one answer bounds the grid company's share of the logit from both sides. The insider
who writes into the bank's own file can ask again with another own share, and each answer cuts the bounds. With
bounds on many customers whose electricity data it knows from elsewhere (their bills, say), it fits the grid company's
function. The worst case is assumed: the insider knows its own functions, the calibration and the scale exactly.

The operator sees the sum of both shares and whatever else passes it. It learnt on customers whose logits at the grid
company somebody told it, and reads those of others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
# No share of a model lies outside; and how fine the bounds are searched.
LIMIT, STEPS = 20.0, 60
KNOTS, RIDGE = 4, 1e-2


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is known of the other party's share of a logit."""

    low: float = -LIMIT
    high: float = LIMIT

    @property
    def middle(self) -> float:
        """The best guess."""
        return (self.low + self.high) / 2

    @property
    def width(self) -> float:
        """How much is left open, in logits."""
        return self.high - self.low


def bounds_of(scores: Sequence[int], own: Sequence[float], scored: Callable[[float], int]) -> Bounds:
    """The shares that give all `scores` together with the `own` logits; `scored` never rises with the logit."""
    bounds = Bounds()
    for score, logit in zip(scores, own, strict=True):
        low, high = _edge(scored, logit, score), _edge(scored, logit, score - 1)
        bounds = Bounds(max(bounds.low, low), min(bounds.high, high))
    return bounds


def _edge(scored: Callable[[float], int], own: float, score: int) -> float:
    """The smallest share with which the score is at most `score`."""
    low, high = -LIMIT, LIMIT
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if scored(own + middle) <= score else (middle, high)
    return high


def fitted_r2(known: FloatArray, shares: FloatArray, others: FloatArray, truth: FloatArray) -> float:
    """R² on `others` (rows, columns) of an additive function fitted to `shares` (k,) of customers `known` (k, columns).

    `truth` (rows,) are the shares of the others. Ramps at quantiles of each column and an indicator of a missing value,
    ridge regression. May be negative: worse than the mean of the others.
    """
    cuts = [np.nanquantile(column, np.linspace(0, 1, KNOTS + 2)) for column in known.T]
    design, target = _ramps(known, cuts), shares - shares.mean()
    gram = design.T @ design + RIDGE * len(design) * np.eye(design.shape[1])
    weights = np.linalg.solve(gram, design.T @ target)
    guess = _ramps(others, cuts) @ weights + shares.mean()
    return float(1 - np.sum((truth - guess) ** 2) / np.sum((truth - truth.mean()) ** 2))


def as_columns(told: Sequence[Mapping[str, float]]) -> FloatArray:
    """What was told of each customer as (rows, 2 · names): name by name the number, and whether there was one."""
    names = sorted({name for each in told for name in each})
    numbers = [[each.get(name, 0.0) for name in names] + [float(name in each) for name in names] for each in told]
    return np.array(numbers, dtype=np.float64).reshape(len(told), 2 * len(names))


def seen_r2(seen: FloatArray, truth: FloatArray, learnt: int) -> float:
    """R² of `truth` (rows,) on the rows after the first `learnt`, by a linear function of what was `seen`.

    `seen` is (rows, columns); the function is fitted to the first rows. May be negative.
    """
    middle, spread = seen[:learnt].mean(axis=0), seen[:learnt].std(axis=0)
    design = (seen - middle) / np.where(spread > 0, spread, 1.0)
    known, level = design[:learnt], truth[:learnt].mean()
    weights = np.linalg.solve(
        known.T @ known + RIDGE * learnt * np.eye(known.shape[1]), known.T @ (truth[:learnt] - level)
    )
    guess, others = design[learnt:] @ weights + level, truth[learnt:]
    return float(1 - np.sum((others - guess) ** 2) / np.sum((others - others.mean()) ** 2))


def _ramps(values: FloatArray, cuts: Sequence[FloatArray]) -> FloatArray:
    parts = []
    for column, edges in zip(values.T, cuts, strict=True):
        missing = np.isnan(column)
        filled = np.where(missing, edges[len(edges) // 2], column)
        for low, high in pairwise(edges):
            parts.append(np.clip((filled - low) / max(high - low, 1e-12), 0.0, 1.0) - 0.5)
        parts.append(missing.astype(np.float64))
    return np.column_stack(parts)
