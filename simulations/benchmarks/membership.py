"""Whether a released model tells who trained it: shadow models and canaries, with noise and without."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulations.experiments.private_credit.attacks import canaries, shadows
from simulations.experiments.private_credit.world import PrivateTable, folds_of, load_table

EPSILON, SEED = 4.0, 2024


@dataclass(frozen=True, slots=True)
class MembershipRisk:
    """AUC of the likelihood-ratio attack (0.5 is nothing), share of members found at 1 % false alarms, and ε.

    `…_outliers`: the records of largest leverage. `epsilon_seen` are lower bounds from canaries with 95 % confidence:
    in all that the operator sees, the same if trade-offs are Gaussian, and in the released model.
    """

    data_origin: str
    rows: int
    models: int
    auc_without_noise: float
    auc_without_noise_outliers: float
    auc_private: float
    auc_private_error: float
    auc_private_outliers: float
    tpr_at_1_percent_without_noise: float
    tpr_at_1_percent_private: float
    epsilon_claimed: float
    trials: int
    epsilon_seen: float
    epsilon_seen_gaussian: float
    epsilon_seen_in_model: float


def measure_membership(table: PrivateTable, models: int, trials: int) -> MembershipRisk:
    """Attack `models` models on fold 0's training rows, and `trials` runs with a canary among generated firms."""
    rows = np.flatnonzero(~folds_of(table)[0])
    plain = shadows(table, rows, None, models, SEED)
    private = shadows(table, rows, EPSILON, models, SEED)
    audit = canaries(load_table(None, 4_000, SEED), EPSILON, trials, SEED)
    return MembershipRisk(
        data_origin=table.data_origin,
        rows=len(rows),
        models=models,
        auc_without_noise=plain.everyone.auc,
        auc_without_noise_outliers=plain.outliers.auc,
        auc_private=private.everyone.auc,
        auc_private_error=private.everyone.auc_error,
        auc_private_outliers=private.outliers.auc,
        tpr_at_1_percent_without_noise=plain.everyone.tpr_at_1_percent,
        tpr_at_1_percent_private=private.everyone.tpr_at_1_percent,
        epsilon_claimed=audit.claimed,
        trials=trials,
        epsilon_seen=audit.transcript.epsilon,
        epsilon_seen_gaussian=audit.transcript.gaussian,
        epsilon_seen_in_model=audit.model.epsilon,
    )
