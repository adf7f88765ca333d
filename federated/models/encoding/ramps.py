"""Piecewise-linear ("quantile ramp") encoding of tabular features, with missing values as a state of their own.

Source: Gorishniy, Rubachev, Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning" (NeurIPS 2022),
section 3.1 (PLE); here every ramp is clipped to [0, 1] at both ends, so an outlier cannot leave the trained range.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RampEncoder:
    """Edges per feature (ascending, no duplicates, at least one) and one reference value per feature.

    A feature with `k` edges becomes `k − 1` ramps and one missing indicator. A missing value has all ramps at 0 and the
    indicator at 1. `reference` (one finite value per feature) is the typical customer that reasons compare with.
    """

    edges: tuple[FloatArray, ...]
    reference: FloatArray

    @property
    def n_features(self) -> int:
        """Number of raw features."""
        return len(self.edges)

    @property
    def width(self) -> int:
        """Number of encoded columns."""
        return sum(len(e) for e in self.edges)

    def encode(self, values: FloatArray) -> Float32Array:
        """Encode `values` of shape (rows, features), NaN = missing, into (rows, width) float32.

        Raises `ValueError` if the number of columns is not the encoder's.
        """
        if values.ndim != 2 or values.shape[1] != self.n_features:
            raise ValueError(f"expected (rows, {self.n_features}) values, got {values.shape}")
        out = np.zeros((len(values), self.width), dtype=np.float32)
        start = 0
        for column, edges in zip(values.T, self.edges, strict=True):
            missing = np.isnan(column)
            ramps = (column[:, None] - edges[:-1]) / np.diff(edges)
            ramps[missing] = 0.0
            out[:, start : start + len(edges) - 1] = np.clip(ramps, 0.0, 1.0)
            out[:, start + len(edges) - 1] = missing
            start += len(edges)
        return out
