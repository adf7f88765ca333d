"""What each arrangement would reach with all rows and columns in one place: XGBoost, LightGBM, and CatBoost where it is
installed (`pip install ".[bench]"`), all early-stopped.

Word columns go in as 0/1 columns of their levels (unlimited number, nothing withheld), which suits both libraries at
least as well here as their own handling of categories; missing values stay missing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.util import find_spec

import lightgbm
import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from federated.models.encoding.categories import CategoryMap, RawTable, merge_levels
from federated.models.encoding.ramps import FloatArray

XGBOOST = {
    "learning_rate": 0.03,
    "max_depth": 4,
    "subsample": 0.8,
    "colsample_bytree": 0.6,
    "objective": "binary:logistic",
    "eval_metric": "logloss",
    "tree_method": "hist",
}
# FATE's SecureBoost benchmark: 30 trees of depth 3. SecureBoost is lossless, so this is the accuracy it has.
FATE = {"learning_rate": 0.3, "max_depth": 3, "objective": "binary:logistic", "tree_method": "hist"}
FATE_TREES = 30
LIGHTGBM = {
    "learning_rate": 0.03,
    "num_leaves": 15,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.6,
    "min_data_in_leaf": 20,
    "objective": "binary",
    "metric": "binary_logloss",
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
}
CATBOOST = {"learning_rate": 0.03, "depth": 6, "rsm": 0.6, "loss_function": "Logloss", "verbose": False}
MAX_TREES = 3_000
PATIENCE = 100
VALIDATION_SHARE = 0.15
Rows = NDArray[np.int64]


def pooled(tables: Sequence[RawTable], training: NDArray[np.bool_]) -> FloatArray:
    """Numeric columns of all parties in one matrix; levels are counted among training rows."""
    parts = []
    for table in tables:
        categories: CategoryMap = merge_levels(table.columns, [table.level_counts(training)])
        parts.append(categories.expand(table))
    return np.hstack(parts)


def stopping_split(training: Rows, labels: NDArray[np.int64], seed: int) -> tuple[Rows, Rows]:
    """Rows to fit and a stratified 15 % to stop on."""
    fit, stop = train_test_split(
        training, test_size=VALIDATION_SHARE, random_state=seed, stratify=labels[training], shuffle=True
    )
    return np.asarray(fit), np.asarray(stop)


def xgboost_logits(
    x: FloatArray, labels: NDArray[np.int64], training: Rows, seed: int, threads: int, first_party: int = 0
) -> tuple[FloatArray, float]:
    """Logits of all rows and seconds.

    With `first_party`, no tree mixes the first so many columns with the others: pooled, but one function a party.
    """
    started = time.perf_counter()
    fit, stop = stopping_split(training, labels, seed)
    parties = [list(range(first_party)), list(range(first_party, x.shape[1]))]
    # As text: a list would be looked up among column names, which these matrices do not have.
    apart = {"interaction_constraints": str(parties)} if first_party else {}
    model = xgboost.train(
        {**XGBOOST, **apart, "seed": seed, "nthread": threads},
        xgboost.DMatrix(x[fit], labels[fit]),
        MAX_TREES,
        evals=[(xgboost.DMatrix(x[stop], labels[stop]), "stop")],
        early_stopping_rounds=PATIENCE,
        verbose_eval=False,
    )
    margin = model.predict(xgboost.DMatrix(x), output_margin=True, iteration_range=(0, model.best_iteration + 1))
    return np.asarray(margin, dtype=np.float64), time.perf_counter() - started


def fate_logits(
    x: FloatArray, labels: NDArray[np.int64], training: Rows, seed: int, threads: int
) -> tuple[FloatArray, float]:
    """Logits of XGBoost at FATE's settings, on all training rows."""
    started = time.perf_counter()
    data = xgboost.DMatrix(x[training], labels[training])
    model = xgboost.train({**FATE, "seed": seed, "nthread": threads}, data, FATE_TREES)
    margin = model.predict(xgboost.DMatrix(x), output_margin=True)
    return np.asarray(margin, dtype=np.float64), time.perf_counter() - started


def lightgbm_logits(
    x: FloatArray, labels: NDArray[np.int64], training: Rows, seed: int, threads: int
) -> tuple[FloatArray, float]:
    """Logits of all rows and seconds."""
    started = time.perf_counter()
    fit, stop = stopping_split(training, labels, seed)
    data = lightgbm.Dataset(x[fit], labels[fit])
    model = lightgbm.train(
        {**LIGHTGBM, "seed": seed, "num_threads": threads},
        data,
        MAX_TREES,
        valid_sets=[lightgbm.Dataset(x[stop], labels[stop], reference=data)],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )
    raw = model.predict(x, raw_score=True, num_iteration=model.best_iteration)
    return np.asarray(raw, dtype=np.float64), time.perf_counter() - started


def has_catboost() -> bool:
    """Whether CatBoost is installed."""
    return find_spec("catboost") is not None


def catboost_logits(
    x: FloatArray, labels: NDArray[np.int64], training: Rows, seed: int, threads: int
) -> tuple[FloatArray, float]:
    """Logits of all rows and seconds."""
    import catboost  # noqa: PLC0415 (an extra)

    started = time.perf_counter()
    fit, stop = stopping_split(training, labels, seed)
    model = catboost.CatBoostClassifier(
        **CATBOOST, iterations=MAX_TREES, random_seed=seed, thread_count=threads, allow_writing_files=False
    )
    model.fit(x[fit], labels[fit], eval_set=(x[stop], labels[stop]), early_stopping_rounds=PATIENCE)
    raw = model.predict(x, prediction_type="RawFormulaVal")
    return np.asarray(raw, dtype=np.float64), time.perf_counter() - started
