"""Mergeable quantile sketches, so that bin edges of all banks' customers exist without pooling rows.

A node reports, per feature, how many values it has and its own quantiles at `POINTS` evenly spaced mid-ranks. Merging
weights each node's points by its count and reads quantiles off the union. The rank error of the merge is at most half
a point per node, 1 / (2 · POINTS). No guarantee of privacy: a quantile of few rows is close to a row's value, so nodes
with fewer than `MIN_ROWS` observed values of a feature report none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from federated.models.encoding.ramps import FloatArray

POINTS = 256
MIN_ROWS = 20


@dataclass(frozen=True, slots=True)
class QuantileSketch:
    """Per feature: `counts` (features,) of observed values and `points` (features, POINTS), NaN where none is given."""

    counts: FloatArray
    points: FloatArray


def sketch(values: FloatArray, points: int = POINTS) -> QuantileSketch:
    """Sketch `values` of shape (rows, features), NaN = missing."""
    ranks = (np.arange(points) + 0.5) / points
    counts = np.sum(~np.isnan(values), axis=0).astype(np.float64)
    counts[counts < MIN_ROWS] = 0.0
    out = np.full((values.shape[1], points), np.nan)
    for j in np.flatnonzero(counts):
        observed = values[:, j]
        out[j] = np.quantile(observed[~np.isnan(observed)], ranks, method="inverted_cdf")
    return QuantileSketch(counts, out)


def weighted_quantile(points: FloatArray, weights: FloatArray, ranks: FloatArray) -> FloatArray:
    """Values at `ranks` (in [0, 1]) of `points` that weigh `weights`: the smallest point that reaches the rank."""
    order = np.argsort(points, kind="stable")
    cumulative = np.cumsum(weights[order])
    index = np.searchsorted(cumulative, ranks * cumulative[-1], side="left")
    return np.asarray(points[order][np.minimum(index, len(points) - 1)], dtype=np.float64)
