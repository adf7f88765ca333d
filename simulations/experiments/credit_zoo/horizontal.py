"""Ten banks with the same columns and different customers: the convex model by Newton against pooled and local ones.

Customers are dealt to banks in four ways. `iid`: at random, evenly. `feature_skew`: in order of the first column with
noise of one standard deviation, evenly, so banks serve different segments. `label_skew`: shares of each class drawn
from Dirichlet(1), so default rates differ widely. `sizes`: at random, bank k holds a share proportional to 0.6^k.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from federated.engines.in_process import InProcessGrid, Seat
from federated.errors import CorruptData
from federated.models.metrics import Metrics, ScoreHistogram
from federated.training.zoo.apps import zoo_app
from federated.training.zoo.convex_learners import Additive
from federated.training.zoo.rows import BankRows
from federated.training.zoo.session import ZooSession
from simulations.experiments.credit_zoo.bench import SEED, BenchPlan, Json, Say, fold_masks
from simulations.experiments.credit_zoo.datasets import BenchTable

BANKS = 10
SETTINGS = ("iid", "feature_skew", "label_skew", "sizes")
LEAST_OF_A_CLASS = 10
Owners = NDArray[np.int64]


def dealt(table: BenchTable, setting: str, seed: int) -> Owners:
    """Which bank each customer belongs to, (rows,)."""
    rng = np.random.default_rng(seed)
    rows = len(table.labels)
    if setting == "feature_skew":
        numeric = [j for j in range(len(table.holder.columns)) if j not in table.holder.words]
        if not numeric:
            raise CorruptData(f"{table.name}: feature skew needs a column of numbers", party="bank")
        column = np.nan_to_num(table.holder.numbers[:, numeric[0]])
        order = np.argsort(column + rng.normal(scale=float(column.std()), size=rows), kind="stable")
        owners = np.empty(rows, dtype=np.int64)
        owners[order] = np.arange(rows) * BANKS // rows
        return owners
    if setting == "label_skew":
        owners = np.empty(rows, dtype=np.int64)
        for label in (0, 1):
            own = np.flatnonzero(table.labels == label)
            owners[own] = rng.choice(BANKS, size=len(own), p=rng.dirichlet(np.ones(BANKS)))
        return owners
    shares = np.full(BANKS, 1.0 / BANKS) if setting == "iid" else 0.6 ** np.arange(BANKS)
    return np.asarray(rng.choice(BANKS, size=rows, p=shares / shares.sum()), dtype=np.int64)


def joined(table: BenchTable) -> BenchTable:
    """All columns at every bank: the other party's columns behind the label holder's."""
    holder, other = table.holder, table.other
    shift = len(holder.columns)
    words = {**holder.words, **{shift + j: cells for j, cells in other.words.items()}}
    numbers = np.hstack([holder.numbers, other.numbers])
    return replace(table, holder=type(holder)((*holder.columns, *other.columns), numbers, words))


def _grid(table: BenchTable, held_out: NDArray[np.bool_], owners: Owners) -> InProcessGrid:
    seats = {}
    for bank in np.unique(owners).tolist():
        rows = np.flatnonzero(owners == bank)
        words = {j: cells[rows] for j, cells in table.holder.words.items()}
        own = type(table.holder)(table.holder.columns, table.holder.numbers[rows], words)
        side = BankRows(f"bank-{bank}", own, table.labels[rows], ~held_out[rows], held_out[rows])
        seats[2 + bank] = Seat(zoo_app(side), {})
    return InProcessGrid(seats)


Histograms = Mapping[str, ScoreHistogram]


def _trained(grid: InProcessGrid, plan: BenchPlan) -> tuple[Histograms, Histograms, ZooSession]:
    session = ZooSession(grid, plan.settings, lambda *_: None)
    session.keep("additive", Additive(plan.settings.convex).fit(session))
    weights = np.array([1.0, 0.0])
    session.calibrate(["additive"], weights)
    plain, own = (
        {org: found["it"] for org, found in session.histograms(["additive"], {"it": weights}, calibrated).items()}
        for calibrated in (False, True)
    )
    return plain, own, session


def run_horizontal(table: BenchTable, plan: BenchPlan, say: Say) -> Json:
    """Report of all settings over the first `plan.folds` folds. Raises `FederatedError`."""
    torch.set_num_threads(plan.threads)
    whole = joined(table)
    masks = fold_masks(table.labels, table.name)[: plan.folds]
    settings: Json = {}
    for setting in SETTINGS:
        owners = dealt(whole, setting, SEED)
        folds = [_fold(whole, mask, owners, plan) for mask in masks]
        settings[setting] = _summary(folds)
        figures = settings[setting]["models"]
        say(f"{table.name} {setting}: " + ", ".join(f"{name} AUC {m['auc']:.4f}" for name, m in figures.items()))
    return {
        "dataset": f"{table.name}-horizontal",
        "folds": plan.folds,
        "banks": BANKS,
        "seed": SEED,
        "data_sha256": table.data_sha256,
        "config": plan.settings.as_config(),
        "settings": settings,
    }


def _fold(table: BenchTable, held_out: NDArray[np.bool_], owners: Owners, plan: BenchPlan) -> Json:
    plain, own, session = _trained(_grid(table, held_out, owners), plan)
    traffic = session.board.traffic
    pooled, _, _ = _trained(_grid(table, held_out, np.zeros_like(owners)), plan)
    banks = []
    local: dict[str, ScoreHistogram] = {}
    for org in sorted(plain, key=lambda o: int(o.split("-")[1])):
        mine = owners == int(org.split("-")[1])
        training = table.labels[mine & ~held_out]
        enough = min(np.bincount(training, minlength=2)) >= LEAST_OF_A_CLASS
        alone = _trained(_grid(_rows(table, mine), held_out[mine], owners[mine]), plan)[0] if enough else {}
        local |= alone
        banks.append(_bank(org, len(training), float(training.mean()), plain[org], own[org], alone.get(org)))
    return {
        "banks": banks,
        "models": {
            "federated": vars_of(_all(plain).metrics()),
            "federated_calibrated": vars_of(_all(own).metrics()),
            "pooled": vars_of(_all(pooled).metrics()),
            "local": vars_of(_all(local).metrics()),
        },
        "exchanges": traffic.exchanges,
        "bytes": traffic.bytes,
    }


def _rows(table: BenchTable, mask: NDArray[np.bool_]) -> BenchTable:
    words = {j: cells[mask] for j, cells in table.holder.words.items()}
    holder = type(table.holder)(table.holder.columns, table.holder.numbers[mask], words)
    return replace(table, labels=table.labels[mask], holder=holder)


def _all(parts: Histograms) -> ScoreHistogram:
    found = list(parts.values())
    return sum(found[1:], found[0])


def vars_of(metrics: Metrics) -> Json:
    """Metrics as plain numbers."""
    return {name: getattr(metrics, name) for name in ("auc", "ks", "brier", "ece", "rows")}


def _bank(
    org: str, rows: int, rate: float, plain: ScoreHistogram, own: ScoreHistogram, alone: ScoreHistogram | None
) -> Json:
    both_classes = bool(plain.counts.sum(axis=1).min() > 0)
    parts: dict[str, Any] = {"federated": plain, "federated_calibrated": own, "local": alone}
    known = {n: vars_of(h.metrics()) for n, h in parts.items() if h is not None and both_classes}
    return {"bank": org, "training_rows": rows, "rate": rate, **known}


def _summary(folds: Sequence[Json]) -> Json:
    names = folds[0]["models"]
    keys = ("auc", "ks", "brier", "ece")
    models = {n: {k: float(np.mean([f["models"][n][k] for f in folds])) for k in keys} for n in names}
    banks = []
    for k in range(len(folds[0]["banks"])):
        parts = [f["banks"][k] for f in folds]
        both = [p for p in parts if "local" in p and "federated" in p]
        entry = {"bank": parts[0]["bank"], "training_rows": round(float(np.mean([p["training_rows"] for p in parts])))}
        entry["rate"] = float(np.mean([p["rate"] for p in parts]))
        for name in ("federated", "federated_calibrated", "local"):
            if both:
                entry[name] = {k: float(np.mean([p[name][k] for p in both])) for k in ("auc", "ece")}
        banks.append(entry)
    cost = {k: round(float(np.mean([f[k] for f in folds]))) for k in ("exchanges", "bytes")}
    return {"models": models, "banks": banks, **cost}
