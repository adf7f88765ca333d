"""Who defaulted? What a grid company can tell of training labels from what training hands to it.

Two numbers for each attack, as AUC against the true labels of the training rows. `raw` counts everything, also what the
grid company's own function of its own columns predicts, which it holds in any case. `beyond` compares only rows that
this function cannot tell apart (equal-mass strata of it), so it is what the exchange itself gives away: 0.5 is nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from federated.models.metrics import metrics_of

FloatArray = NDArray[np.float64]
STRATA = 50


@dataclass(frozen=True, slots=True)
class Inferred:
    """AUC of an attack on all training rows, and among rows that the own function cannot tell apart."""

    raw: float
    beyond: float


def from_residuals(residual: FloatArray) -> FloatArray:
    """Guess (rows,) from residuals y − p in clear: their sign is the label."""
    return np.asarray(np.sign(residual), dtype=np.float64)


def from_gradients(columns: FloatArray, gradients: FloatArray) -> FloatArray:
    """Guess (rows,) from gradients (steps, width) of the own `columns` (rows, width).

    The least-squares residual vector that the first gradient fits, the one in which no model has taken anything from
    the labels yet: of all vectors with that gradient the one of smallest norm, since nothing else tells them apart.
    """
    width = columns.shape[1]
    gram = columns.T @ columns + 1e-6 * np.eye(width)
    return np.asarray(columns @ scipy.linalg.solve(gram, gradients[0], assume_a="pos"), dtype=np.float64)


def inferred(guess: FloatArray, labels: NDArray[np.int64], own_logits: FloatArray, strata: int = STRATA) -> Inferred:
    """How good a guess is, and how much of that the own function does not say already."""
    order = np.argsort(own_logits, kind="stable")
    weighted = total = 0.0
    for rows in np.array_split(order, strata):
        pairs = float(labels[rows].sum() * (1 - labels[rows]).sum())
        if pairs:
            weighted += pairs * metrics_of(_ranks(guess[rows]), labels[rows]).auc
            total += pairs
    return Inferred(metrics_of(_ranks(guess), labels).auc, weighted / total if total else 0.5)


def _ranks(guess: FloatArray) -> FloatArray:
    """Order-preserving logits for a metric that counts within fixed limits; ties stay ties."""
    _, ranks = np.unique(guess, return_inverse=True)
    return np.asarray(ranks / max(len(guess) - 1, 1) * 30.0 - 15.0, dtype=np.float64)
