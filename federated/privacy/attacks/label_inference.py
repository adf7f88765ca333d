"""Who defaulted? What a grid company can tell of training labels from what training hands to it.

Two numbers for each attack, as AUC against the true labels of the training rows. `raw` counts everything, also what the
grid company's own function of its own columns predicts, which it holds in any case. `beyond` compares only rows that
this function cannot tell apart (equal-mass strata of it), so it is what the exchange itself gives away: 0.5 is nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.optimize import brentq

from federated.privacy.attacks.membership import auc_of

FloatArray = NDArray[np.float64]
STRATA = 50
# How much of the default probability's spread the attacker lays to its own function when it guesses the other part.
SLOPES = (0.5, 0.8, 1.1)
# What is added to the diagonal: columns that few rows have say little, and the more there are the more they are shrunk.
RIDGES = (1e-3, 1.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Inferred:
    """AUC of an attack on all training rows, and among rows that the own function cannot tell apart."""

    raw: float
    beyond: float


def from_residuals(residual: FloatArray) -> FloatArray:
    """Guess (rows,) from residuals y − p in clear: their sign is the label."""
    return np.asarray(np.sign(residual), dtype=np.float64)


def from_gradients(
    columns: FloatArray, gradients: FloatArray, own_logits: FloatArray, rate: float
) -> Mapping[str, FloatArray]:
    """Guesses (rows,) from gradients (steps, width) of the own `columns` (rows, width), by name.

    Of all residual vectors with a gradient, the one of smallest norm, since nothing else tells them apart: from the
    first step, the mean of all, and the last; and from the last with Xᵀp put back, as far as the own function
    (`own_logits`) says p, so that what is left is Xᵀy. `rate` is the overall rate of default, which is public.
    """
    told = {"first": gradients[0], "mean": gradients.mean(axis=0), "last": gradients[-1]}
    for slope in SLOPES:
        of_labels = put_back(columns, gradients[-1], own_logits, rate, slope)
        told[f"last, {slope} of the own function put back"] = of_labels
    return {
        f"{name}, ridge {ridge:g}": guess
        for name, gradient in told.items()
        for ridge, guess in least_norms(columns, gradient).items()
    }


def put_back(
    columns: FloatArray, gradient: FloatArray, own_logits: FloatArray, rate: float, slope: float
) -> FloatArray:
    """Xᵀy (width,) from Xᵀ(y − p), as far as the own function says p: its logits times a slope, at the overall rate."""
    shift = brentq(lambda a: float(_logistic(a + slope * own_logits).mean()) - rate, -30.0, 30.0)
    return np.asarray(gradient + columns.T @ _logistic(shift + slope * own_logits))


def least_norms(columns: FloatArray, gradient: FloatArray) -> dict[float, FloatArray]:
    """The vector (rows,) of smallest norm with this gradient, by how much columns are shrunk (`RIDGES`)."""
    gram = columns.T @ columns
    solved = {ridge: scipy.linalg.solve(gram + ridge * np.eye(len(gram)), gradient, assume_a="pos") for ridge in RIDGES}
    return {ridge: np.asarray(columns @ found, dtype=np.float64) for ridge, found in solved.items()}


def _logistic(z: FloatArray) -> FloatArray:
    return np.asarray(1.0 / (1.0 + np.exp(-z)), dtype=np.float64)


def inferred(guess: FloatArray, labels: NDArray[np.int64], own_logits: FloatArray, strata: int = STRATA) -> Inferred:
    """How good a guess is, and how much of that the own function does not say already."""
    order = np.argsort(own_logits, kind="stable")
    weighted = total = 0.0
    for rows in np.array_split(order, strata):
        pairs = float(labels[rows].sum() * (1 - labels[rows]).sum())
        if pairs:
            weighted += pairs * auc_of(guess[rows], labels[rows] == 1)
            total += pairs
    return Inferred(auc_of(guess, labels == 1), weighted / total if total else 0.5)


def strongest(guesses: Mapping[str, FloatArray], labels: NDArray[np.int64], own_logits: FloatArray) -> Inferred:
    """The best of several guesses. Picking it with the labels in hand flatters the attacker, which is the safe side."""
    return max((inferred(guess, labels, own_logits) for guess in guesses.values()), key=lambda attack: attack.beyond)
