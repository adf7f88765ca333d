"""Which counts of defaults may be read by somebody who knows who is counted: none that is small or of one class.

Cells are in order of the score, and whoever reads what is released knows the cell of each customer. Cells are joined
to blocks, each with at least `LEAST_ROWS` rows and `LEAST_OF_EACH` of either class. Guarantee, of pooled blocks and of
the groups of one segment beside them: to somebody who knows the cell and the group of each row, both labels of every
row stay possible. Blocks, and groups by band, are two partitions of the rows; where a table of such sums has a solution
that lies strictly between none and all in each crossing, it has whole-numbered ones with either label of each row,
since the sums' matrix is totally unimodular (Hoffman, Kruskal, "Integral boundary points of convex polyhedra", 1956).
`_open_to_both` solves for such a solution, and a segment without one is counted in wider bands, or not released.

Where blocks end depends on labels, and who knows the rule could reckon back (minimality attack: Wong et al., VLDB
2007). So a block ends only at a cell that could hold all of the block's rarer class: then the cells before it may have
none of it or some, and the last one all of it or less. A test tries all tables of small cells.

A group that is withheld is a difference of what is released, so it is held to the same rule as one; where it fails, the
smallest other group is withheld with it. What is inherent: of a block of which a share p defaulted each row did with
probability p, so 3 defaults of 100 rows say of each row with 97 % that it paid. Not proven: several segments beside one
another, to somebody who knows all of them of each row (an attack tries it), and what it says of a segment that it is
counted by a coarser rung.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import coo_array, csr_array, vstack

from federated.errors import AggregationFailed

Counts = NDArray[np.int64]
LEAST_ROWS, LEAST_OF_EACH = 20, 3
# Bands by which groups are counted, from fine to one for all.
RUNGS = (8, 4, 2, 1)
# Rows that a solution has to keep away from none and all: above what the solver takes for nothing.
LEAST_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class Blocks:
    """`block` (cells,) of each cell, rising; `defaults` (blocks,)."""

    block: Counts
    defaults: Counts


@dataclass(frozen=True, slots=True)
class Group:
    """Rows and defaults of one group, (cells,) each."""

    rows: Counts
    defaults: Counts


@dataclass(frozen=True, slots=True)
class GroupBlocks:
    """What is released of a segment: rows and defaults of each group, (bands,) each, by the bands of `rung`."""

    rung: int
    groups: Mapping[str, tuple[Counts, Counts]]


def may_be_read(rows: Counts, defaults: Counts) -> bool:
    """Whether each of these counts is none at all, or neither small nor of one class."""
    enough = (rows >= LEAST_ROWS) & (defaults >= LEAST_OF_EACH) & (rows - defaults >= LEAST_OF_EACH)
    return bool(np.all(enough | ((rows == 0) & (defaults == 0))))


def joined(rows: Counts, defaults: Counts) -> Blocks | None:
    """Blocks of neighbouring cells, (cells,) each; None where all of them together may not be read.

    Raises `AggregationFailed` for impossible counts.
    """
    if np.any(defaults < 0) or np.any(defaults > rows):
        raise AggregationFailed("more customers are said to have defaulted than there are")
    if not rows.any() or not may_be_read(rows.sum(keepdims=True), defaults.sum(keepdims=True)):
        return None
    ends, start = [0], 0
    for cell in range(len(rows)):
        n, bad = (counts[start : cell + 1].sum(keepdims=True) for counts in (rows, defaults))
        if may_be_read(n, bad) and min(bad[0], n[0] - bad[0]) <= rows[cell]:
            ends.append(cell + 1)
            start = cell + 1
    # Cells that are left over belong to the last block.
    ends = [*ends[1:-1], len(rows)]
    block = np.searchsorted(ends, np.arange(len(rows)), side="right").astype(np.int64)
    return Blocks(block, _by(block, defaults))


def scarce(blocks: Blocks, rows: Counts) -> NDArray[np.bool_]:
    """Cells (cells,) before the last of a block, of whose rows fewer than `LEAST_OF_EACH` defaulted, by the rule.

    Else the block would have ended before. Nothing is said of the last block, to which left-over cells belong, nor of
    one where it may be customers who paid that were few.
    """
    last = np.r_[np.diff(blocks.block) > 0, False]
    before = _by(blocks.block, np.where(last, 0, rows))
    told = blocks.defaults <= before - LEAST_OF_EACH
    told[-1] = False
    return np.asarray(told[blocks.block] & ~last)


def rungs_of(block: Counts) -> Counts:
    """Bands (rungs, cells) of whole blocks: `RUNGS` equal ones, from fine to one."""
    blocks = int(block[-1]) + 1
    return np.stack([block * min(parts, blocks) // blocks for parts in RUNGS])


def of_segment(pooled: Blocks, rows: Counts, rungs: Counts, groups: Mapping[str, Group]) -> GroupBlocks:
    """What may be read of a segment's groups beside `pooled`, by the finest of `rungs` (rungs, cells) that allows it.

    `rows` (cells,) are everybody's. Only by the coarsest rung are groups withheld, at worst all. Raises
    `AggregationFailed` for groups that have more rows than there are.
    """
    members = {name: group for name, group in sorted(groups.items()) if group.rows.any()}
    if np.any(rows < sum((group.rows for group in members.values()), np.zeros_like(rows))):
        raise AggregationFailed("groups have more rows than there are")
    for rung, bands in enumerate(rungs):
        table = {name: (_by(bands, g.rows), _by(bands, g.defaults)) for name, g in members.items()}
        every = _by(bands, rows), _by(_by(pooled.block, bands, first=True), pooled.defaults)
        kept = _complemented([name for name, counts in table.items() if may_be_read(*counts)], table, *every)
        if len(kept) < len(table) and rung < len(rungs) - 1:
            continue
        parts = [members[name].rows for name in kept]
        sums = [table[name][1] for name in kept]
        parts.append(rows - sum(parts, np.zeros_like(rows)))
        sums.append(every[1] - sum(sums, np.zeros_like(every[1])))
        if kept and _open_to_both(pooled, bands, parts, sums):
            return GroupBlocks(rung, {name: table[name] for name in kept})
    return GroupBlocks(len(rungs) - 1, {})


def _complemented(
    kept: list[str], table: Mapping[str, tuple[Counts, Counts]], rows: Counts, defaults: Counts
) -> list[str]:
    """Groups of which the rest, a difference of what is released, may be read too: the smallest are withheld for it."""
    kept = sorted(kept, key=lambda name: -int(table[name][0].sum()))
    while kept:
        rest = [
            total - sum((table[name][i] for name in kept), np.zeros_like(total))
            for i, total in ((0, rows), (1, defaults))
        ]
        if may_be_read(*rest):
            break
        kept.pop()
    return kept


def _by(key: Counts, values: Counts, *, first: bool = False) -> Counts:
    """Sums of `values` by `key`, which rises from 0 by ones; or the first of them."""
    if first:
        return np.asarray(values[np.r_[True, np.diff(key) > 0]], dtype=np.int64)
    return np.bincount(key, values, int(key[-1]) + 1).astype(np.int64)


def _open_to_both(pooled: Blocks, bands: Counts, parts: list[Counts], sums: list[Counts]) -> bool:
    """Whether a table of defaults by part and block fits all sums and is none and all in no crossing of both."""
    wide = int(bands[-1]) + 1
    sizes = np.stack([_by(pooled.block, part) for part in parts])
    part, block = np.nonzero(sizes)
    crossed = part * wide + _by(pooled.block, bands, first=True)[block]
    return slack(
        sizes[part, block].astype(np.float64),
        [(np.flatnonzero(block == k), float(d)) for k, d in enumerate(pooled.defaults)]
        + [(np.flatnonzero(crossed == k), float(d)) for k, d in enumerate(np.concatenate(sums))],
    )


def slack(sizes: NDArray[np.float64], sets: list[tuple[Counts, float]]) -> bool:
    """Whether numbers between 0 and `sizes` have these sums over `sets` and are all strictly between."""
    count = len(sizes)
    member = coo_array(
        (np.ones(sum(len(at) for at, _ in sets)),
         (np.repeat(np.arange(len(sets)), [len(at) for at, _ in sets]), np.concatenate([at for at, _ in sets]))),
        shape=(len(sets), count + 1),
    )  # fmt: skip
    each, last = np.arange(count), np.full(count, count)
    ones = np.ones(count)
    # t ≤ x and x ≤ size − t, with t the last unknown.
    above = coo_array((np.r_[-ones, ones], (np.r_[each, each], np.r_[each, last])), shape=(count, count + 1))
    below = coo_array((np.r_[ones, ones], (np.r_[each, each], np.r_[each, last])), shape=(count, count + 1))
    found = linprog(
        np.r_[np.zeros(count), -1.0],
        A_ub=csr_array(vstack([above, below])),
        b_ub=np.r_[np.zeros(count), sizes],
        A_eq=csr_array(member),
        b_eq=np.array([d for _, d in sets]),
        bounds=[(0.0, None)] * count + [(0.0, 0.5)],
    )
    return bool(found.status == 0 and found.x[-1] > LEAST_SLACK)
