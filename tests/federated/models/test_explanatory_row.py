"""Everything in a reason but the weights: held against tables of the same function, for whatever basis."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.models.encoding.binning import merge_bins
from federated.models.encoding.random_leaves import RandomLeaves, interval_trees, joined, random_trees
from federated.models.encoding.sketch import sketch
from federated.models.served.explanatory import ExplanatoryRow
from federated.models.served.tables import tabulated


def basis_of(seed, features=4, trees=12, depth=2, ramps=8, rows=400):
    """A random basis with a constant, a rare and a coarse column, and rows with missing values."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, features))
    values[:, 0] = np.round(values[:, 0])
    if features > 3:
        values[:, 3] = 1.0
    values[rng.random(values.shape) < 0.1] = np.nan
    binning, encoder = merge_bins([sketch(values)], 32, ramps, [f"x{j}" for j in range(features)], "grid")
    ranks = np.nanquantile(values, np.linspace(0.05, 0.95, 19), axis=0).T
    basis = RandomLeaves(encoder, binning, random_trees(binning, ranks, trees, depth, seed))
    return values, basis


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), depth=st.integers(1, 2), features=st.integers(1, 6))
def test_weights_times_entries_are_the_contributions_of_the_tables(seed, depth, features):
    values, basis = basis_of(seed, features, depth=depth)
    rng = np.random.default_rng(seed)
    gamma = rng.normal(size=basis.width)
    reference = np.nan_to_num(values[int(rng.integers(len(values)))])
    # Values on the edges, beyond them and between.
    values = np.vstack([values[:20], 3.0 * values[20:25], [[c[0] if len(c) else 0.0 for c in basis.binning.cuts]]])
    parts = [(1.0, each) for each in basis.functions(gamma)]
    tables, row = tabulated(parts, basis.binning, reference), ExplanatoryRow(basis, reference)
    at_reference = row.at_reference @ gamma
    assert at_reference == pytest.approx(tables.logits(reference[None])[0], abs=1e-9)
    for each in values:
        entries = row.of(each)
        assert np.abs(entries).max() <= 1.0
        contributions = row.by_feature(entries * gamma[row.column])
        logit, expected = tables.explain(each)
        np.testing.assert_allclose(contributions, expected, atol=1e-9)
        assert at_reference + contributions.sum() == pytest.approx(logit, abs=1e-9)


def test_a_leaf_of_a_tree_on_one_feature_has_one_entry():
    values, basis = basis_of(4)
    trees = interval_trees(basis.binning, 8)
    alone = RandomLeaves(basis.encoder, basis.binning, trees)
    both = RandomLeaves(basis.encoder, basis.binning, joined(basis.trees, trees))
    reference = np.nan_to_num(values[3])
    ramps = sum(len(edges) for edges in basis.encoder.edges)
    assert len(ExplanatoryRow(alone, reference)) == ramps + 3 * len(trees.feature)
    gamma = np.random.default_rng(1).normal(size=both.width)
    tables = tabulated([(1.0, each) for each in both.functions(gamma)], both.binning, reference)
    row = ExplanatoryRow(both, reference)
    for each in values[:40]:
        np.testing.assert_allclose(row.by_feature(row.of(each) * gamma[row.column]), tables.explain(each)[1], atol=1e-9)


def test_nodes_that_are_not_split_or_ask_the_same_again_are_explained_too():
    values, basis = basis_of(3)
    basis.trees.feature[0, 1] = -1
    basis.trees.feature[1, :] = -1
    basis.trees.feature[2, 1:] = basis.trees.feature[2, 0]
    gamma, reference = np.random.default_rng(1).normal(size=basis.width), np.nan_to_num(values[5])
    tables = tabulated([(1.0, each) for each in basis.functions(gamma)], basis.binning, reference)
    row = ExplanatoryRow(basis, reference)
    for each in values[:40]:
        np.testing.assert_allclose(row.by_feature(row.of(each) * gamma[row.column]), tables.explain(each)[1], atol=1e-9)


def test_deeper_trees_and_another_reference_are_refused():
    _, basis = basis_of(1, depth=3)
    with pytest.raises(ValueError, match="no exact reasons"):
        ExplanatoryRow(basis, np.zeros(4))
    _, basis = basis_of(1)
    with pytest.raises(ValueError, match="came for 4 features"):
        ExplanatoryRow(basis, np.zeros(3))


def test_a_row_takes_a_fifth_of_a_millisecond():
    values, basis = basis_of(2, features=15, trees=300, ramps=16, rows=3_000)
    row, took = ExplanatoryRow(basis, np.nan_to_num(values[0])), []
    for each in values[:400]:
        started = time.perf_counter()
        row.of(each)
        took.append(time.perf_counter() - started)
    # The least of many: this machine does other things as well.
    assert min(took) <= 2e-4
