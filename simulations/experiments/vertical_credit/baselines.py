"""XGBoost on one table of bank columns, and on bank and grid columns pooled: what federation is compared with."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import xgboost
from numpy.typing import NDArray

from federated.models.served.metrics import Metrics, metrics_of
from simulations.worlds.credit_nodes import CreditTables

SETTINGS = {
    "learning_rate": 0.03,
    "max_depth": 4,
    "subsample": 0.8,
    "colsample_bytree": 0.6,
    "objective": "binary:logistic",
    "eval_metric": "logloss",
    "tree_method": "hist",
    "nthread": 2,
}
MAX_TREES = 2_000
PATIENCE_TREES = 50
VALIDATION_SHARE = 0.15
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FoldRows:
    """Row masks of one fold over the tables' rows."""

    fitting: Mask
    validation: Mask
    held_out: Mask


def fold_rows(tables: CreditTables, fold: int, seed: int) -> FoldRows:
    """The rows that the joint model uses in this fold; a stratified share of those trained on is for early stopping."""
    training = tables.joint & tables.trains & (tables.folds != fold)
    validation = np.zeros(len(training), dtype=np.bool_)
    rng = np.random.default_rng([seed, fold])
    for label in (0, 1):
        rows = np.flatnonzero(training & (tables.labels == label))
        validation[rng.permutation(rows)[: round(VALIDATION_SHARE * len(rows))]] = True
    return FoldRows(training & ~validation, validation, (tables.folds == fold) & tables.joint)


def boosted(values: NDArray[np.float64], labels: NDArray[np.int64], rows: FoldRows, seed: int) -> tuple[Metrics, float]:
    """Held-out metrics and seconds of XGBoost on `values` (rows, columns), early-stopped on the validation rows."""
    started = time.perf_counter()
    train = xgboost.DMatrix(values[rows.fitting], labels[rows.fitting])
    stop = xgboost.DMatrix(values[rows.validation], labels[rows.validation])
    model = xgboost.train(
        {**SETTINGS, "seed": seed},
        train,
        MAX_TREES,
        evals=[(stop, "validation")],
        early_stopping_rounds=PATIENCE_TREES,
        verbose_eval=False,
    )
    best = (0, model.best_iteration + 1)
    margin = model.predict(xgboost.DMatrix(values[rows.held_out]), output_margin=True, iteration_range=best)
    metrics = metrics_of(np.asarray(margin, dtype=np.float64), labels[rows.held_out])
    return metrics, time.perf_counter() - started
