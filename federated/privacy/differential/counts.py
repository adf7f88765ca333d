"""How scores and labels fall into public cells, with noise: calibration and a held-out ranking from one small vector.

A record is counted once, in the cell of its score and label, `COUNT` units: that is how far it moves the vector.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from federated.models.encoding import FloatArray
from federated.models.hats import IntArray
from federated.privacy.differential.edges import COUNT

CELLS = 48
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
    """Platt's line and the AUC of noisy counts (LENGTH,) in units. Negative counts count as none."""
    good, bad = np.maximum(np.reshape(noisy, (2, CELLS)) / COUNT, 0.0)
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
