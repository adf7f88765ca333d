"""Drift: has a population moved from the one a model was made on? The population stability index and its significance.

PSI = Σ (q − p) ln(q / p) over bands, p the reference's shares and q the current ones. Every band's count is raised by
one half before shares are taken, so that an empty band gives a finite term; bands empty on both sides are left out.
The usual reading (Siddiqi, "Credit Risk Scorecards", Wiley 2006) calls 0.10 a shift and 0.25 a large one whatever the
number of rows. Without any change PSI · (1/N + 1/M)⁻¹ is about χ² with B − 1 degrees of freedom for N and M independent
rows in B bands (Yurdakul and Naranjo, "Statistical properties of the population stability index", Journal of Risk Model
Validation 14(4), 2020), so a small sample has a large PSI by chance alone. A verdict asks for both: size and
significance. The half makes p-values of samples of a few hundred rows somewhat too large: fewer false alarms, not more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from federated.models.served.scaling import SCORE_BANDS, SCORE_MAX, SCORE_MIN

_EDGES = (SCORE_MIN, *SCORE_BANDS, SCORE_MAX + 1)
SHIFT, LARGE_SHIFT = 0.10, 0.25
SIGNIFICANCE = 0.01
# Below this the χ² law of a dozen bands is a poor guide: several bands expect fewer than five rows.
ROWS_MIN = 100
_HALF = 0.5


class Verdict(StrEnum):
    """What to do: nothing, look, act (re-validate), or wait for more rows."""

    STABLE = "stable"
    WATCH = "watch"
    DRIFTED = "drifted"
    TOO_FEW = "too_few"


@dataclass(frozen=True, slots=True)
class Drift:
    """PSI of `rows` current rows against `reference_rows`, and the chance of one as large without any change."""

    reference_rows: int
    rows: int
    psi: float
    p_value: float

    @property
    def significant(self) -> bool:
        """Whether chance alone is an unlikely cause."""
        return self.p_value < SIGNIFICANCE

    @property
    def verdict(self) -> Verdict:
        """A small sample's large PSI is not drift, nor is a huge sample's significant but tiny one."""
        if min(self.rows, self.reference_rows) < ROWS_MIN:
            return Verdict.TOO_FEW
        if not self.significant or self.psi < SHIFT:
            return Verdict.STABLE
        return Verdict.DRIFTED if self.psi >= LARGE_SHIFT else Verdict.WATCH


def score_counts(scores: ArrayLike, times: ArrayLike | None = None) -> tuple[int, ...]:
    """How many scores (rows,), 300–850, fall into each band of `SCORE_BANDS`; each counts `times`, or once."""
    weights = None if times is None else np.asarray(times)
    return tuple(int(n) for n in np.histogram(np.asarray(scores), bins=np.array(_EDGES), weights=weights)[0])


def drift(reference: Sequence[int], current: Sequence[int]) -> Drift:
    """Compare counts (bands,) of the same bands. Without rows on either side PSI is 0, its p-value 1."""
    before, now = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    if before.shape != now.shape:
        raise ValueError("reference and current counts have different bands")
    rows_before, rows_now = int(before.sum()), int(now.sum())
    used = before + now > 0
    bands = int(used.sum())
    if bands < 2 or not rows_before or not rows_now:
        return Drift(rows_before, rows_now, 0.0, 1.0)
    # Loaded by what measures drift, not by every command that reads a model's card.
    from scipy.special import chdtrc  # noqa: PLC0415

    p, q = _shares(before[used]), _shares(now[used])
    psi = float(((q - p) * np.log(q / p)).sum())
    p_value = float(chdtrc(bands - 1, psi / (1.0 / rows_before + 1.0 / rows_now)))
    return Drift(rows_before, rows_now, psi, p_value)


def _shares(counts: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    raised = counts + _HALF
    shares: np.ndarray[tuple[int], np.dtype[np.float64]] = raised / raised.sum()
    return shares
