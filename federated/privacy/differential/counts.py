"""How scores and labels fall into public cells, with noise: calibration and a held-out ranking from one small vector.

A record is counted once, in the cell of its score and label, `COUNT` units: that is how far it moves the vector.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from federated.models.encoding.hats import IntArray
from federated.models.encoding.ramps import FloatArray
from federated.privacy.differential.edges import COUNT

CELLS = 24
# Fitted values of ½(2y − 1) lie between −½ and ½ but for what noise adds.
REACH = 0.6
LENGTH = 2 * CELLS
BOUND_SQUARED = COUNT**2


@dataclass(frozen=True, slots=True)
class Calibration:
    """Log-odds = slope · score + level; `auc` of the counted rows, as far as noise lets it be seen."""

    slope: float
    level: float
    auc: float


def score_counts(scores: FloatArray, labels: NDArray[np.int64]) -> IntArray:
    """Counts in units (LENGTH,) of `scores` (rows,), first of label 0, then of label 1."""
    cell = np.clip((scores + REACH) / (2 * REACH) * CELLS, 0, CELLS - 1).astype(np.int64)
    return np.asarray(np.bincount(labels * CELLS + cell, minlength=LENGTH) * COUNT, dtype=np.int64)


def calibrated(noisy: FloatArray) -> Calibration:
    """Platt's line and the AUC of noisy counts (LENGTH,) in units, after noise below 0 was taken from the others."""
    good, bad = (_projected(row / COUNT) for row in np.reshape(noisy, (2, CELLS)))
    middle = (np.arange(CELLS) + 0.5) / CELLS * 2 * REACH - REACH

    def loss(line: FloatArray) -> tuple[float, FloatArray]:
        logit = line[0] * middle + line[1]
        p = 1.0 / (1.0 + np.exp(-np.clip(logit, -30.0, 30.0)))
        residual = p * (good + bad) - bad
        value = float(np.sum(good * np.logaddexp(0.0, logit) + bad * np.logaddexp(0.0, -logit)))
        # A weak pull keeps the line finite where noise left nothing to fit.
        pull = 0.01 * (line - np.array([4.0, 0.0]))
        gradient = np.array([np.sum(residual * middle), np.sum(residual)])
        return value + 0.5 * float(pull @ pull) / 0.01, gradient + pull

    slope, level = scipy.optimize.minimize(loss, np.array([4.0, 0.0]), jac=True, method="BFGS").x
    below = np.cumsum(good) - good
    pairs = float(good.sum() * bad.sum())
    auc = float(np.sum(bad * (below + 0.5 * good)) / pairs) if pairs else 0.5
    return Calibration(max(float(slope), 0.0), float(level), auc)


def _projected(counts: FloatArray) -> FloatArray:
    """The nearest counts without negative ones and with the same total, which cutting at 0 would overstate.

    Projection onto a simplex (Held, Wolfe and Crowder 1974).
    """
    total = max(float(counts.sum()), 0.0)
    falling = np.sort(counts)[::-1]
    excess = (np.cumsum(falling) - total) / np.arange(1, len(counts) + 1)
    level = excess[np.flatnonzero(falling > excess)[-1]] if total > 0 else falling[0]
    return np.asarray(np.maximum(counts - level, 0.0))
