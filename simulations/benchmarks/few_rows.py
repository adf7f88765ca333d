"""From how many customers on gradients tell no single labels: the attack at several sizes, and what banks do there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from federated.errors import TooFewRows
from federated.nodes.budget import default_training_limit
from simulations.benchmarks.vertical import measure_vertical
from simulations.worlds.credit_nodes import CreditTables

QUICK, SIZES = (300, 600), (300, 600, 1_200, 2_400, 5_000, 10_000, 14_000)
CHANCE = 0.5


@dataclass(frozen=True, slots=True)
class FewRows:
    """The attack on labels (see `vertical`, AUC beyond the own function) among so many customers in common, of whom
    `fitted` are fitted: where banks have no limit, and as they are by default. A run that a bank refuses shows nothing.
    """

    data_origin: str
    least_rows: int
    customers: tuple[int, ...]
    fitted: tuple[int, ...]
    without_limit: tuple[float, ...]
    with_limit: tuple[float, ...]
    refused: int
    worst_without_limit: float
    worst_with_limit: float


def measure_few_rows(tables: CreditTables, seed: int, sizes: Sequence[int]) -> FewRows:
    """One run of one bank and one grid company a size, with the limit that banks have by default and without."""
    least = default_training_limit().least_rows
    bare, guarded = [], []
    for size in sizes:
        bare.append(measure_vertical(tables, seed, most=size))
        try:
            guarded.append(measure_vertical(tables, seed, most=size, least_rows=least).label_attack_protected_beyond)
        except TooFewRows:
            guarded.append(CHANCE)
    found = [each.label_attack_protected_beyond for each in bare]
    return FewRows(
        data_origin=tables.schema.data_origin,
        least_rows=least,
        customers=tuple(sizes),
        fitted=tuple(each.rows for each in bare),
        without_limit=tuple(found),
        with_limit=tuple(guarded),
        refused=guarded.count(CHANCE),
        worst_without_limit=max(found),
        worst_with_limit=max(guarded),
    )
