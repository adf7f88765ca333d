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
from collections.abc import Iterable

from scipy.stats import norm

# Gradients at coefficients of somebody's choosing are equations about the banks' columns too, and who has solved them
# reads labels off banks' gradients. Honest runs took 18 to 58 of them on four public sets.
FEWEST, MOST, ROWS_A_GRADIENT = 40, 120, 10
# How many times the spread of its own labels a bank takes that of all to be, if the operator says so.
MOST_BELIEVED = 2.0


def most_gradients(rows: int) -> int:
    """How many gradients of both sides a run over so many rows may open."""
    return min(MOST, max(FEWEST, rows // ROWS_A_GRADIENT))


def spread_of(rate: float, own: Iterable[float]) -> float:
    """The variance of a label at the overall `rate` of default; of banks with these `own` rates no more than
    `MOST_BELIEVED` times theirs, so that who says what the overall one is does not decide alone."""
    return min(rate * (1.0 - rate), MOST_BELIEVED * min(p * (1.0 - p) for p in own))


def most_columns(rows: int, spread: float, auc: float) -> int:
    """For how many columns labels of so many rows, of variance `spread` each, are guessed with this AUC on average."""
    return int(_apart(auc) * rows * spread)


def least_rows(columns: int, spread: float, auc: float) -> int:
    """Over how many rows, of whose labels each has the variance `spread`, so many columns may have a gradient."""
    determined = _apart(auc) * spread
    return math.ceil(columns / determined) if determined else sys.maxsize


def _apart(auc: float) -> float:
    """How many columns a row's unit of variance may have. An AUC below 0.5 is none: labels are told by the reverse."""
    if not 0.5 <= auc < 1.0:
        raise ValueError(f"labels are told with an AUC from 0.5 to below 1, not {auc}")
    return 2.0 * float(norm.ppf(auc)) ** 2
