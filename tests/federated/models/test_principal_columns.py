"""Few columns in place of many: the same function, the same prior, and the directions in which it varies most."""

import numpy as np
import pytest

from federated.models.encoding.binning import merge_bins
from federated.models.encoding.principal import FARTHEST, principal
from federated.models.encoding.random_leaves import RandomLeaves, random_trees
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
    return values, basis, columns, principal(basis, columns.T @ columns, 9, LEAF_RIDGE)


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
    whole = basis.penalty(3.0, 3.0 * LEAF_RIDGE)[1:] @ coefficients[1:] ** 2
    assert few.penalty(3.0) @ beta**2 == pytest.approx(whole, rel=1e-6)


def test_no_other_columns_of_as_many_keep_more_of_what_the_prior_lets_vary(made):
    _, basis, columns, few = made
    scaled = columns[:, 1:] / np.sqrt(basis.penalty(1.0, LEAF_RIDGE)[1:])
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
    few = principal(basis, columns.T @ columns, 3, LEAF_RIDGE)
    assert 1 <= few.width <= 3
    assert np.isfinite(few.directions).all()
    assert few.columns(same) == pytest.approx(0.0, abs=1e-3)
