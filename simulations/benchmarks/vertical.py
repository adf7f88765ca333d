"""What protecting the vertical exchange costs, and what a grid company can still tell of labels, in one run."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from federated.models.binning import merge_bins
from federated.models.metrics import metrics_of
from federated.models.sketch import sketch
from federated.privacy.attacks.label_inference import from_gradients, from_residuals, inferred
from federated.privacy.vertical.party import Party
from federated.privacy.vertical.training import train
from federated.serving.building import CreditTables
from simulations.experiments.vertical_credit.pipeline import with_folds

RAMPS, RIDGE, ROUNDS, FOLD = 24, 8.0, 20, 0
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ProtectedVertical:
    """Held-out AUC of one convex additive model, trained in one place and under protection; attacks on training labels.

    `…_raw` counts what the grid company's own function says anyway, `…_beyond` does not: 0.5 is nothing.
    """

    data_origin: str
    rows: int
    plain_auc: float
    protected_auc: float
    auc_cost: float
    attack_on_residuals_beyond: float
    attack_on_residuals_raw: float
    attack_on_protected_beyond: float
    attack_on_protected_raw: float
    seconds: float
    exchanges: int
    bytes: int


def measure_vertical(tables: CreditTables, seed: int) -> ProtectedVertical:
    """One fold, all customers of both sides as one bank and one grid company, protected columns left out."""
    tables = with_folds(tables, seed)
    training = tables.joint & (tables.folds != FOLD)
    held_out = tables.joint & (tables.folds == FOLD)
    bank = _ramps(tables.bank_values[:, list(tables.schema.bank.lending)], training)
    bank = np.hstack([np.ones((len(bank), 1)), bank])
    grid = _ramps(tables.grid_values[:, list(tables.schema.grid.lending)], training)
    labels = tables.labels
    both = np.hstack([bank, grid])
    pooled = LogisticRegression(C=1.0 / RIDGE, fit_intercept=False, max_iter=1_000).fit(
        both[training], labels[training]
    )
    plain = metrics_of(both[held_out] @ pooled.coef_[0], labels[held_out]).auc
    ridge = np.full(bank.shape[1], RIDGE)
    ridge[0] = 1e-3
    owner = Party(bank[training], ridge, labels[training].astype(np.float64))
    other = Party(grid[training], np.full(grid.shape[1], RIDGE))
    started = time.perf_counter()
    run = train(owner, other, ROUNDS)
    seconds = time.perf_counter() - started
    protected = metrics_of(bank[held_out] @ owner.beta + grid[held_out] @ other.beta, labels[held_out]).auc
    own = other.logits()
    p = 1.0 / (1.0 + np.exp(-(owner.logits() + own)))
    clear = inferred(from_residuals(labels[training] - p), labels[training], own)
    hidden = inferred(from_gradients(other.columns, np.array(other.seen)), labels[training], own)
    return ProtectedVertical(
        data_origin=tables.schema.data_origin,
        rows=int(training.sum()),
        plain_auc=plain,
        protected_auc=protected,
        auc_cost=plain - protected,
        attack_on_residuals_beyond=clear.beyond,
        attack_on_residuals_raw=clear.raw,
        attack_on_protected_beyond=hidden.beyond,
        attack_on_protected_raw=hidden.raw,
        seconds=seconds,
        exchanges=run.exchanges,
        bytes=run.bytes,
    )


def _ramps(values: Matrix, training: NDArray[np.bool_]) -> Matrix:
    names = [str(j) for j in range(values.shape[1])]
    _, encoder = merge_bins([sketch(values[training])], 64, RAMPS, names, "bank")
    return encoder.encode(values).astype(np.float64)
