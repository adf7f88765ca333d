"""Few columns in place of many: the same function, the same prior, and the directions in which it varies most."""

import numpy as np
import pytest

from federated.models.encoding.binning import merge_bins
from federated.models.encoding.principal import FARTHEST, principal
from federated.models.encoding.random_leaves import RandomLeaves, interval_trees, joined, random_trees
from federated.models.encoding.sketch import sketch

ROWS, FEATURES = 900, 4
LEAF_RIDGE = 12.0


@pytest.fixture(scope="module")
def made():
    rng = np.random.default_rng(5)
    values = rng.normal(size=(ROWS, FEATURES))
    values[:, 1] += values[:, 0]
    values[rng.random((ROWS, FEATURES)) < 0.05] = np.nan
    binning, encoder = merge_bins([sketch(values)], 64, 8, [f"x{j}" for j in range(FEATURES)], "grid")
    ranks = np.nanquantile(values, np.linspace(0.05, 0.95, 19), axis=0).T
    basis = RandomLeaves(encoder, binning, random_trees(binning, ranks, 20, 2, 1))
    columns = basis.columns(values).astype(np.float64)
    return (
        values,
        basis,
        columns,
        principal(basis, columns.T @ columns, basis.precision(2.0, LEAF_RIDGE), (9, 0), constant=False),
    )


def test_columns_are_uncorrelated_and_of_one_spread(made):
    values, _, _, few = made
    columns = few.columns(values)
    assert columns.shape == (ROWS, 9)
    assert np.abs(columns).max() <= 1.0
    assert columns.mean(axis=0) == pytest.approx(0.0, abs=1e-5)
    assert np.cov(columns.T, bias=True) == pytest.approx(np.eye(9) / FARTHEST**2, abs=1e-5)


def test_the_function_is_one_of_the_basis_with_the_same_penalty(made):
    values, basis, _, few = made
    beta = np.random.default_rng(2).normal(size=few.width)
    ramps, trees = few.functions(beta)
    of_functions = (ramps.member_logits(values) + trees.member_logits(values)).mean(axis=0)
    assert of_functions == pytest.approx(few.columns(values) @ beta, abs=1e-4)
    coefficients = few.directions @ beta
    whole = basis.precision(2.0, LEAF_RIDGE)[1:] @ coefficients[1:] ** 2
    assert few.relative @ beta**2 == pytest.approx(whole, rel=1e-6)


def test_no_other_columns_of_as_many_keep_more_of_what_the_prior_lets_vary(made):
    _, basis, columns, few = made
    scaled = columns[:, 1:] / np.sqrt(basis.precision(2.0, LEAF_RIDGE)[1:])
    scaled -= scaled.mean(axis=0)

    def left(kept):
        q, _ = np.linalg.qr(kept)
        return np.linalg.norm(scaled - q @ (q.T @ scaled)) ** 2

    own, rng = left(columns @ few.directions), np.random.default_rng(8)
    for _ in range(20):
        assert own < left(scaled[:, rng.permutation(scaled.shape[1])[:9]])
    assert own == pytest.approx(
        np.linalg.svd(scaled, compute_uv=False)[9:] @ np.linalg.svd(scaled, compute_uv=False)[9:]
    )


def test_columns_that_are_all_constant_have_one_that_says_nothing(made):
    values, basis, _, _ = made
    same = np.repeat(values[:1], 50, axis=0)
    columns = basis.columns(same).astype(np.float64)
    few = principal(basis, columns.T @ columns, basis.precision(2.0, LEAF_RIDGE), (3, 0), constant=False)
    assert 1 <= few.width <= 3
    assert np.isfinite(few.directions).all()
    assert few.columns(same) == pytest.approx(0.0, abs=1e-3)


def test_intervals_have_components_of_their_own_and_a_constant_comes_first(made):
    values, basis, _, _ = made
    both = RandomLeaves(basis.encoder, basis.binning, joined(basis.trees, interval_trees(basis.binning, 8)))
    columns = both.columns(values).astype(np.float64)
    found = principal(both, columns.T @ columns, both.precision(2.0, LEAF_RIDGE), (9, 5), constant=True)
    assert (found.parts, found.width, found.relative[0]) == ((10, 5), 15, 0.0)
    assert (found.columns(values)[:, 0] == 1.0).all()
    smooth, narrow = found.directions[:, 1:10], found.directions[:, 10:]
    assert not smooth[both.intervals].any()
    assert not np.delete(narrow, [0, *both.intervals], axis=0).any()


def test_trees_on_one_feature_set_neighbouring_cells_apart(made):
    values, basis, _, _ = made
    for cells in (1, 2, 3, 8):
        trees = interval_trees(basis.binning, cells)
        alone = RandomLeaves(basis.encoder, basis.binning, trees)
        assert len(alone.intervals) == 3 * len(trees.feature)
        for j in range(FEATURES):
            own = alone.columns(values)[:, alone.intervals][:, np.repeat(trees.feature[:, 0] == j, 3)]
            seen = basis.binning.coarse(cells).codes(values)[:, j]
            missing = np.isnan(values[:, j])
            told = {tuple(row) for row in own[~missing].astype(int).tolist()}
            # Whatever coarse cell somebody is in can be read off the leaves.
            assert len(told) == len(set(seen[~missing].tolist()))
