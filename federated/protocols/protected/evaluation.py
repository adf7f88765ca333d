"""Calibration and held-out figures of a protected model: from scores that the operator sums, and labels it never sees.

The operator puts rows into cells of equal mass by their summed logit, at least `LEAST_CELL` rows each; banks' defaults
are counted by cell on shares (`privacy.vertical.counting`) and added up securely. Figures are those of the cells: rows
of one cell count as ties, which lowers an AUC by some ten-thousandths where there are a thousand rows, less where more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from federated.models.encoding.binning import IntArray
from federated.models.encoding.ramps import FloatArray
from federated.models.served.calibration import NONE, Calibration, own_of
from federated.models.served.metrics import CELLS, LOGIT_BOUND, ScoreHistogram
from federated.privacy.vertical.counting import Counter
from federated.privacy.vertical.dealer import Dealer
from federated.privacy.vertical.ring import Ring, floating
from federated.protocols.core.messages import Arrays, Content, Values
from federated.protocols.protected import judging
from federated.protocols.protected.judging import SUM_BITS
from federated.protocols.protected.operator import Pair, ProtectedTraining
from federated.protocols.protected.state import HELD_OUT, SET_ASIDE

LEAST_CELL = 20


@dataclass(frozen=True, slots=True)
class Counted:
    """`logit` (cells,) mean of a cell, `rows` (cells,), `defaults` (cells,), and of groups `rows` and `defaults`."""

    logit: FloatArray
    rows: FloatArray
    defaults: FloatArray
    groups: dict[tuple[str, str], tuple[FloatArray, FloatArray]]

    def histogram(self, calibration: Calibration, group: tuple[str, str] | None = None) -> ScoreHistogram:
        """Counts at the calibrated logits of the cells' means."""
        rows, defaults = (self.rows, self.defaults) if group is None else self.groups[group]
        logits = calibration(self.logit)
        cell = np.clip((logits + LOGIT_BOUND) / (2 * LOGIT_BOUND) * CELLS, 0, CELLS - 1).astype(np.int64)
        p = 1.0 / (1.0 + np.exp(-logits))
        counts = np.zeros((2, CELLS))
        counts[0] = np.bincount(cell, rows - defaults, CELLS)
        counts[1] = np.bincount(cell, defaults, CELLS)
        squared = float(((rows - defaults) * p**2 + defaults * (1.0 - p) ** 2).sum())
        return ScoreHistogram(counts, np.asarray(np.bincount(cell, rows * p, CELLS), dtype=np.float64), squared)


@dataclass(frozen=True, slots=True)
class Judged:
    """Rows set aside, for calibration, and rows held out, for figures."""

    set_aside: Counted
    held_out: Counted

    def calibration(self) -> Calibration:
        """Platt's line on rows set aside, if they differ significantly from the model, else none."""
        return own_of(self.set_aside.histogram(NONE))


def judged(run: ProtectedTraining, segments: Sequence[tuple[str, str, str]], cut_off: float) -> Judged:
    """Count a fitted model's rows. `segments` are groups as (segment, group number, role of who has the column).

    No cell holds logits on both sides of `cut_off`. Raises what a node refuses with, `AggregationFailed`.
    """
    if not run.joint:
        return _alone(run)
    logits = _summed_logits(run)
    marks = {pair: run.evaluated(pair) for pair in logits}
    cells: dict[Pair, IntArray] = {pair: np.zeros(len(z), dtype=np.int64) for pair, z in logits.items()}
    means, sizes, starts = [], [], [0]
    for mark in (SET_ASIDE, HELD_OUT):
        z = np.concatenate([logits[pair][marks[pair] == mark] for pair in logits])
        edges = _edges(z, cut_off)
        for pair in logits:
            own = marks[pair] == mark
            cells[pair][own] = starts[-1] + np.searchsorted(edges, logits[pair][own], side="right")
        cell = np.searchsorted(edges, z, side="right")
        size = np.bincount(cell, minlength=len(edges) + 1)
        means.append(np.bincount(cell, z, len(edges) + 1) / np.maximum(size, 1))
        sizes.append(size.astype(np.float64))
        starts.append(starts[-1] + len(edges) + 1)
    defaults, groups = _counts(run, segments, cells, starts[-1])
    parts = []
    for k in range(2):
        part = slice(starts[k], starts[k + 1])
        by_group = {group: (rows[part], bad[part]) for group, (rows, bad) in groups.items()}
        parts.append(Counted(means[k], sizes[k], defaults[part], by_group))
    return Judged(*parts)


Groups = dict[tuple[str, str], tuple[FloatArray, FloatArray]]


def _counts(
    run: ProtectedTraining, segments: Sequence[tuple[str, str, str]], cells: dict[Pair, IntArray], count: int
) -> tuple[FloatArray, Groups]:
    """Defaults (count,) by cell, and rows and defaults of every group by cell.

    Who defaulted is known to banks, who is in a group of a grid company's column to grid companies: their product is
    computed on shares, and each side's shares are counted.
    """
    banks, grids = run.session.banks.orgs, run.session.sides[1].orgs
    ours = [(s, g) for s, g, role in segments if role == "bank"] + [("bank", bank) for bank in banks]
    theirs = [(s, g) for s, g, role in segments if role == "grid"]
    products = [f"{s}/{g}/product" for s, g in theirs]
    if theirs:
        _multiply(run, {pair: len(cell) for pair, cell in cells.items()}, [f"{s}/{g}" for s, g in theirs])
    names = ["defaults", *(f"{s}/{g}/{what}" for s, g in ours for what in ("rows", "defaults")), *products]
    of_banks = _counted(run, cells, count, names, banks, grids)
    plain = floating(of_banks[:, : 1 + 2 * len(ours)], 0)
    groups = {group: (plain[:, 1 + 2 * i], plain[:, 2 + 2 * i]) for i, group in enumerate(ours)}
    if theirs:
        names = [*(f"{s}/{g}/rows" for s, g in theirs), *products]
        of_grids = _counted(run, cells, count, names, grids, banks)
        rows = floating(of_grids[:, : len(theirs)], 0)
        bad = floating(np.asarray(of_grids[:, len(theirs) :] + of_banks[:, 1 + 2 * len(ours) :]), 0)
        groups |= {group: (rows[:, i], bad[:, i]) for i, group in enumerate(theirs)}
    return np.asarray(plain[:, 0]), groups


def _multiply(run: ProtectedTraining, rows: Mapping[Pair, int], names: list[str]) -> None:
    """Have both sides of every pair keep shares of its labels times its members of groups."""
    dealers = {pair: Dealer(count) for pair, count in rows.items()}
    config: dict[str, dict[str, Values]] = {org: {"groups": list(names)} for org in run.orgs}
    extra: dict[str, Arrays] = {org: {} for org in run.orgs}
    for (bank, grid), dealer in dealers.items():
        config[bank][f"tape/{grid}"], config[grid][f"tape/{bank}"] = dealer.keys["bank"], dealer.keys["grid"]
        extra[grid][f"corrections/{bank}"] = dealer.products(len(names))
    opened = run.ask("multiply", {org: Content(config=numbers) for org, numbers in config.items()})
    across = run.across(opened, "opened", rows, extra)
    groups: dict[str, Values] = {"groups": list(names)}
    run.ask("multiply", {org: Content(content.arrays, groups) for org, content in across.items()})


def _edges(logits: FloatArray, cut_off: float) -> FloatArray:
    """Where cells of at least `LEAST_CELL` rows end; the cut-off is one, if enough rows lie on both sides of it."""
    below, above = np.sort(logits[logits < cut_off]), np.sort(logits[logits >= cut_off])
    edges = []
    for part in (below, above):
        inner = np.arange(1, max(len(part) // LEAST_CELL, 1))
        edges.append(part[(inner * len(part)) // max(len(part) // LEAST_CELL, 1)] if len(part) else part)
    apart = [cut_off] if min(len(below), len(above)) >= LEAST_CELL else []
    return np.unique(np.concatenate([edges[0], apart, edges[1]]))


def _summed_logits(run: ProtectedTraining) -> dict[Pair, FloatArray]:
    requests = {org: Content({"beta": run.betas[k]}) for k, s in enumerate(run.session.sides) for org in s.orgs}
    answers = run.ask("logits", requests)
    logits = {}
    for bank, grid in run.marks:
        ours, theirs = (answers[a].arrays.get(f"logits/{b}") for a, b in ((bank, grid), (grid, bank)))
        if ours is not None and theirs is not None:
            total = np.asarray(ours, dtype=np.uint64) + np.asarray(theirs, dtype=np.uint64)
            logits[bank, grid] = floating(np.asarray(total), SUM_BITS)
    return logits


def _counted(
    run: ProtectedTraining,
    cells: dict[Pair, IntArray],
    count: int,
    names: list[str],
    holders: Sequence[str],
    dealers: Sequence[str],
) -> Ring:
    """Counts (count, names) over all pairs, modulo 2^64."""
    dealing = Content(config={"cells": count, "vectors": len(names)})
    dealt = run.ask("deal", dict.fromkeys(dealers, dealing))
    counters: dict[Pair, Counter] = {}
    requests: dict[str, Arrays] = {holder: {} for holder in holders}
    for (bank, grid), cell in cells.items():
        holder, dealer = (bank, grid) if bank in requests else (grid, bank)
        counter = Counter(cell, count, len(names), dealt[dealer].arrays[f"key/{holder}"].tobytes())
        counters[holder, dealer] = counter
        requests[holder] |= {
            f"hidden/{dealer}": counter.hidden,
            f"dealt/{dealer}": dealt[dealer].arrays[f"dealt/{holder}"],
        }
    config: dict[str, Values] = {"vectors": list(names)}
    answers = run.ask("count", {holder: Content(arrays, config) for holder, arrays in requests.items()})
    total = np.zeros((count, len(names)), dtype=np.uint64)
    for (holder, dealer), counter in counters.items():
        total = total + counter.own(np.asarray(answers[holder].arrays[f"opened/{dealer}"], dtype=np.uint64))
    adding = [org for org in holders if any(holder == org for holder, _ in counters)]
    return np.asarray(total + run.ring_summed("counts", adding, total.size).reshape(total.shape))


def _alone(run: ProtectedTraining) -> Judged:
    """Banks only: each counts its own logits in fixed cells, and the counts are added up securely."""
    request = Content({"beta": run.betas[0]}, dict(run.drawn))
    told = run.ask("histogram", dict.fromkeys(run.orgs, request))
    adding = [org for org in run.orgs if told[org].integer("rows")]
    counts = run.summed("histogram", adding, 4 * judging.CELLS, 0).reshape(2, 2, judging.CELLS)
    middles = (np.arange(judging.CELLS) + 0.5) / judging.CELLS * 2 * judging.REACH - judging.REACH
    return Judged(*(Counted(middles, part.sum(axis=0), part[1], {}) for part in counts))
