"""`tanxin bench credit`: the zoo and its rivals on the same folds, resumable fold by fold."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from federated.engines.in_process import InProcessGrid, Seat
from federated.models.encoding.ramps import FloatArray
from federated.models.served.metrics import Metrics, calibration_error, error_by_chance
from federated.protocols.core.rows import BankRows, GridRows
from federated.protocols.open.apps import zoo_app
from federated.protocols.open.run import train_zoo
from federated.protocols.open.settings import ZooSettings
from federated.protocols.protected.settings import ProtectedSettings
from simulations.experiments.credit_zoo import baselines
from simulations.experiments.credit_zoo.datasets import BenchTable, enough_of_each
from simulations.experiments.credit_zoo.shares import calibrated, judged_figures, protected_figures

SPLITS = 5
SEED = 2024
Say = Callable[[str], None]
OURS = ("protected", "federated", "federated_additive")
Json = dict[str, Any]
# Of a kept fold: another one is run anew.
FORM = 3
POOLED = ("xgboost", "lightgbm", "catboost", "fate_settings")
RIVALS: dict[str, Callable[..., tuple[FloatArray, float]]] = {
    "label_holder_only": baselines.xgboost_logits,
    "xgboost": baselines.xgboost_logits,
    "xgboost_by_party": baselines.xgboost_logits,
    "lightgbm": baselines.lightgbm_logits,
    "fate_settings": baselines.fate_logits,
}
if baselines.has_catboost():
    RIVALS["catboost"] = baselines.catboost_logits


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """Which folds are run, with how many threads, and where finished folds are kept (None: nowhere).

    `shares` are the settings of the protected model; `settings` those of the open zoo, which is left out without `zoo`.
    """

    folds: int
    threads: int
    cache: Path | None
    settings: ZooSettings
    shares: ProtectedSettings = field(default_factory=ProtectedSettings)
    zoo: bool = True


def fold_masks(labels: NDArray[np.int64], name: str) -> list[NDArray[np.bool_]]:
    """Held-out masks of the protocol's folds. Raises `CorruptData` if a class has fewer rows than folds."""
    enough_of_each(labels, name)
    masks = []
    for _, rows in StratifiedKFold(SPLITS, shuffle=True, random_state=SEED).split(np.zeros(len(labels)), labels):
        mask = np.zeros(len(labels), dtype=np.bool_)
        mask[rows] = True
        masks.append(mask)
    return masks


def run_bench(table: BenchTable, plan: BenchPlan, say: Say) -> Json:
    """Report of one data set over the first `plan.folds` folds. Raises `FederatedError`."""
    torch.set_num_threads(plan.threads)
    masks = fold_masks(table.labels, table.name)
    done = [_fold(table, masks[fold], fold, plan, say) for fold in range(plan.folds)]
    return summary(table, done, plan)


def _key(table: BenchTable, fold: int, plan: BenchPlan) -> str:
    trees = [baselines.FATE_TREES, baselines.PATIENCE]
    rivals = [baselines.XGBOOST, baselines.FATE, baselines.LIGHTGBM, baselines.CATBOOST, *trees]
    ours = [plan.settings.as_config() if plan.zoo else {}, plan.shares.as_config()]
    text = json.dumps([FORM, table.data_sha256, fold, SEED, *ours, rivals], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _fold(table: BenchTable, held_out: NDArray[np.bool_], fold: int, plan: BenchPlan, say: Say) -> Json:
    file = None if plan.cache is None else plan.cache / f"{table.name}-{fold}-{_key(table, fold, plan)}.json"
    if file is not None and file.is_file():
        say(f"{table.name} fold {fold}: kept from an earlier run")
        result: Json = json.loads(file.read_text("utf-8"))
        if set(RIVALS) <= set(result):
            return result
    else:
        say(f"{table.name} fold {fold}: on shares")
        result = protected_figures(table, held_out, plan.shares, lambda *_: None)
        result |= _federated(table, held_out, fold, plan, say) if plan.zoo else {}
    result |= _rivals(table, held_out, plan)
    shown = ", ".join(f"{name} {result[name]['auc']:.4f}" for name in result)
    say(f"{table.name} fold {fold}: {shown}")
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(f".{os.getpid()}.draft")
        draft.write_text(json.dumps(result), "utf-8")
        draft.replace(file)
    return result


def vertical_grid(table: BenchTable, held_out: NDArray[np.bool_]) -> InProcessGrid:
    """A bank with the label and a grid company, whose rows are in another order than the bank's."""
    rows = len(table.labels)
    order = np.random.default_rng(SEED).permutation(rows)
    place = np.argsort(order)
    numbers = table.other.numbers[order]
    words = {j: cells[order] for j, cells in table.other.words.items()}
    bank = BankRows("bank", table.holder, table.labels, ~held_out, held_out, {"grid": np.arange(rows)})
    other = GridRows("grid", type(table.other)(table.other.columns, numbers, words), {"bank": place})
    return InProcessGrid({2: Seat(zoo_app(bank), {}), 3: Seat(zoo_app(other), {})})


def _federated(table: BenchTable, held_out: NDArray[np.bool_], fold: int, plan: BenchPlan, say: Say) -> Json:
    def progress(learner: str, number: int, loss: float | None) -> None:
        if number % 5 == 0 and loss is not None:
            say(f"{table.name} fold {fold}: {learner}, round {number}, loss {loss:.1f}")

    result = train_zoo(vertical_grid(table, held_out), plan.settings, progress)
    figures = {}
    for name, metrics in result.metrics.items():
        cost = result.cost[name]
        figures[name] = _figures(metrics) | {
            "seconds": cost.seconds, "exchanges": cost.exchanges, "bytes": cost.bytes,
            "weights": [round(float(w), 4) for w in result.blends[name]],
        }  # fmt: skip
    return figures


def _figures(metrics: Metrics) -> Json:
    return {"auc": metrics.auc, "ks": metrics.ks, "brier": metrics.brier, "ece": metrics.ece, "rows": metrics.rows}


def _rivals(table: BenchTable, held_out: NDArray[np.bool_], plan: BenchPlan) -> Json:
    training = np.flatnonzero(~held_out)
    both = baselines.pooled((table.holder, table.other), ~held_out)
    own = baselines.pooled((table.holder,), ~held_out)
    figures = {}
    for name, learner in RIVALS.items():
        x = own if name == "label_holder_only" else both
        options = {"first_party": own.shape[1]} if name == "xgboost_by_party" else {}
        logits, seconds = learner(x, table.labels, training, SEED, plan.threads, **options)
        figures[name] = judged_figures(logits[held_out], table.labels[held_out])
        figures[name] |= {"seconds": seconds, "exchanges": 0, "bytes": 0}
    return figures


def summary(table: BenchTable, folds: Sequence[Json], plan: BenchPlan) -> Json:
    """Means over folds, standard deviations (n − 1), and paired differences of the federated models' AUC."""
    models: Json = {}
    for name in folds[0]:
        parts = [fold[name] for fold in folds]
        if name in ("protected", "protected_bank_only"):
            parts = calibrated(parts)
        figures = {key: float(np.mean([p[key] for p in parts])) for key in ("auc", "ks", "brier", "ece", "seconds")}
        aucs = [p["auc"] for p in parts]
        models[name] = {
            **figures,
            "auc_sd": float(np.std(aucs, ddof=1)) if len(aucs) > 1 else 0.0,
            "exchanges": round(float(np.mean([p["exchanges"] for p in parts]))),
            "bytes": round(float(np.mean([p["bytes"] for p in parts]))),
            "auc_folds": aucs,
        }
        if all("bins" in p for p in parts):
            # One fold of a small set has so few rows that chance alone makes an error of several hundredths.
            bins = np.sum([p["bins"] for p in parts], axis=0)
            models[name] |= {"ece_pooled": calibration_error(bins), "ece_by_chance": error_by_chance(bins)}
        if "weights" in parts[0]:
            models[name]["weights"] = [float(np.mean(w)) for w in zip(*(p["weights"] for p in parts), strict=True)]
    return {
        "dataset": table.name,
        "folds": len(folds),
        "models": models,
        "paired": {
            ours: {
                rival: _paired(models[ours]["auc_folds"], models[rival]["auc_folds"]) for rival in _rivals_of(models)
            }
            for ours in OURS
            if ours in models
        },
        "best_pooled": max((name for name in POOLED if name in models), key=lambda name: models[name]["auc"]),
        "rows": len(table.labels),
        "columns": [len(table.holder.columns), len(table.other.columns)],
        "seed": SEED,
        "data_sha256": table.data_sha256,
        "config": plan.settings.as_config() | {"protected": plan.shares.as_config()},
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "threads": plan.threads,
    }


def _rivals_of(models: Json) -> list[str]:
    return [name for name in ("label_holder_only", "xgboost_by_party", *POOLED) if name in models]


def _paired(ours: Sequence[float], theirs: Sequence[float]) -> Json:
    gaps = np.array(ours) - np.array(theirs)
    error = float(np.std(gaps, ddof=1) / np.sqrt(len(gaps))) if len(gaps) > 1 else 0.0
    return {"difference": float(gaps.mean()), "standard_error": error}
