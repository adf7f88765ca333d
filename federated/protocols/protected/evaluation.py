"""Held-out figures of a protected model: from scores that the operator sums, and labels it never sees.

The operator puts rows into cells of equal mass by their summed logit, at least `LEAST_CELL` rows each. Defaults by cell
are counted on shares and added up securely (`privacy.vertical.counting`), behind masks that only one bank takes off,
the reader: it does not know whose score is where. It joins cells to blocks that give no label away
(`privacy.vertical.suppression`), and tells the operator the counts of these alone.

Figures are means over `DRAWS` ways in which the counted defaults may lie among the rows of their blocks (multiple
imputation: Rubin, "Multiple Imputation for Nonresponse in Surveys", 1987): more likely where the score is higher, with
the slope that the blocks themselves show, and such that blocks end where they did. So a figure claims no ranking that
blocks do not bear out, and keeps the spread that single rows have. Rows of a group are spread in the same way
over the rows of their band.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from federated.errors import AggregationFailed, NoOverlap
from federated.models.encoding.binning import IntArray
from federated.models.encoding.ramps import FloatArray
from federated.models.served.calibration import Calibration, platt
from federated.models.served.metrics import ScoreHistogram
from federated.privacy.vertical.counting import Counter, Layout
from federated.privacy.vertical.curve import REACH
from federated.privacy.vertical.dealer import KEY_BYTES, dealer_of
from federated.privacy.vertical.ring import Ring, floating
from federated.privacy.vertical.suppression import LEAST_OF_EACH, Blocks, rungs_of, scarce
from federated.protocols.core.messages import Arrays, Content, Values
from federated.protocols.protected import judging
from federated.protocols.protected.dealing import GROUPS, JUDGING
from federated.protocols.protected.operator import ProtectedTraining
from federated.protocols.protected.shuffling import SCORE_BITS
from federated.protocols.protected.state import HISTOGRAM, Pair

LEAST_CELL = 20
DRAWS = 40
BISECTIONS = 60


@dataclass(frozen=True, slots=True)
class Group:
    """One group: `band` (rows,) of everybody's rows, its own `rows`, `defaults` and rows below the cut-off by band.

    `members` are its rows where the operator knows them: a bank's.
    """

    band: IntArray
    rows: IntArray
    defaults: IntArray
    lower: IntArray
    members: IntArray | None = None


Groups = dict[tuple[str, str], Group]


@dataclass(frozen=True, slots=True)
class Counted:
    """Rows in blocks, and how many of a block defaulted.

    `logit` and `block` (rows,), `defaults` (blocks,), `owner` (rows,) the number of the bank, 0 where the operator does
    not know it, `lower` (rows,) whether the logit is below the cut-off. `scarce` (rows,)
    are rows of whose block's defaults the rule that joins cells leaves them few. `groups` are by segment and name.
    """

    logit: FloatArray
    block: IntArray
    defaults: IntArray
    owner: IntArray
    lower: NDArray[np.bool_]
    scarce: NDArray[np.bool_]
    groups: Groups = field(default_factory=dict)

    @property
    def rows(self) -> IntArray:
        """Rows by block."""
        return np.asarray(np.bincount(self.block, minlength=len(self.defaults)), dtype=np.int64)

    def chances(self) -> FloatArray:
        """Probability (rows,) that a row is one of the defaults counted in its block; they add up to these.

        Where there is one block, which shows no slope, the model is taken at its word: a calibration then moves the
        level alone.
        """
        rows = self.rows
        used = rows > 0
        slope = 1.0
        if used.sum() > 1:
            means = np.bincount(self.block, self.logit, len(rows))[used] / rows[used]
            bad = self.defaults[used].astype(np.float64)
            line = platt(ScoreHistogram.weighted(np.asarray(means), rows[used] - bad, bad))
            slope = line.slope if line.method == "platt" else 0.0
        low, high = np.full(len(rows), -80.0), np.full(len(rows), 80.0)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            p = 1.0 / (1.0 + np.exp(-(slope * self.logit + middle[self.block])))
            more = np.bincount(self.block, p, len(rows)) > self.defaults
            low, high = np.where(more, low, middle), np.where(more, middle, high)
        return np.asarray(1.0 / (1.0 + np.exp(-(slope * self.logit + low[self.block]))), dtype=np.float64)

    def expected(self) -> ScoreHistogram:
        """Counts at rows' logits, each row in part a default: as often as it is drawn as one."""
        p = np.asarray(np.mean(self.drawn(0), axis=0), dtype=np.float64)
        return ScoreHistogram.weighted(self.logit, 1.0 - p, p)

    def drawn(self, seed: int, draws: int = DRAWS) -> list[IntArray]:
        """Labels (rows,) that have the counted defaults, several times, drawn by chance."""
        rng, odds = np.random.default_rng(seed), self.odds()
        return [_allotted(rng, odds, self.block, self.defaults, self.scarce) for _ in range(draws)]

    def odds(self) -> FloatArray:
        """Log-odds (rows,) of `chances`."""
        p = np.clip(self.chances(), 1e-12, 1.0 - 1e-12)
        return np.asarray(np.log(p) - np.log1p(-p), dtype=np.float64)

    def histograms(
        self, calibration: Calibration, labels: IntArray, odds: FloatArray, seed: int
    ) -> dict[tuple[str, str], ScoreHistogram]:
        """Of these labels at calibrated logits, for ("all", "0") and for each group, with labels drawn for its own.

        Unknown rows of a group are drawn from its bands, as many below and above the cut-off as it has there.
        """
        logits, rng, ranked = calibration(self.logit), np.random.default_rng(seed), np.argsort(self.logit)
        found = {("all", "0"): ScoreHistogram.of(logits, labels)}
        for name, group in self.groups.items():
            own = group.members
            if own is None:
                wanted = ((self.lower, group.lower), (~self.lower, group.rows - group.lower))
                own = np.concatenate(
                    [
                        rng.permutation(ranked[(side & (group.band == k))[ranked]])[:count]
                        for side, counts in wanted
                        for k, count in enumerate(counts.tolist())
                    ]
                )
            found[name] = ScoreHistogram.of(logits[own], _allotted(rng, odds[own], group.band[own], group.defaults))
        return found

    def sums(self, banks: Sequence[str]) -> list[tuple[IntArray, int]]:
        """What the operator knows of labels: rows of whom it has a count, and how many of them defaulted."""
        known = [(np.flatnonzero(self.block == k), int(count)) for k, count in enumerate(self.defaults)]
        for (segment, name), group in self.groups.items():
            if segment == "bank":
                own = self.owner == list(banks).index(name)
                known += [
                    (np.flatnonzero(own & (group.band == k)), int(count)) for k, count in enumerate(group.defaults)
                ]
        return known


def _allotted(
    rng: np.random.Generator,
    odds: FloatArray,
    block: IntArray,
    defaults: IntArray,
    scarce: NDArray[np.bool_] | None = None,
) -> IntArray:
    """Labels (rows,) of which so many a block are defaults, likelier of rows with higher odds (Plackett, Luce).

    Of the `scarce` rows of a block fewer than `LEAST_OF_EACH` are.
    """
    # Rows come in an order of chance, which the draw is not to depend on.
    ranked = np.lexsort((odds, block))
    keys = np.empty(len(odds))
    keys[ranked] = odds[ranked] + rng.gumbel(size=len(odds))
    if scarce is not None:
        few = np.flatnonzero(scarce)
        keys[few[_place(keys[few], block[few]) >= LEAST_OF_EACH - 1]] = -np.inf
    return np.asarray(_place(keys, block) < defaults[block], dtype=np.int64)


def _place(keys: FloatArray, block: IntArray) -> IntArray:
    """Place (rows,) of each row among those of its block, from 0, the highest key first."""
    order = np.lexsort((-keys, block))
    place = np.empty(len(keys), dtype=np.int64)
    place[order] = np.arange(len(keys)) - np.searchsorted(block[order], block[order])
    return place


def judged(run: ProtectedTraining, segments: Sequence[tuple[str, str, str]], cut_off: float) -> Counted:
    """Count a fitted model's held-out rows. `segments` are groups as (segment, group number, role of who has the
    column).

    No cell holds logits on both sides of `cut_off`. Raises what a node refuses with (the reader refuses where too few
    rows are held out), `AggregationFailed`.
    """
    if not run.joint:
        return _alone(run)
    theirs = [f"{segment}/{group}" for segment, group, role in segments if role == "grid"]
    logits, banks = _shuffled(run, theirs), list(run.session.banks.orgs)
    if not logits:
        raise NoOverlap("of customers whom a bank shares with a grid company nobody is held out")
    whole = np.concatenate([*logits.values()])
    owner = np.repeat([banks.index(bank) for bank, _ in logits], [len(part) for part in logits.values()])
    edges = _edges(whole, cut_off)
    below = int(_cell(edges, np.array([cut_off]))[0]) if cut_off in edges else 0
    places = {pair: _cell(edges, part) for pair, part in logits.items()}
    told, cell = _released(run, segments, places, len(edges) + 1, below), _cell(edges, whole)
    blocks = Blocks(*(np.asarray(told.arrays[what], dtype=np.int64) for what in ("block", "defaults")))
    few = scarce(blocks, np.bincount(cell, minlength=len(edges) + 1))
    counted = Counted(whole, blocks.block[cell], blocks.defaults, owner, whole < cut_off, few[cell])
    groups, rungs = dict[tuple[str, str], Group](), rungs_of(blocks.block)
    for key, both in told.under("group").items():
        segment, _, group = key.partition("/")
        counts = np.asarray(both, dtype=np.int64)
        known = np.flatnonzero(owner == banks.index(group)) if segment == "bank" else None
        band = rungs[told.integer(f"rung/{segment}")][cell]
        groups[segment, group] = Group(band, counts[0], counts[1], counts[2], known)
    return replace(counted, groups=groups)


def _cell(edges: FloatArray, logits: FloatArray) -> IntArray:
    """The cell of each logit."""
    return np.asarray(np.searchsorted(edges, logits, side="right"), dtype=np.int64)


def _released(
    run: ProtectedTraining,
    segments: Sequence[tuple[str, str, str]],
    places: Mapping[Pair, IntArray],
    cells: int,
    below: int,
) -> Content:
    """What the reader releases of so many `cells`, the first `below` of them below the cut-off.

    Who defaulted is known to banks. Who is in a group of a grid company's column came to both sides on shares, with
    scores; its product with defaults is computed on shares too, and each side's shares are counted.
    """
    banks, grids = run.session.banks.orgs, run.session.sides[1].orgs
    ours = [(s, g) for s, g, role in segments if role == "bank"] + [("bank", bank) for bank in banks]
    theirs = [(s, g) for s, g, role in segments if role == "grid"]
    products = [f"{s}/{g}/product" for s, g in theirs]
    shared = [*(f"{s}/{g}/rows" for s, g in theirs), *products]
    names = ["rows", "defaults", *(f"{s}/{g}/{what}" for s, g in ours for what in ("rows", "defaults")), *shared]
    totals = {"bank": _counted(run, places, Layout(cells, tuple(names)), banks, grids)}
    if theirs:
        layout = Layout(cells, tuple(shared))
        totals["grid"] = _counted(run, places, layout, grids, banks)
    arrays: Arrays = {f"total/{held_by}": total for held_by, total in totals.items()}
    request = Content(arrays, {"below": below, "masked": sorted({grid for _, grid in places})})
    reader = min(banks)
    return run.ask("release", {reader: request})[reader]


def _multiply(run: ProtectedTraining, rows: Mapping[Pair, int], names: list[str]) -> None:
    """Have both sides of every pair keep shares of its labels times its members of groups."""
    run.multiply("multiply", GROUPS, rows, len(names), {"groups": list(names)})


def _edges(logits: FloatArray, cut_off: float) -> FloatArray:
    """Where cells of at least `LEAST_CELL` rows end; the cut-off is one, if enough rows lie on both sides of it."""
    below, above = np.sort(logits[logits < cut_off]), np.sort(logits[logits >= cut_off])
    edges = []
    for part in (below, above):
        inner = np.arange(1, max(len(part) // LEAST_CELL, 1))
        edges.append(part[(inner * len(part)) // max(len(part) // LEAST_CELL, 1)] if len(part) else part)
    apart = [cut_off] if min(len(below), len(above)) >= LEAST_CELL else []
    return np.unique(np.concatenate([edges[0], apart, edges[1]]))


def _shuffled(run: ProtectedTraining, groups: list[str]) -> dict[Pair, FloatArray]:
    """Logits of rows held out, of each pair that has some, in an order of its bank's; members of groups of grid
    companies' columns, and defaults among them, come into that order too, on shares."""
    rows = {pair: len(run.evaluated(pair)) for pair in run.marks}
    rows = {pair: count for pair, count in rows.items() if count}
    if groups:
        _multiply(run, rows, groups)
    told = run.begun(JUDGING, rows)
    config: dict[str, Values] = {"groups": list(groups), "width": run.bases[1].width + run.products}
    points = run.resting()
    hidden = run.ask("shuffle", {org: Content(points.get(org, {}), config | told[org]) for org in run.orgs})
    dealt = run.dealt(hidden, run.dealing.shuffled(run.bases[1].width + run.products, 1 + 2 * len(groups)), rows)
    banks, grids = (side.orgs for side in run.session.sides)
    asked = run.across(hidden, "hidden", rows, dealt)
    passed = run.ask("pass_on", {org: content for org, content in asked.items() if org in grids})
    masked = run.across(passed, "masked", rows)
    both = {org: Content({**asked[org].arrays, **masked[org].arrays}) for org in asked if org in banks}
    answers = passed | run.ask("tell", both)
    logits = {}
    for bank, grid in rows:
        ours, theirs = (np.asarray(answers[a].array(f"scores/{b}")) for a, b in ((bank, grid), (grid, bank)))
        if not ours.shape == theirs.shape == (rows[bank, grid],):
            raise AggregationFailed(f"{bank} and {grid} gave scores of {ours.shape} and {theirs.shape} rows")
        logits[bank, grid] = REACH * floating(ours.astype(np.uint64) + theirs.astype(np.uint64), SCORE_BITS)
    return logits


def _counted(
    run: ProtectedTraining,
    places: Mapping[Pair, IntArray],
    layout: Layout,
    holders: Sequence[str],
    others: Sequence[str],
) -> Ring:
    """Counts of `layout` over all pairs, modulo 2^64, behind grid companies' masks."""
    config: dict[str, Values] = {"cells": layout.cells, "vectors": list(layout.names)}
    keys = {pair: secrets.token_bytes(KEY_BYTES) for pair in places}
    dealers = {pair: _dealers(run, pair, holders) for pair in places}
    told = run.rows_told({pair: len(place) for pair, place in places.items()})
    for pair, names in dealers.items():
        for name in names:
            told[name][f"key/{'/'.join(pair)}"] = keys[pair]
    held_by: dict[str, Values] = {"held_by": "bank" if holders == run.session.banks.orgs else "grid"}
    asked = sorted({*others, *(name for names in dealers.values() for name in names)})
    dealt = run.ask("deal", {org: Content(config=config | held_by | told[org]) for org in asked})
    first = min(others)
    counters: dict[Pair, Counter] = {}
    requests: dict[str, Arrays] = {holder: {f"tag/{first}": dealt[first].arrays[f"tag/{holder}"]} for holder in holders}
    for pair, place in places.items():
        holder, other = pair if pair[0] in requests else pair[::-1]
        counters[holder, other] = Counter(place, *layout.shape, keys[pair], len(dealers[pair]))
        requests[holder][f"hidden/{other}"] = counters[holder, other].hidden
        for number, name in enumerate(dealers[pair]):
            requests[holder][f"dealt/{other}/{number}"] = dealt[name].arrays[f"dealt/{'/'.join(pair)}"]
    answers = run.ask("count", {holder: Content(arrays, config) for holder, arrays in requests.items()})
    total = np.zeros(layout.shape, dtype=np.uint64)
    for (holder, other), counter in counters.items():
        total = total + counter.own(np.asarray(answers[holder].arrays[f"opened/{other}"], dtype=np.uint64))
    adding = [org for org in holders if any(holder == org for holder, _ in counters)]
    return np.asarray(total.ravel() + run.ring_summed("counts", adding, total.size))


def _dealers(run: ProtectedTraining, pair: Pair, holders: Sequence[str]) -> list[str]:
    """Who deals for a pair's counts: the one that holds no vectors, and a third node if there is one."""
    third = dealer_of(*pair, run.orgs)
    return [next(name for name in pair if name not in holders), *([third] if third else [])]


def _alone(run: ProtectedTraining) -> Counted:
    """Banks only: each counts its own logits in fixed cells, the counts are added up securely behind the lead's mask,
    and the lead joins cells to blocks that give no label away: of a customer who is scored later the logit is told."""
    points = run.resting()
    counted = run.ask("histogram", {org: Content(points.get(org, {})) for org in run.orgs})
    adding = [org for org in run.orgs if org == run.lead or counted[org].integer("rows")]
    total = run.ring_summed(HISTOGRAM, adding, 2 * judging.CELLS)
    read = run.ask("blocks", {run.lead: Content({"total": total})})[run.lead].arrays
    middles = (np.arange(judging.CELLS) + 0.5) / judging.CELLS * 2 * judging.REACH - judging.REACH
    rows, group, block, defaults = (
        np.asarray(read[of], dtype=np.int64) for of in ("rows", "group", "block", "defaults")
    )
    few = scarce(Blocks(block, defaults), np.bincount(group, rows).astype(np.int64))
    logit, at = np.repeat(middles, rows), np.repeat(group, rows)
    unknown = np.zeros(len(logit), dtype=np.int64)
    return Counted(logit, block[at], defaults, unknown, logit < 0.0, few[at])
