"""Two of five banks poison a run: the sum without protection beside updates that are inspected, and sums that vote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import mean

from federated.privacy.attacks.poisoning import Poison
from simulations.experiments.poisoned_banks.run import attacks, measured
from simulations.experiments.private_credit.world import PrivateTable, bank_names, folds_of

POISONED = 2


@dataclass(frozen=True, slots=True)
class Robustness:
    """Held-out AUC, means over folds and over who is poisoned, each of the attack that costs the most.

    `…_at_1` are with one bank poisoned. `backdoor_…` is the share of refused customers whom the trigger lets in, of the
    backdoor that opens most.
    """

    data_origin: str
    folds: int
    choices: int
    clean_auc: float
    attacked_auc: float
    robust_auc: float
    secure_auc: float
    secure_auc_at_1: float
    backdoor_attacked: float
    backdoor_robust: float
    worst_attack: str


def measure_robustness(table: PrivateTable, folds: int, choices: int, names: Sequence[str] = ()) -> Robustness:
    """`folds` of the five, the first `choices` of the ten pairs of banks, attacks by `names` or all of them."""
    masks = folds_of(table)[:folds]
    wanted = [poison for poison in attacks(table) if not names or poison.name in names]
    clean = mean(measured(table, mask, "unprotected").auc for mask in masks)

    def under(poison: Poison, mode: str, count: int) -> tuple[float, float]:
        who = list(combinations(bank_names(), count))[:choices]
        runs = [measured(table, mask, mode, pair, poison) for mask in masks for pair in who]
        return mean(run.auc for run in runs), mean(run.backdoor for run in runs)

    attacked = {poison.name: under(poison, "unprotected", POISONED) for poison in wanted}
    robust = {poison.name: under(poison, "inspected", POISONED) for poison in wanted}
    opening = [poison.name for poison in wanted if poison.trigger is not None]
    return Robustness(
        data_origin=table.data_origin,
        folds=folds,
        choices=min(choices, 10),
        clean_auc=clean,
        attacked_auc=min(auc for auc, _ in attacked.values()),
        robust_auc=min(auc for auc, _ in robust.values()),
        secure_auc=min(under(poison, "secure", POISONED)[0] for poison in wanted),
        secure_auc_at_1=min(under(poison, "secure", 1)[0] for poison in wanted),
        backdoor_attacked=max((attacked[name][1] for name in opening), default=0.0),
        backdoor_robust=max((robust[name][1] for name in opening), default=0.0),
        worst_attack=min(attacked, key=lambda name: attacked[name][0]),
    )
