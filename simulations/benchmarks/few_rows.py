"""From how many customers on gradients tell no single labels: the attack at several sizes, over several folds, from
several runs together, and what banks do there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from federated.errors import RowsTooAlike, TooFewRows
from federated.nodes.budget import default_training_limit
from federated.nodes.row_sets import RowSets
from federated.privacy.attacks import label_inference
from federated.protocols.protected.settings import ProtectedSettings
from federated.protocols.protected.state import FIT
from simulations.benchmarks.vertical import Fitted, fitted, some
from simulations.experiments.vertical_credit.pipeline import with_folds
from simulations.worlds.credit_nodes import SPLITS, CreditTables

QUICK, SIZES = (300, 600), (300, 600, 1_200, 2_400, 5_000, 10_000, 14_000)
# What an attack says of few labels differs much between draws: so many at least are guessed at in all, in some draws.
GUESSED, MOST_DRAWS = 5_000, 6
CHANCE = 0.5
# Of how many customers a label is asked for by the difference of two runs, which have so many in common at the most.
ASKED_FOR, NEAR_ROWS = 3, 1_000


@dataclass(frozen=True, slots=True)
class FewRows:
    """The attack on labels (see `vertical`, AUC beyond the own function) among so many customers in common, of whom
    `fitted` are fitted, the mean over some draws of customers, by gradients of as many `columns` of a grid company.
    `opened` is as if the operator opened them, `passed` as they pass it; a run that a bank `refused` shows nothing.

    `by_fold` is the attack on all rows with each of the folds held out, `folds_together` that of an operator and a grid
    company that put the gradients of all these runs together, as they pass. `told_by_difference` is which share of the
    labels is read that the grid company asks for, by leaving one customer out of a second run and by gradients of
    banks' columns, if the operator opened these (`…_unremembered`: where the bank does not remember the first run).
    """

    data_origin: str
    least_rows: int
    customers: tuple[int, ...]
    draws: tuple[int, ...]
    fitted: tuple[int, ...]
    columns: tuple[int, ...]
    opened: tuple[float, ...]
    passed: tuple[float, ...]
    refused: int
    worst_opened: float
    worst_passed: float
    by_fold: tuple[float, ...]
    by_fold_mean: float
    by_fold_opened_mean: float
    by_fold_worst: float
    folds_together: float
    told_by_difference_unremembered: float
    told_by_difference: float


def measure_few_rows(tables: CreditTables, seed: int, sizes: Sequence[int], folds: int = SPLITS) -> FewRows:
    """Runs of one bank and one grid company a size, with the limits that banks have by default and without; and one
    of all rows for each of the first `folds`."""
    settings, folded = ProtectedSettings(seed=seed), with_folds(tables, seed)
    limit = default_training_limit()
    found = [_at_size(folded, settings, size) for size in sizes]
    runs = [fitted(folded, settings, fold, limit) for fold in range(folds)]
    by_fold = [run.told(hidden=True) for run in runs]
    near = some(folded, seed, NEAR_ROWS)
    return FewRows(
        data_origin=tables.schema.data_origin,
        least_rows=limit.least_rows,
        customers=tuple(sizes),
        draws=tuple(_draws(size) for size in sizes),
        fitted=tuple(each.fitted for each in found),
        columns=tuple(each.columns for each in found),
        opened=tuple(each.opened for each in found),
        passed=tuple(each.passed for each in found),
        refused=sum(each.refused for each in found),
        worst_opened=max(each.opened for each in found),
        worst_passed=max(each.passed for each in found),
        by_fold=tuple(by_fold),
        by_fold_mean=float(np.mean(by_fold)),
        by_fold_opened_mean=float(np.mean([run.told(hidden=False) for run in runs])),
        by_fold_worst=max(by_fold),
        folds_together=_together(runs),
        told_by_difference_unremembered=_told(near, settings, remembered=False),
        told_by_difference=_told(near, settings, remembered=True),
    )


@dataclass(frozen=True, slots=True)
class _Size:
    fitted: int
    columns: int
    opened: float
    passed: float
    refused: bool


def _draws(size: int) -> int:
    return min(MOST_DRAWS, -(-GUESSED // size))


def _at_size(tables: CreditTables, settings: ProtectedSettings, size: int) -> _Size:
    """Means over draws of so many customers, by the guess that is the best on the average: an attacker that picks
    another one for each draw knows labels. What banks refuse is looked at all the same, with a bank that does not."""
    opened, passed, rows, columns, refused = list[dict[str, float]](), list[dict[str, float]](), 0, 0, False
    for draw in range(_draws(size)):
        fewer = some(tables, settings.seed + draw, size)
        try:
            run = fitted(fewer, settings, limit=default_training_limit())
            passed.append(run.guessed(hidden=True))
        except TooFewRows:
            run, refused = fitted(fewer, settings), True
            passed.append(dict.fromkeys(run.guessed(hidden=False), CHANCE))
        rows, columns = int((run.marks == FIT).sum()), run.run.bases[1].width
        opened.append(run.guessed(hidden=False))
    return _Size(rows, columns, _best_on_average(opened), _best_on_average(passed), refused)


def _best_on_average(draws: Sequence[Mapping[str, float]]) -> float:
    return max(float(np.mean([draw[name] for draw in draws])) for name in draws[0])


def _together(runs: Sequence[Fitted]) -> float:
    """The attack with one system of equations for all runs: each row is in the gradients of those that fitted it."""
    parts: list[tuple[Fitted, NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]] = []
    for each in runs:
        parts.append((each, each.marks == FIT, each.columns[1], each.node.passed[-1]))
    stacked = np.hstack([np.where(fit[:, None], columns, 0.0) for _, fit, columns, _ in parts])
    own = np.asarray(np.mean([each.logits[1] for each in runs], axis=0))
    best = CHANCE
    for slope in label_inference.SLOPES:
        of_labels = [
            label_inference.put_back(columns[fit], gradient, each.logits[1][fit], each.run.session.rate, slope)
            for each, fit, columns, gradient in parts
        ]
        guesses = label_inference.least_norms(stacked, np.concatenate(of_labels))
        named = {f"{ridge:g}": guess for ridge, guess in guesses.items()}
        best = max(best, label_inference.strongest(named, runs[0].labels, own).beyond)
    return best


def _told(tables: CreditTables, settings: ProtectedSettings, *, remembered: bool) -> float:
    """Which share of labels a grid company reads by withholding one customer from a second run."""
    # Limits that this run passes, so that what refuses it is the memory alone.
    memory, limit = None, default_training_limit()
    if remembered:
        now, sets, runs = datetime(2026, 11, 1, tzinfo=UTC), limit.row_sets, limit.runs_a_set
        memory = RowSets(None, lambda *_: True, now, timedelta(days=1), sets, runs)
    whole = fitted(tables, settings, limit=limit, memory=memory)
    told = 0
    asked = np.flatnonzero(whole.marks == FIT)[:ASKED_FOR]
    for at in asked.tolist():
        try:
            without = fitted(tables, settings, limit=limit, memory=memory, withheld=[at])
        except RowsTooAlike:
            continue
        # The first column of banks is 1 everywhere: what is left of it is the label less the rate.
        left = float(whole.node.alone[0][0] - without.node.alone[0][0])
        told += int((left > 0.0) == (whole.labels[at] == 1))
    return told / len(asked)
