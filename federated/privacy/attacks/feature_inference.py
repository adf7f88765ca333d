"""What does a firm consume? What a bank can tell of the grid company's columns from what training hands to it.

The attacker knows the true electricity columns of some of its customers (from bills they showed) and learns to predict
them for the others: once from its own columns alone, once with what it saw of every row beside them. The gain in R² is
what the exchange gives away; own columns predict something in any case.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

FloatArray = NDArray[np.float64]
TREES = 80


@dataclass(frozen=True, slots=True)
class Reconstructed:
    """R² on customers that the attacker did not know, of the column that it gains most on.

    `before` from its own columns, `after` with what it saw.
    """

    column: int
    before: float
    after: float

    @property
    def gain(self) -> float:
        """What seeing adds, at least 0."""
        return max(self.after - self.before, 0.0)


def from_gradients(columns: FloatArray, gradients: FloatArray, labels: NDArray[np.int64]) -> FloatArray:
    """What is seen (rows, steps) from gradients (steps, width) of the bank's `columns` (rows, width): estimates of p.

    The residual y − p of smallest norm that has the gradient, taken from the labels, which the bank knows.
    """
    factor = scipy.linalg.cho_factor(columns.T @ columns + 1e-3 * np.eye(columns.shape[1]))
    residuals = columns @ scipy.linalg.cho_solve(factor, gradients.T)
    return np.asarray(labels[:, None] - residuals, dtype=np.float64)


def reconstructed(
    own: FloatArray, seen: FloatArray, wanted: FloatArray, known_share: float, seed: int
) -> Reconstructed:
    """Attack on every column of `wanted` (rows, columns), NaN = missing and left out, from `own` and `seen` (rows, …).

    `known_share` of the rows, drawn by `seed`, are known to the attacker.
    """
    known = np.random.default_rng(seed).random(len(own)) < known_share
    scores = []
    for target in wanted.T:
        rows = np.isfinite(target) & (np.ptp(target[np.isfinite(target)], axis=0) > 0)
        learnt, judged = known & rows, ~known & rows
        pair = []
        for given in (own, np.hstack([own, seen])):
            model = HistGradientBoostingRegressor(max_iter=TREES, random_state=seed).fit(given[learnt], target[learnt])
            error = target[judged] - model.predict(given[judged])
            pair.append(1.0 - float(error.var()) / float(target[judged].var()))
        scores.append(pair)
    table = np.array(scores)
    best = int((table[:, 1] - table[:, 0]).argmax())
    return Reconstructed(best, float(table[best, 0]), float(table[best, 1]))
