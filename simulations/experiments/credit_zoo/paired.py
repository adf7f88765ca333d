"""Two models' AUC on the same customers, with the standard error of their difference.

Source: DeLong, DeLong, Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
characteristic curves", Biometrics 44 (1988). The error is that of drawing other customers, with the models as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.models.encoding.ramps import FloatArray


@dataclass(frozen=True, slots=True)
class PairedAuc:
    """AUC of two models, `ours` less `theirs`, and the standard error of that difference."""

    ours: float
    theirs: float
    standard_error: float

    @property
    def difference(self) -> float:
        """Positive where ours ranks better."""
        return self.ours - self.theirs

    @property
    def sign(self) -> int:
        """1 or −1 where the difference is more than two standard errors, else 0."""
        return int(np.sign(self.difference)) if abs(self.difference) > 2 * self.standard_error else 0


def paired_auc(labels: NDArray[np.int64], ours: FloatArray, theirs: FloatArray) -> PairedAuc:
    """Both AUCs and the error of their difference; at least two customers of each class are needed."""
    shares = [_placements(labels, scores) for scores in (ours, theirs)]
    (bad, good), (bad_theirs, good_theirs) = shares
    variance = sum(np.var(a - b, ddof=1) / len(a) for a, b in ((bad, bad_theirs), (good, good_theirs)))
    return PairedAuc(float(bad.mean()), float(bad_theirs.mean()), float(np.sqrt(variance)))


def _placements(labels: NDArray[np.int64], scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """For each defaulter the share of payers that it outranks, and for each payer of defaulters above; ties half."""
    good, bad = np.sort(scores[labels == 0]), np.sort(scores[labels == 1])
    below = sum(np.searchsorted(good, scores[labels == 1], side=side) for side in ("left", "right"))
    above = sum(len(bad) - np.searchsorted(bad, scores[labels == 0], side=side) for side in ("left", "right"))
    return np.asarray(below / (2 * len(good))), np.asarray(above / (2 * len(bad)))
