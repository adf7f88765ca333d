"""Mergeable quantile sketches, so that bin edges of all banks' customers exist without pooling rows.

A node reports, per feature, how many values it has and its own quantiles at `POINTS` evenly spaced mid-ranks. Merging
weights each node's points by its count and reads quantiles off the union. The rank error of the merge is at most half
a point per node, 1 / (2 · POINTS). No guarantee of privacy: a quantile of few rows is close to a row's value, so nodes
with fewer than `MIN_ROWS` observed values of a feature report none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from federated.errors import CorruptData
from federated.models.encoding import FloatArray, RampEncoder

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


def merge(sketches: Sequence[QuantileSketch], bins: int, columns: Sequence[str], party: str) -> RampEncoder:
    """Build an encoder with at most `bins` ramps a feature from all nodes' sketches.

    Raises `CorruptData` naming party and column if no node has enough observed values of a feature.
    """
    ranks = np.linspace(0.0, 1.0, bins + 1)
    edges: list[FloatArray] = []
    reference = np.zeros(len(columns))
    for j, column in enumerate(columns):
        given = [s for s in sketches if s.counts[j] > 0]
        if not given:
            raise CorruptData(f"{party}: column {column} has no observed values", party=party, column=column)
        points = np.concatenate([s.points[j] for s in given])
        weights = np.concatenate([np.full(len(s.points[j]), s.counts[j] / len(s.points[j])) for s in given])
        if not np.all(np.isfinite(points)):
            raise CorruptData(f"{party}: column {column} has a non-finite quantile", party=party, column=column)
        edges.append(np.unique(weighted_quantile(points, weights, ranks)))
        reference[j] = weighted_quantile(points, weights, np.array([0.5]))[0]
    return RampEncoder(tuple(edges), reference)
