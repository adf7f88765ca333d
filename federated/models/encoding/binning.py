"""Cutting every feature into bins whose limits come from merged sketches, with missing values in a bin of their own.

Trees and weights of evidence see a customer only through these bins, so outliers weigh no more than their neighbours.
A value that many customers share (a zero, a special code such as −9) is cut off on both sides and gets its own bin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.errors import CorruptData
from federated.models.encoding.ramps import FloatArray, RampEncoder
from federated.models.encoding.sketch import QuantileSketch, weighted_quantile

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Binning:
    """Ascending cut points per feature, possibly none. Bin c of a feature holds cuts[c − 1] < x ≤ cuts[c].

    Missing values are in the last bin, number `size − 1`, the same for all features.
    """

    cuts: tuple[FloatArray, ...]

    @property
    def n_features(self) -> int:
        """Number of features."""
        return len(self.cuts)

    @property
    def size(self) -> int:
        """Bins of the most finely cut feature, with the bin of missing values; others leave some empty."""
        return max((len(c) for c in self.cuts), default=0) + 2

    @property
    def starts(self) -> IntArray:
        """Where each feature's bins start when all features' bins stand in one row, and their total: (features + 1,).

        A feature takes its own bins and one for missing values there, so a table of indicators stays short.
        """
        return np.cumsum([0, *(len(c) + 2 for c in self.cuts)])

    def codes(self, values: FloatArray) -> IntArray:
        """Bin of every cell of `values` (rows, features), NaN = missing."""
        out = np.empty(values.shape, dtype=np.int64)
        for j, cuts in enumerate(self.cuts):
            out[:, j] = np.searchsorted(cuts, values[:, j], side="left")
        out[np.isnan(values)] = self.size - 1
        return out

    def coarse(self, bins: int) -> Binning:
        """At most `bins` bins of present values a feature, from evenly chosen cuts of this binning."""
        return Binning(tuple(c if len(c) < bins else c[_even(len(c), bins - 1)] for c in self.cuts))


def _even(available: int, wanted: int) -> IntArray:
    return np.unique(np.round((np.arange(wanted) + 0.5) * available / wanted - 0.5).astype(np.int64))


def _points(sketches: Sequence[QuantileSketch], j: int) -> tuple[FloatArray, FloatArray]:
    given = [s for s in sketches if s.counts[j] > 0]
    if not given:
        return np.zeros(0), np.zeros(0)
    points = np.concatenate([s.points[j] for s in given])
    return points, np.concatenate([np.full(s.points.shape[1], s.counts[j] / s.points.shape[1]) for s in given])


def merge_bins(
    sketches: Sequence[QuantileSketch], bins: int, ramps: int, columns: Sequence[str], party: str
) -> tuple[Binning, RampEncoder]:
    """A binning with about `bins` bins and an encoder with at most `ramps` ramps a feature, from all nodes' sketches.

    A feature that is constant, or that no node may report because too few rows have it, keeps only the difference
    between present and missing. Raises `CorruptData` naming party and column for a quantile that is not finite.
    """
    cuts: list[FloatArray] = []
    edges: list[FloatArray] = []
    reference = np.zeros(len(columns))
    for j, column in enumerate(columns):
        points, weights = _points(sketches, j)
        if not np.all(np.isfinite(points)):
            raise CorruptData(f"{party}: column {column} has a non-finite quantile", party=party, column=column)
        if not len(points):
            cuts.append(np.zeros(0))
            edges.append(np.zeros(1))
            continue
        cuts.append(_cuts(points, weights, bins))
        edges.append(np.unique(weighted_quantile(points, weights, np.linspace(0.0, 1.0, ramps + 1))))
        reference[j] = weighted_quantile(points, weights, np.array([0.5]))[0]
    return Binning(tuple(cuts)), RampEncoder(tuple(edges), reference)


def merged_quantiles(sketches: Sequence[QuantileSketch], ranks: FloatArray) -> FloatArray:
    """Quantiles (features, ranks) of all nodes' rows; 0 for a feature that no node may report."""
    features = len(sketches[0].counts)
    merged = np.zeros((features, len(ranks)))
    for j in range(features):
        points, weights = _points(sketches, j)
        if len(points):
            merged[j] = weighted_quantile(points, weights, ranks)
    return merged


def _cuts(points: FloatArray, weights: FloatArray, bins: int) -> FloatArray:
    distinct, inverse = np.unique(points, return_inverse=True)
    if len(distinct) < 2:
        return np.zeros(0)
    middles = (distinct[:-1] + distinct[1:]) / 2.0
    if len(distinct) <= bins:
        return np.asarray(middles)
    mass = np.bincount(inverse, weights=weights) / weights.sum()
    chosen = np.searchsorted(distinct, weighted_quantile(points, weights, np.arange(1, bins) / bins))
    heavy = np.flatnonzero(mass >= 1.0 / bins)
    index = np.unique(np.concatenate([chosen, heavy, heavy - 1]))
    return np.asarray(middles[index[(index >= 0) & (index < len(middles))]])
