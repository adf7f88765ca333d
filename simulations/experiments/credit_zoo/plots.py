"""Pictures of one fold: ROC curves, calibration, and what the explainable model says of its strongest features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from federated.models.encoding.ramps import FloatArray
from federated.models.served.metrics import ECE_BINS, metrics_of
from federated.models.served.tables import AdditiveTables
from federated.protocols.open.run import ZooResult, additive_tables, train_zoo
from simulations.drawing import pyplot, saved
from simulations.experiments.credit_zoo import baselines
from simulations.experiments.credit_zoo.bench import SEED, BenchPlan, Say, fold_masks, vertical_grid
from simulations.experiments.credit_zoo.datasets import BenchTable
from simulations.experiments.credit_zoo.single_score import numeric_columns

FEATURES = 6
POINTS = 400
Logits = dict[str, FloatArray]


def draw(table: BenchTable, plan: BenchPlan, folder: Path, say: Say) -> list[Path]:
    """Train fold 0 and write roc.png, calibration.png and contributions.png to `folder`."""
    held_out = fold_masks(table.labels, table.name)[0]
    say(f"{table.name}: training fold 0")
    result = train_zoo(vertical_grid(table, held_out), plan.settings, lambda *_: None)
    sides = [numeric_columns(raw, ~held_out) for raw in (table.holder, table.other)]
    logits = _logits(table, held_out, result, [values for _, values in sides], plan)
    labels = table.labels[held_out]
    plots = pyplot()
    tables = [additive_tables(result, side) for side in (0, 1)]
    pictures = {
        "roc.png": _roc(plots, table.name, logits, labels),
        "calibration.png": _calibration(plots, table.name, logits, labels),
        "contributions.png": _contributions(plots, table.name, tables, sides, held_out),
    }
    written = []
    for name, figure in pictures.items():
        figure.tight_layout()
        written.append(saved(figure, folder / name))
    return written


def _logits(
    table: BenchTable, held_out: NDArray[np.bool_], result: ZooResult, values: list[FloatArray], plan: BenchPlan
) -> Logits:
    names, logits = list(result.functions), {}
    for blend in ("federated", "federated_additive"):
        weights = result.blends[blend]
        total = np.full(int(held_out.sum()), weights[-1])
        for weight, name in zip(weights, names, strict=False):
            for function, own in zip(result.functions[name], values, strict=True):
                total += weight * function.member_logits(own[held_out]).mean(axis=0)
        logits[blend] = total
    training = np.flatnonzero(~held_out)
    both = baselines.pooled((table.holder, table.other), ~held_out)
    own = baselines.pooled((table.holder,), ~held_out)
    logits["lightgbm, pooled"] = baselines.lightgbm_logits(both, table.labels, training, SEED, plan.threads)[0][
        held_out
    ]
    logits["label holder only"] = baselines.xgboost_logits(own, table.labels, training, SEED, plan.threads)[0][held_out]
    return logits


def _roc(pyplot: Any, name: str, logits: Logits, labels: NDArray[np.int64]) -> Any:
    figure, axes = pyplot.subplots(figsize=(5.6, 5.2))
    for model, values in logits.items():
        false, true, _ = roc_curve(labels, values)
        axes.plot(false, true, label=f"{model} ({metrics_of(values, labels).auc:.4f})", linewidth=1.4)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle=":")
    axes.set(title=f"{name}, fold 0: ROC (AUC)", xlabel="good customers refused", ylabel="bad customers refused")
    axes.legend(loc="lower right", fontsize=9)
    return figure


def _calibration(pyplot: Any, name: str, logits: Logits, labels: NDArray[np.int64]) -> Any:
    figure, axes = pyplot.subplots(figsize=(5.6, 5.2))
    top = 0.0
    for model in ("federated", "federated_additive", "lightgbm, pooled"):
        p = 1.0 / (1.0 + np.exp(-logits[model]))
        bins = np.array_split(np.argsort(p), ECE_BINS)
        predicted, observed = ([float(v[b].mean()) for b in bins] for v in (p, labels))
        ece = metrics_of(logits[model], labels).ece
        axes.plot(predicted, observed, marker="o", markersize=3.5, linewidth=1.2, label=f"{model} (ECE {ece:.3f})")
        top = max(top, *predicted, *observed)
    axes.plot([0, top], [0, top], color="grey", linewidth=0.8, linestyle=":")
    title = f"{name}, fold 0: calibration, {ECE_BINS} equal bins"
    axes.set(title=title, xlabel="predicted probability of default", ylabel="observed share of defaults")
    axes.legend(loc="upper left", fontsize=9)
    return figure


def _contributions(
    pyplot: Any,
    name: str,
    tables: list[AdditiveTables],
    sides: list[tuple[tuple[str, ...], FloatArray]],
    held_out: NDArray[np.bool_],
) -> Any:
    """Main effects of the features whose contributions vary most among held-out customers, between their 1 % tails."""
    strength = []
    for side, (own, (_, values)) in enumerate(zip(tables, sides, strict=True)):
        contributions = np.array([own.explain(row)[1] for row in values[held_out][:1_000]])
        strength += [(float(s), side, j) for j, s in enumerate(np.abs(contributions).mean(axis=0))]
    figure, grid = pyplot.subplots(2, FEATURES // 2, figsize=(10.5, 6.0), sharey=True)
    for axes, (size, side, j) in zip(grid.ravel(), sorted(strength, reverse=True)[:FEATURES], strict=False):
        own, (columns, values) = tables[side], sides[side]
        low, high = np.nanquantile(values[:, j], [0.01, 0.99])
        at = np.linspace(low, high, POINTS)
        rows = np.tile(own.reference, (POINTS, 1))
        rows[:, j] = at
        axes.plot(at, own.logits(rows) - own.logits(own.reference[None, :]), linewidth=1.4)
        axes.axhline(0.0, color="grey", linewidth=0.8, linestyle=":")
        axes.axvline(own.reference[j], color="grey", linewidth=0.8, linestyle=":")
        holder = "label holder" if side == 0 else "other party"
        axes.set_title(f"{columns[j]} ({holder}), mean size {size:.2f}", fontsize=9)
    grid[0, 0].set_ylabel("logit of default,\nagainst the typical customer")
    grid[1, 0].set_ylabel("logit of default,\nagainst the typical customer")
    figure.suptitle(f"{name}, fold 0: federated_additive, six strongest features (dotted: the typical customer)")
    return figure
