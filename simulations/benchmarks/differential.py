"""What record-level differential privacy costs: held-out AUC of private runs over Flower, beside sums without noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from simulations.experiments.private_credit.run import DELTA, PrivateFold, measured
from simulations.experiments.private_credit.world import PrivateTable, folds_of


@dataclass(frozen=True, slots=True)
class DifferentialCost:
    """Mean held-out AUC over folds with its standard deviation, seconds, and what crossed the operator in one run.

    `epsilon_claimed` is the largest that any bank's ledger was charged for the run at ε = 4.
    """

    data_origin: str
    rows: int
    folds: int
    delta: float
    auc_without_noise: float
    auc_at_4: float
    auc_at_4_sd: float
    auc_at_1: float
    auc_at_1_sd: float
    auc_network_at_4: float
    epsilon_claimed: float
    epsilon_realised: float
    seconds_a_run: float
    exchanges: int
    bytes: int


def measure_differential(table: PrivateTable, folds: int, steps: int) -> DifferentialCost:
    """`folds` of the five folds; the network by `steps` of private gradient descent on the first."""
    masks = folds_of(table)[:folds]
    plain = [measured(table, mask, math.inf) for mask in masks]
    four = [measured(table, mask, 4.0) for mask in masks]
    one = [measured(table, mask, 1.0) for mask in masks]
    network = measured(table, masks[0], 4.0, kind="network", steps=steps)
    return DifferentialCost(
        data_origin=table.data_origin,
        rows=int((~masks[0]).sum()),
        folds=folds,
        delta=DELTA,
        auc_without_noise=mean(f.auc for f in plain),
        auc_at_4=mean(f.auc for f in four),
        auc_at_4_sd=_spread(four),
        auc_at_1=mean(f.auc for f in one),
        auc_at_1_sd=_spread(one),
        auc_network_at_4=network.auc,
        epsilon_claimed=max(f.epsilon for f in four),
        epsilon_realised=max(f.realised for f in four),
        seconds_a_run=mean(f.seconds for f in four),
        exchanges=max(f.exchanges for f in four),
        bytes=max(f.bytes for f in four),
    )


def _spread(folds: Sequence[PrivateFold]) -> float:
    return stdev(f.auc for f in folds) if len(folds) > 1 else 0.0
