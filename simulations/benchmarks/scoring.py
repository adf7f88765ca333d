"""Serving one customer at a time: the exported weights in numpy, as the API does, against the same network in torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from federated.models.encoding.binning import merge_bins
from federated.models.encoding.principal import principal
from federated.models.encoding.ramps import FloatArray, RampEncoder
from federated.models.encoding.random_leaves import RandomLeaves, random_trees
from federated.models.encoding.sketch import sketch
from federated.models.learners.networks import PartyNetwork, initial_weights
from federated.models.served.functions import NetworkFunction
from federated.models.served.reasons import (
    RankedReason,
    Reason,
    sampled_contributions,
    strength_of,
    strongest,
    top_reasons,
)
from federated.models.served.scaling import score_of
from federated.models.served.scorer import BAND_RANKS
from federated.protocols.protected.candidate import scorer_of
from federated.protocols.protected.settings import ProtectedSettings

FEATURES, BINS, HIDDEN, MEMBERS = 13, 32, 64, 4
ROWS, ENOUGH = 5_000, 111


@dataclass(frozen=True, slots=True)
class ScoringSpeed:
    """Microseconds a row, medians, and torch's time over numpy's. `reasons_us` is the sampled Shapley attribution.

    `protected_us` is a score of the default, trained on shares: both sides' parts with exact reasons and their ranking,
    as nodes do it, without what they say to each other.
    """

    protected_us: float
    numpy_us: float
    torch_us: float
    reasons_us: float
    torch_over_numpy: float


def measure_scoring(queries: int = 2_000) -> ScoringSpeed:
    """Time `queries` single rows each way on one thread, on a network of the shape that training makes."""
    rng = np.random.default_rng(0)
    table = rng.standard_normal((ROWS, FEATURES))
    edges = tuple(np.quantile(column, np.linspace(0, 1, BINS + 1)) for column in table.T)
    encoder = RampEncoder(edges, np.median(table, axis=0))
    weights = initial_weights(encoder.width, HIDDEN, MEMBERS, bias=-1.0, seed=0)
    function, network = NetworkFunction(encoder, weights), PartyNetwork(weights)
    network.eval()
    rows = table[: min(queries, len(table))]

    def by_numpy(rows: FloatArray) -> FloatArray:
        return np.asarray(function.member_logits(rows).mean(axis=0))

    def by_torch(row: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
        with torch.inference_mode():
            network(torch.from_numpy(encoder.encode(row))).mean(dim=1)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        numpy_us = _median_us(rows, by_numpy)
        torch_us = _median_us(rows, by_torch)
        reasons_us = _median_us(rows[:100], lambda row: sampled_contributions(by_numpy, encoder.reference, row[0]))
    finally:
        torch.set_num_threads(threads)
    protected_us = _median_us(rows, protected_score(table))
    return ScoringSpeed(protected_us, numpy_us, torch_us, reasons_us, torch_us / numpy_us)


def protected_score(table: FloatArray) -> Callable[[FloatArray], object]:
    """A score with reasons by two scorers of the shape that the default makes, one a side, both of the same columns."""
    settings, names = ProtectedSettings(), [str(j) for j in range(table.shape[1])]
    rng = np.random.default_rng(1)
    binning, encoder = merge_bins([sketch(table)], 256, settings.ramps, names, "bank")
    quantiles = np.quantile(table, np.linspace(0.01, 0.99, 99), axis=0).T
    of_bank, of_grid = (
        RandomLeaves(encoder, binning, random_trees(binning, quantiles, count, settings.depth, 0))
        for count in (settings.trees, settings.candidates[1])
    )
    columns = of_grid.columns(table).astype(np.float64)
    few = principal(of_grid, columns.T @ columns, ENOUGH, settings.leaf_ridge)
    bands = np.quantile(table, BAND_RANKS, axis=0).T
    scorers = [scorer_of(each, rng.normal(size=each.width), bands) for each in (of_bank, few)]

    def scored(row: FloatArray) -> object:
        logit, ranked = 0.0, list[RankedReason]()
        for role, scorer in zip(("BANK", "GRID"), scorers, strict=True):
            part, contributions = scorer.explain(row[0])
            logit += part
            for j in strongest(contributions):
                low, high = scorer.band(j, float(row[0, j]))
                strength = strength_of(float(contributions[j]))
                ranked.append(RankedReason(Reason(f"{role}_{j}", f"{low} {high}", ""), strength))
        return score_of(logit), top_reasons(ranked)

    return scored


def _median_us(
    rows: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    call: Callable[[np.ndarray[tuple[int, int], np.dtype[np.float64]]], object],
) -> float:
    times = []
    for row in rows:
        one = row[None, :]
        started = time.perf_counter_ns()
        call(one)
        times.append(time.perf_counter_ns() - started)
    return float(np.median(times)) / 1_000
