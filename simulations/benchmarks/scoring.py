"""Serving one customer at a time: the exported weights in numpy, as the API does, against the same network in torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from federated.models.encoding.ramps import FloatArray, RampEncoder
from federated.models.learners.networks import PartyNetwork, initial_weights
from federated.models.served.functions import NetworkFunction
from federated.models.served.reasons import sampled_contributions

FEATURES, BINS, HIDDEN, MEMBERS = 13, 32, 64, 4


@dataclass(frozen=True, slots=True)
class ScoringSpeed:
    """Microseconds a row, medians, and torch's time over numpy's. `reasons_us` is the sampled Shapley attribution."""

    numpy_us: float
    torch_us: float
    reasons_us: float
    torch_over_numpy: float


def measure_scoring(queries: int = 2_000) -> ScoringSpeed:
    """Time `queries` single rows each way on one thread, on a network of the shape that training makes."""
    rng = np.random.default_rng(0)
    table = rng.standard_normal((5_000, FEATURES))
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
    return ScoringSpeed(numpy_us, torch_us, reasons_us, torch_us / numpy_us)


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
