"""The classical scorecard: weights of evidence per bin, then a logistic regression on one column a feature.

Source: Siddiqi, "Credit Risk Scorecards" (Wiley 2006), chapters 5 and 6. A bin's weight of evidence is the logarithm of
its share of bad over its share of good customers, here smoothed by `SMOOTHING` customers at the overall rate. It
follows from residual and curvature sums at the overall rate, so a grid company needs no labels for its own columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from federated.models.encoding.binning import Binning
from federated.models.encoding.ramps import Float32Array, FloatArray

SMOOTHING = 20.0


@dataclass(frozen=True, slots=True)
class EvidenceBasis:
    """A constant and one column a feature: `evidence` (features, bins) of the row's bin."""

    binning: Binning
    evidence: FloatArray

    @property
    def width(self) -> int:
        """Number of columns."""
        return 1 + self.binning.n_features

    def penalty(self, ridge: float) -> FloatArray:
        """Ridge of every column, (width,)."""
        return np.append(1e-6, np.full(self.width - 1, ridge))

    def columns(self, values: FloatArray) -> Float32Array:
        """Design matrix (rows, width)."""
        codes = self.binning.codes(values)
        out = np.ones((len(values), self.width), dtype=np.float32)
        out[:, 1:] = self.evidence[np.arange(codes.shape[1]), codes]
        return out


def weights_of_evidence(histogram: FloatArray, rate: float) -> FloatArray:
    """Evidence (features, bins), positive where default is more frequent, from sums (features, bins, 2).

    The sums are of y − rate and of rate·(1 − rate) over a bin's rows; an empty bin has evidence 0.
    """
    rows = histogram[..., 1] / (rate * (1.0 - rate))
    bad = np.maximum(histogram[..., 0] + rows * rate, 0.0)
    good = np.maximum(rows - bad, 0.0)
    return np.asarray(np.log((bad + SMOOTHING * rate) / (good + SMOOTHING * (1 - rate))) - np.log(rate / (1 - rate)))
