"""Held-out metrics from mergeable score histograms, so that no bank has to send a customer's score and label.

A bank counts paying and defaulting customers per cell of a fixed grid of logits and adds up squared errors and
probabilities; the operator adds banks' histograms. AUC (Mann–Whitney, ties count half), KS, Brier and ECE over 15
equal-mass bins follow. With 40,000 cells over logits −20…20 the AUC and KS agree with the exact value to 1e-4.
A cell that holds one customer shows that customer's label: counts are unprotected here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.errors import CorruptData
from federated.models.encoding.ramps import FloatArray

CELLS = 40_000
LOGIT_BOUND = 20.0
ECE_BINS = 15


@dataclass(frozen=True, slots=True)
class Metrics:
    """AUC and KS of the ranking, Brier score and expected calibration error of the probability, number of rows."""

    auc: float
    ks: float
    brier: float
    ece: float
    rows: int


@dataclass(frozen=True, slots=True)
class ScoreHistogram:
    """`counts` (2, CELLS) by label, `probability` (CELLS,) sums of predicted probability, `squared` error sum."""

    counts: FloatArray
    probability: FloatArray
    squared: float

    @staticmethod
    def empty() -> ScoreHistogram:
        """No row counted."""
        return ScoreHistogram(np.zeros((2, CELLS)), np.zeros(CELLS), 0.0)

    @staticmethod
    def of(logits: FloatArray, labels: NDArray[np.int64]) -> ScoreHistogram:
        """Count `logits` (rows,) with `labels` (rows,) in {0, 1}. Raises `CorruptData` for a non-finite logit."""
        bad = np.asarray(labels, dtype=np.float64)
        return ScoreHistogram.weighted(logits, 1.0 - bad, bad)

    @staticmethod
    def weighted(logits: FloatArray, good: FloatArray, bad: FloatArray) -> ScoreHistogram:
        """As `of`, of rows that count as `good` and as `bad` by these weights (rows,)."""
        if not np.all(np.isfinite(logits)):
            raise CorruptData("a held-out logit is not finite")
        scaled = (np.asarray(logits, dtype=np.float64) + LOGIT_BOUND) / (2 * LOGIT_BOUND) * CELLS
        cells = np.clip(scaled, 0, CELLS - 1).astype(np.int64)
        p = 1.0 / (1.0 + np.exp(-np.asarray(logits, dtype=np.float64)))
        counts = np.zeros((2, CELLS))
        counts[0], counts[1] = (np.bincount(cells, weights, CELLS) for weights in (good, bad))
        probability = np.asarray(np.bincount(cells, (good + bad) * p, CELLS), dtype=np.float64)
        return ScoreHistogram(counts, probability, float((good * p**2 + bad * (1.0 - p) ** 2).sum()))

    def cells(self) -> dict[str, NDArray[np.generic]]:
        """The occupied cells, for a message: `cells` (k,), `counts` (2, k), `probability` (k,), `squared` (1,)."""
        cells = np.flatnonzero(self.counts.sum(axis=0))
        return {
            "cells": cells,
            "counts": self.counts[:, cells],
            "probability": self.probability[cells],
            "squared": np.array([self.squared]),
        }

    @staticmethod
    def from_cells(arrays: Mapping[str, NDArray[np.generic]]) -> ScoreHistogram:
        """The histogram behind `cells()`."""
        cells = np.asarray(arrays["cells"], dtype=np.int64)
        counts, probability = np.zeros((2, CELLS)), np.zeros(CELLS)
        counts[:, cells] = np.asarray(arrays["counts"], dtype=np.float64)
        probability[cells] = np.asarray(arrays["probability"], dtype=np.float64)
        return ScoreHistogram(counts, probability, float(np.asarray(arrays["squared"], dtype=np.float64)[0]))

    def __add__(self, other: ScoreHistogram) -> ScoreHistogram:
        return ScoreHistogram(
            self.counts + other.counts, self.probability + other.probability, self.squared + other.squared
        )

    def metrics(self) -> Metrics:
        """Metrics of everything counted. Raises `CorruptData` if one class has no rows."""
        auc = self.auc()
        good, bad = self.counts
        n_good, n_bad = good.sum(), bad.sum()
        ks = float(np.max(np.abs(np.cumsum(good) / n_good - np.cumsum(bad) / n_bad)))
        rows = int(n_good + n_bad)
        return Metrics(auc, ks, self.squared / rows, self.ece(), rows)

    def auc(self) -> float:
        """The area under the curve of good against bad rows. Raises `CorruptData` if one class has no rows."""
        good, bad = self.counts
        n_good, n_bad = good.sum(), bad.sum()
        if not n_good or not n_bad:
            raise CorruptData("held-out rows have one class only, so ranking is undefined")
        below = np.cumsum(good) - good
        return float(np.sum(bad * (below + 0.5 * good)) / (n_good * n_bad))

    def ece(self) -> float:
        """Expected calibration error over `ECE_BINS` bins of equal mass; needs rows, but not of both classes."""
        return calibration_error(self.by_mass())

    def by_mass(self) -> FloatArray:
        """Rows, defaults and summed probability (3, ECE_BINS) in bins of equal mass, in the order of scores."""
        total = self.counts.sum(axis=0)
        rows = int(total.sum())
        # Of the many cells few are occupied.
        cells = np.flatnonzero(self.counts.any(axis=0) | (self.probability != 0.0))
        total, bad, probability = total[cells], self.counts[1, cells], self.probability[cells]
        midpoint = np.cumsum(total) - 0.5 * total
        bins = np.minimum((midpoint / rows * ECE_BINS).astype(np.int64), ECE_BINS - 1)
        return np.array([np.bincount(bins, weights=of, minlength=ECE_BINS) for of in (total, bad, probability)])


def calibration_error(bins: FloatArray) -> float:
    """Expected calibration error of `bins` (3, bins): rows, defaults and summed probability."""
    rows, observed, predicted = bins
    return float(np.sum(np.abs(observed - predicted)) / rows.sum())


def error_by_chance(bins: FloatArray) -> float:
    """What `calibration_error` is on the average if each row defaults with just the probability that is said of it."""
    rows, _, predicted = bins
    variance = predicted * (1.0 - predicted / np.maximum(rows, 1.0))
    return float(np.sum(np.sqrt(2.0 / np.pi * variance)) / rows.sum())


def metrics_of(logits: FloatArray, labels: NDArray[np.int64]) -> Metrics:
    """Metrics of one set of rows."""
    return ScoreHistogram.of(logits, labels).metrics()
