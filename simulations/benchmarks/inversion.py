"""Rows out of gradients: from one bank's in the clear, from a secure sum over five banks, and under privacy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from federated.models.encoding.ramps import FloatArray
from federated.privacy.attacks.gradient_inversion import alone, error_of, first_layer
from federated.privacy.attacks.leakage import gradient_of, matched
from federated.privacy.differential.accountant import multiplier_for
from federated.protocols.private.network import inputs as inputs_of
from federated.protocols.private.network import network
from simulations.experiments.private_credit.run import DELTA
from simulations.experiments.private_credit.world import PrivateTable, bank_names

BATCH, HIDDEN, BINS, SMALL_BANK = 4, 32, 32, 60
EPSILON = 4.0


@dataclass(frozen=True, slots=True)
class Inversion:
    """Errors are mean absolute ones over inputs in units of their spread; `guess_error` is that of knowing means only.

    `one_row_error` is of the closed form on a single row. The sum is of five banks with `batch` rows each, of which one
    bank's rows are looked for; privately, rows are clipped and noised for ε = 4 in a single step. `labels_read` is the
    share of a small bank's customers whose label stands alone in its sums by bin, and in the sums of all banks.
    """

    data_origin: str
    batch: int
    trials: int
    one_row_error: float
    clear_error: float
    secure_sum_error: float
    private_error: float
    guess_error: float
    labels_read_in_clear: float
    labels_read_in_sum: float


def measure_inversion(table: PrivateTable, trials: int, seed: int = 2024) -> Inversion:
    """`trials` batches of `BATCH` rows a bank."""
    rows = inputs_of(table.public, table.values)
    spread = np.asarray(rows.std(axis=0))
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    banks = len(bank_names())
    errors: dict[str, list[float]] = {"one": [], "clear": [], "sum": [], "private": [], "guess": []}
    for trial in range(trials):
        model = network(table.public, HIDDEN)
        drawn = rng.choice(len(rows), banks * BATCH, replace=False)
        own = drawn[:BATCH]
        true, labels = rows[own], table.labels[own]
        errors["one"].append(_one_row(model, rows[own[:1]], table.labels[own[:1]], spread))
        seen = {
            "clear": (_gradient(model, true, labels), labels),
            "sum": (_gradient(model, rows[drawn], table.labels[drawn]), table.labels[drawn]),
            "private": (_private(model, true, labels, rng), labels),
        }
        for name, (gradient, known) in seen.items():
            rebuilt = matched(model, gradient, known, rows.mean(axis=0), spread, seed + trial)
            errors[name].append(error_of(rebuilt, true, spread))
        errors["guess"].append(error_of(np.tile(rows.mean(axis=0), (BATCH, 1)), true, spread))
    mean = {name: float(np.mean(values)) for name, values in errors.items()}
    clear, summed = _labels_read(table, rng)
    return Inversion(
        data_origin=table.data_origin,
        batch=BATCH,
        trials=trials,
        one_row_error=mean["one"],
        clear_error=mean["clear"],
        secure_sum_error=mean["sum"],
        private_error=mean["private"],
        guess_error=mean["guess"],
        labels_read_in_clear=clear,
        labels_read_in_sum=summed,
    )


def _gradient(model: torch.nn.Module, rows: FloatArray, labels: NDArray[np.int64]) -> list[torch.Tensor]:
    gradient = gradient_of(model, torch.from_numpy(rows), torch.from_numpy(labels.astype(np.float64)))
    return [part.detach() for part in gradient]


def _one_row(model: torch.nn.Module, row: FloatArray, label: NDArray[np.int64], spread: FloatArray) -> float:
    weight, bias, *_ = _gradient(model, row, label)
    return error_of(first_layer(weight.numpy(), bias.numpy())[None, :], row, spread)


def _private(
    model: torch.nn.Module, rows: FloatArray, labels: NDArray[np.int64], rng: np.random.Generator
) -> list[torch.Tensor]:
    """Each row's gradient cut to norm 1, their sum with the noise that one step at ε = 4 has."""
    total = [torch.zeros_like(p) for p in model.parameters()]
    for row, label in zip(rows, labels, strict=True):
        parts = _gradient(model, row[None, :], np.array([label]))
        norm = float(torch.sqrt(torch.stack([(p**2).sum() for p in parts]).sum()))
        total = [t + p / max(norm, 1.0) for t, p in zip(total, parts, strict=True)]
    scale = multiplier_for(EPSILON, DELTA)
    return [t + scale * torch.from_numpy(rng.normal(size=tuple(t.shape))) for t in total]


def _labels_read(table: PrivateTable, rng: np.random.Generator) -> tuple[float, float]:
    order = rng.permutation(len(table.labels))
    cuts = np.nanquantile(table.values, np.linspace(0, 1, BINS + 1)[1:-1], axis=0)
    bins = np.stack([np.searchsorted(np.unique(c), v, "left") for c, v in zip(cuts.T, table.values.T, strict=True)], 1)
    small = order[:SMALL_BANK]
    return float(alone(bins[small]).mean()), float(alone(bins)[small].mean())
