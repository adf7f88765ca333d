"""Ten banks with the same columns and different customers: the convex model by Newton against pooled and local ones.

Customers are dealt to banks in four ways. `iid`: at random, evenly. `feature_skew`: in order of the first column with
noise of one standard deviation, evenly, so banks serve different segments. `label_skew`: shares of each class drawn
from Dirichlet(1), so default rates differ widely. `sizes`: at random, bank k holds a share proportional to 0.6^k.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from federated.engines.in_process import InProcessGrid, Seat
from federated.errors import CorruptData
from federated.models.encoding.ramps import FloatArray
from federated.models.served.blend import BlendSums, best_weights
from federated.models.served.functions import PartyFunction
from federated.models.served.metrics import Metrics, ScoreHistogram, metrics_of
from federated.protocols.core.rows import BankRows, inner_folds, out_of_fold
from federated.protocols.open.apps import zoo_app
from federated.protocols.open.convex_learners import Additive
from federated.protocols.open.evaluation import Evaluation
from federated.protocols.open.session import LearnerSession
from federated.protocols.open.settings import ZooSettings
from simulations.experiments.credit_zoo.bench import SEED, BenchPlan, Json, Say, fold_masks
from simulations.experiments.credit_zoo.datasets import BenchTable
from simulations.experiments.credit_zoo.paired import paired_auc

BANKS = 10
SETTINGS = ("iid", "feature_skew", "label_skew", "sizes")
LEAST_OF_A_CLASS = 10
SCORED = ("federated", "federated_calibrated", "local")
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
Scores = dict[str, FloatArray]


@dataclass(frozen=True, slots=True)
class _Trained:
    """One trained network: what its banks counted, and its function, to compare models customer by customer."""

    plain: Histograms
    session: LearnerSession
    function: PartyFunction

    def calibrated(self) -> Histograms:
        """What banks count when each has calibrated the model on its own rows."""
        Evaluation(self.session).calibrate(["additive"], np.array([1.0, 0.0]))
        return _counted(self.session, calibrated=True)

    def member_logits(self, table: BenchTable) -> FloatArray:
        """Logits (members, rows)."""
        return self.function.member_logits(self.session.banks.categories.expand(table.holder))


def _trained(grid: InProcessGrid, plan: BenchPlan) -> _Trained:
    session = LearnerSession(grid, plan.settings, lambda *_: None)
    (function,) = Additive(plan.settings.convex_for(session.training_rows)).fit(session)
    session.keep("additive", [function])
    return _Trained(_counted(session, calibrated=False), session, function)


def _counted(session: LearnerSession, calibrated: bool) -> Histograms:
    histograms = Evaluation(session).histograms(["additive"], {"it": np.array([1.0, 0.0])}, calibrated)
    return {org: by_name["it"] for org, by_name in histograms.items()}


def run_horizontal(table: BenchTable, plan: BenchPlan, say: Say) -> Json:
    """Report of all settings over the first `plan.folds` folds. Raises `FederatedError`."""
    torch.set_num_threads(plan.threads)
    whole = joined(table)
    masks = fold_masks(table.labels, table.name)[: plan.folds]
    # Who owns a customer does not matter to the pooled model.
    pooled = [_metrics(_trained(_grid(whole, m, np.zeros_like(whole.labels)), plan).plain) for m in masks]
    settings: Json = {}
    for setting in SETTINGS:
        owners = dealt(whole, setting, SEED)
        scores = {name: np.full(len(owners), np.nan) for name in SCORED}
        folds = [_fold(whole, m, owners, plan, scores, p) for m, p in zip(masks, pooled, strict=True)]
        settings[setting] = _means(folds) | {"banks": _banks(whole, owners, scores)}
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


def _fold(
    table: BenchTable,
    held_out: NDArray[np.bool_],
    owners: Owners,
    plan: BenchPlan,
    scores: Scores,
    pooled: Json,
) -> Json:
    """Metrics of one fold; `scores` gets every held-out customer's logits."""
    joint = _trained(_grid(table, held_out, owners), plan)
    logits = joint.member_logits(table)
    local: dict[str, ScoreHistogram] = {}
    for bank in np.unique(owners).tolist():
        mine = owners == bank
        own = _Own(table.labels[mine], ~held_out[mine], plan.settings)
        here = np.flatnonzero(mine)[held_out[mine]]
        scores["federated"][here] = logits[:, here].mean(axis=0)
        ours = own.calibrated(logits[:, mine])
        scores["federated_calibrated"][here] = ours[held_out[mine]]
        if own.least < LEAST_OF_A_CLASS:
            continue
        rows = _rows(table, mine)
        alone = _trained(_grid(rows, held_out[mine], owners[mine]), plan)
        local |= alone.plain
        scores["local"][here] = own.calibrated(alone.member_logits(rows))[held_out[mine]]
    traffic = joint.session.board.traffic
    return {
        "models": {
            "federated": _metrics(joint.plain),
            "federated_calibrated": _metrics(joint.calibrated()),
            "pooled": pooled,
            "local": _metrics(local),
        },
        "exchanges": traffic.exchanges,
        "bytes": traffic.bytes,
    }


class _Own:
    """What a bank does with its own rows once models are trained. Logits are (members, rows) of its rows."""

    def __init__(self, labels: NDArray[np.int64], training: NDArray[np.bool_], settings: ZooSettings) -> None:
        self._labels, self._training = labels[training].astype(np.float64), training
        self._inner = inner_folds(labels, training, settings.folds, settings.most_repeats, settings.seed)
        self.least = int(np.bincount(labels[training], minlength=2).min())

    def calibrated(self, logits: FloatArray) -> FloatArray:
        """Logits (rows,) on the bank's own scale, as `query.calibrate` finds it."""
        known = out_of_fold(logits, self._inner)[self._training]
        slope, level = best_weights(lambda w: BlendSums.of(w, known[None, :], self._labels), 1)
        return np.asarray(slope * logits.mean(axis=0) + level)


def _rows(table: BenchTable, mask: NDArray[np.bool_]) -> BenchTable:
    words = {j: cells[mask] for j, cells in table.holder.words.items()}
    holder = type(table.holder)(table.holder.columns, table.holder.numbers[mask], words)
    return replace(table, labels=table.labels[mask], holder=holder)


def _metrics(parts: Histograms) -> Json:
    histograms = list(parts.values())
    return vars_of(sum(histograms[1:], histograms[0]).metrics())


def vars_of(metrics: Metrics) -> Json:
    """Metrics as plain numbers."""
    return {name: getattr(metrics, name) for name in ("auc", "ks", "brier", "ece", "rows")}


def _banks(table: BenchTable, owners: Owners, scores: Scores) -> list[Json]:
    """Every bank on all its customers that were held out in some fold, each scored once."""
    rows_of = []
    scored = np.isfinite(scores["federated"])
    for bank in np.unique(owners).tolist():
        mine = (owners == bank) & scored
        labels = table.labels[mine]
        entry: Json = {"bank": f"bank-{bank}", "customers": int((owners == bank).sum()), "held_out": len(labels)}
        entry |= {"defaults": int(labels.sum()), "rate": float(table.labels[owners == bank].mean())}
        if np.isfinite(scores["local"][mine]).all() and min(np.bincount(labels, minlength=2)) >= LEAST_OF_A_CLASS:
            entry |= {name: vars_of(metrics_of(logits[mine], labels)) for name, logits in scores.items()}
            entry["against_local"] = _compared(labels, scores["federated_calibrated"][mine], scores["local"][mine])
        rows_of.append(entry)
    return rows_of


def _compared(labels: NDArray[np.int64], ours: FloatArray, theirs: FloatArray) -> Json:
    paired = paired_auc(labels, ours, theirs)
    return {"difference": paired.difference, "standard_error": paired.standard_error, "sign": paired.sign}


def _means(folds: Sequence[Json]) -> Json:
    keys = ("auc", "ks", "brier", "ece")
    models = {n: {k: float(np.mean([f["models"][n][k] for f in folds])) for k in keys} for n in folds[0]["models"]}
    return {"models": models, **{k: round(float(np.mean([f[k] for f in folds]))) for k in ("exchanges", "bytes")}}
