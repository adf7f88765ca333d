"""How many columns a gradient may have before it tells single labels.

A gradient Xᵀ(y − p) of k columns is k numbers. Who knows X, and p of every row, knows the projection of y − p on the
columns' span: of row i it has h y_i + noise, where h is the row's leverage, k / n on the average, and the noise of
the other labels has the variance h(1 − h) p(1 − p). Two labels are then d = √(h / (p(1 − p))) standard deviations
apart, and a guess has the AUC Φ(d / √2) (Green, Swets, Signal Detection Theory and Psychophysics, 1966, chapter 3).
Rare defaults are told more easily than common ones, so what counts is n·p(1 − p), not the rows alone.

Guarantee: on the average over rows, whatever of X and p is known. A row with a leverage of its own, because it is like
no other, is told more easily. Several gradients with the same X say no more of y.
"""

from __future__ import annotations

import math
import sys

from scipy.stats import norm

# Gradients at coefficients of somebody's choosing are equations about the banks' columns too, and who has solved them
# reads labels off banks' gradients. Honest runs took 18 to 58 of them on four public sets.
FEWEST, MOST, ROWS_A_GRADIENT = 40, 120, 10


def most_gradients(rows: int) -> int:
    """How many gradients of both sides a run over so many rows may open."""
    return min(MOST, max(FEWEST, rows // ROWS_A_GRADIENT))


def most_columns(rows: int, spread: float, auc: float) -> int:
    """For how many columns labels of so many rows, of variance `spread` each, are guessed with this AUC on average."""
    return int(2.0 * float(norm.ppf(auc)) ** 2 * rows * spread)


def least_rows(columns: int, spread: float, auc: float) -> int:
    """Over how many rows, of whose labels each has the variance `spread`, so many columns may have a gradient."""
    return math.ceil(columns / (2.0 * float(norm.ppf(auc)) ** 2 * spread)) if spread else sys.maxsize
