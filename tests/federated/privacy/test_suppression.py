"""Counts that somebody who knows who is counted may read: no label follows, by whatever way they are put together."""

from itertools import product

import numpy as np
import pytest

from federated.errors import AggregationFailed
from federated.privacy.attacks.cell_counts import certain_labels, largest_chance
from federated.privacy.vertical import suppression
from federated.privacy.vertical.suppression import Group, joined, may_be_read, of_segment, rungs_of, scarce


@pytest.fixture
def _tiny(monkeypatch):
    """Bounds that small tables meet, so that all of them can be tried."""
    monkeypatch.setattr(suppression, "LEAST_ROWS", 4)
    monkeypatch.setattr(suppression, "LEAST_OF_EACH", 2)


@pytest.mark.parametrize("sizes", [(7, 7, 7, 7), (8, 7, 9), (7, 12, 8), (6, 6, 6, 6)])
@pytest.mark.usefixtures("_tiny")
def test_who_knows_the_rule_and_what_it_released_knows_no_label(sizes):
    # All tables that the rule answers alike: in each cell some have a default, and some have one that paid.
    alike = {}
    for table in product(*(range(size + 1) for size in sizes)):
        found = joined(np.array(sizes), np.array(table))
        key = None if found is None else (tuple(found.block), tuple(found.defaults))
        alike.setdefault(key, []).append(table)
    assert len(alike) > 20
    for key, tables in alike.items():
        least, most = np.min(tables, axis=0), np.max(tables, axis=0)
        assert not np.any((least == sizes) | (most == 0)), (key, tables)


def test_cells_are_called_scarce_only_where_few_defaulted():
    rng, found = np.random.default_rng(3), 0
    for rate in np.linspace(0.02, 0.95, 60):
        rows = rng.integers(20, 40, 12)
        defaults = rng.binomial(rows, rate)
        blocks = joined(rows, defaults)
        if blocks is not None:
            few = scarce(blocks, rows)
            assert np.bincount(blocks.block[few], defaults[few], 1).max() < suppression.LEAST_OF_EACH
            found += few.sum()
    assert found > 30


def made_up(rng, cells, groups):
    """A segment's rows and defaults by group and cell; some groups are small, or of one class."""
    rows = rng.integers(0, 14, (groups, cells))
    rows[rng.integers(0, groups)] //= 4
    rate = rng.random((groups, 1)) * rng.random((1, cells))
    return rows, rng.binomial(rows, rate)


def known(rows, block, rungs, told):
    """Sums of labels that somebody knows who knows the cell and the group of each row."""
    cell, group = (np.concatenate([np.full(rows[g, c], x) for g, c in np.ndindex(*rows.shape) for x in [(c, g)[i]]])
                   for i in (0, 1))  # fmt: skip
    cell, group = cell.astype(int), group.astype(int)
    sums = [(np.flatnonzero(block.block[cell] == k), int(d)) for k, d in enumerate(block.defaults)]
    for name, (_, defaults) in told.groups.items():
        own = group == int(name)
        sums += [(np.flatnonzero(own & (rungs[told.rung][cell] == k)), int(d)) for k, d in enumerate(defaults)]
    return len(cell), sums


def test_no_label_follows_from_blocks_and_a_segment_beside_them():
    rng = np.random.default_rng(7)
    released, withheld, before = 0, 0, 0
    for _ in range(60):
        rows, defaults = made_up(rng, 8, 4)
        of_all = rows.sum(axis=0), defaults.sum(axis=0)
        pooled = joined(*of_all)
        if pooled is None:
            continue
        rungs = rungs_of(pooled.block)
        groups = {str(g): Group(rows[g], defaults[g]) for g in range(4)}
        told = of_segment(pooled, of_all[0], rungs, groups)
        count, sums = known(rows, pooled, rungs, told)
        assert certain_labels(count, sums) == 0
        assert largest_chance(sums) < 1.0
        released, withheld = released + len(told.groups), withheld + 4 - len(told.groups)
        # The same counts as they were told before: by cell, and by group in each cell.
        by_cell = suppression.Blocks(np.arange(8), of_all[1])
        bare = suppression.GroupBlocks(0, {str(g): (rows[g], defaults[g]) for g in range(4)})
        before += certain_labels(*known(rows, by_cell, [np.arange(8)], bare))
    assert min(released, withheld) > 20
    assert before > 1_000


def test_a_withheld_group_does_not_follow_by_subtraction():
    rows, defaults = np.array([[40, 40], [40, 40], [15, 10]]), np.array([[6, 9], [7, 8], [2, 0]])
    rungs = np.array([[0, 1], [0, 0]])
    of_all = rows.sum(axis=0)
    pooled = joined(of_all, defaults.sum(axis=0))
    groups = {str(g): Group(rows[g], defaults[g]) for g in range(3)}
    told = of_segment(pooled, of_all, rungs, groups)
    # The third has two defaults; were both others told, it would be what is left of all.
    assert (told.rung, set(told.groups)) == (1, {"0"})
    rest = [total - told.groups["0"][i].sum() for i, total in enumerate((of_all.sum(), defaults.sum()))]
    assert may_be_read(*(np.array([x]) for x in rest))


def test_a_group_that_is_nearly_a_block_is_counted_in_wider_bands():
    # All of the first group lies in the first block: both counts together would say that nobody else there defaulted.
    rows, defaults = np.array([[20, 0, 20], [20, 40, 20]]), np.array([[6, 0, 4], [0, 6, 4]])
    rungs = np.array([[0, 0, 1], [0, 0, 0]])
    of_all = rows.sum(axis=0)
    pooled = joined(of_all, defaults.sum(axis=0))
    assert pooled.block.tolist() == [0, 1, 2]
    groups = {str(g): Group(rows[g], defaults[g]) for g in range(2)}
    told = of_segment(pooled, of_all, rungs, groups)
    assert told.rung == 1
    assert certain_labels(*known(rows, pooled, rungs, told)) == 0
    fine = suppression.GroupBlocks(
        0, {"0": (np.array([20, 20]), np.array([6, 4])), "1": (np.array([60, 20]), np.array([6, 4]))}
    )
    assert certain_labels(*known(rows, pooled, rungs, fine)) == 20


def test_counts_that_cannot_be_are_refused():
    with pytest.raises(AggregationFailed, match="more customers are said to have defaulted"):
        joined(np.array([20, 20]), np.array([3, 21]))
    pooled = joined(np.array([40]), np.array([9]))
    with pytest.raises(AggregationFailed, match="more rows than there are"):
        of_segment(pooled, np.array([40]), np.array([[0]]), {"0": Group(np.array([41]), np.array([9]))})
    assert joined(np.array([40]), np.array([2])) is None
