"""How long one score with reasons takes in process: exact tables beside networks with sampled Shapley values."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from federated.models.encoding.binning import merge_bins
from federated.models.encoding.categories import RawTable, merge_levels
from federated.models.encoding.ramps import FloatArray
from federated.models.encoding.sketch import sketch
from federated.models.learners.networks import initial_weights
from federated.models.served.functions import NetworkFunction
from federated.models.served.reasons import MAX_REASONS, sampled_contributions
from federated.models.served.scaling import score_of
from federated.models.served.tables import AdditiveTables
from federated.protocols.open.run import ADDITIVE, ZooResult, additive_tables, train_zoo
from federated.protocols.open.settings import ZooSettings
from simulations.experiments.credit_zoo.bench import SEED, BenchPlan, Json, Say, fold_masks, vertical_grid
from simulations.experiments.credit_zoo.datasets import BenchTable

CUSTOMERS = 2_000
SLOW_CUSTOMERS = 100


def run_single_score(table: BenchTable, plan: BenchPlan, say: Say) -> Json:
    """Medians and 95th percentiles in microseconds, and how often neutralising a stated reason improves the score."""
    held_out = fold_masks(table.labels, table.name)[0]
    say(f"{table.name}: training the additive blend of fold 0")
    result = train_zoo(vertical_grid(table, held_out), plan.settings, lambda *_: None, ADDITIVE)
    tables = [additive_tables(result, side) for side in (0, 1)]
    values = [numeric_columns(raw, ~held_out)[1] for raw in (table.holder, table.other)]
    _check(tables, result, values)
    rows = np.flatnonzero(held_out)[:CUSTOMERS]
    networks = [_network(t, v) for t, v in zip(tables, values, strict=True)]
    return {
        "dataset": table.name,
        "seed": SEED,
        "additive": _timed(lambda i: scored(tables, [v[i] for v in values]), rows.tolist()),
        "networks": _timed(lambda i: _sampled(networks, [v[i] for v in values]), rows[:SLOW_CUSTOMERS].tolist()),
        "neutralised_better": _neutralised(tables, values, rows.tolist()),
        "held_out_auc": result.metrics["federated_additive"].auc,
    }


def scored(tables: list[AdditiveTables], values: list[FloatArray]) -> tuple[int, list[tuple[int, int]]]:
    """Score and at most four (side, feature) that lower it most, from each side's own tables."""
    logit, reasons = 0.0, []
    for own, row in zip(tables, values, strict=True):
        share, contribution = own.explain(row)
        logit += share
        reasons.append(contribution)
    joint = np.concatenate(reasons)
    first = len(reasons[0])
    strongest = [int(k) for k in np.argsort(-joint)[:MAX_REASONS] if joint[k] > 0]
    return score_of(logit), [(0, k) if k < first else (1, k - first) for k in strongest]


def _sampled(networks: list[NetworkFunction], values: list[FloatArray]) -> tuple[int, FloatArray]:
    def logits(function: NetworkFunction, rows: FloatArray) -> FloatArray:
        return np.asarray(function.member_logits(rows).mean(axis=0))

    logit = sum(float(logits(f, row[None, :])[0]) for f, row in zip(networks, values, strict=True))
    samples = [
        sampled_contributions(partial(logits, f), f.encoder.reference, row)
        for f, row in zip(networks, values, strict=True)
    ]
    return score_of(logit), np.concatenate(samples)


def numeric_columns(raw: RawTable, training: NDArray[np.bool_]) -> tuple[tuple[str, ...], FloatArray]:
    """Names and values (rows, numeric columns) of one party's table, as its node derives them from training rows."""
    categories = merge_levels(raw.columns, [raw.level_counts(training)])
    return categories.names, categories.expand(raw)


def _check(tables: list[AdditiveTables], result: ZooResult, values: list[FloatArray]) -> None:
    """What is timed has to be what was measured: tables against the blended functions."""
    weights, names = result.blends["federated_additive"], list(result.functions)
    blended = sum(
        weights[names.index(name)] * function.member_logits(v[:500]).mean(axis=0)
        for name in ADDITIVE
        for function, v in zip(result.functions[name], values, strict=True)
    )
    exact = sum(t.logits(v[:500]) for t, v in zip(tables, values, strict=True))
    if np.abs(exact - blended - weights[-1]).max() > 1e-4:
        raise ArithmeticError("tables and blended functions differ")


def _network(tables: AdditiveTables, values: FloatArray) -> NetworkFunction:
    """A network of the zoo's size on ramps: its time does not depend on what it has learnt."""
    s = ZooSettings()
    names = [str(j) for j in range(len(tables.reference))]
    _, encoder = merge_bins([sketch(values)], s.bins, s.ramps, names, "bank")
    return NetworkFunction(encoder, initial_weights(encoder.width, s.network.hidden, s.folds, 0.0, 1))


def _timed(score: Callable[[int], object], rows: list[int]) -> Json:
    for row in rows[:20]:
        score(row)
    taken = []
    for row in rows:
        started = time.perf_counter_ns()
        score(row)
        taken.append((time.perf_counter_ns() - started) / 1_000)
    return {"median_us": statistics.median(taken), "p95_us": float(np.quantile(taken, 0.95)), "scores": len(taken)}


def _neutralised(tables: list[AdditiveTables], values: list[FloatArray], rows: list[int]) -> float:
    """Share of stated reasons whose feature, set to the typical customer's value, raises the score's odds."""
    better = total = 0
    for i in rows:
        own = [v[i] for v in values]
        _, reasons = scored(tables, own)
        for side, feature in reasons:
            changed = own[side].copy()
            changed[feature] = tables[side].reference[feature]
            before, after = (tables[side].logits(row[None, :])[0] for row in (own[side], changed))
            better, total = better + bool(after < before), total + 1
    return better / max(total, 1)
