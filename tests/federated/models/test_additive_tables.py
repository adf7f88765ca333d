"""Tables say exactly what the blended functions say, and their reasons are the Shapley values."""

import itertools
import math

import numpy as np
import pytest

from federated.errors import ModelCorrupt
from federated.models.encoding.binning import merge_bins
from federated.models.encoding.sketch import sketch
from federated.models.learners.boosting import Trees
from federated.models.learners.convex import Basis
from federated.models.served.functions import ConvexFunction, TreeFunction
from federated.models.served.tables import AdditiveTables, tabulated

RNG = np.random.default_rng(4)
P = 5


def pair_tree(rng, size):
    """A tree of depth 2 whose paths use features a and b; the right half is not split."""
    a, b = rng.choice(P, 2, replace=False)
    feature, cut = np.array([a, b, -1]), rng.integers(0, size - 2, 3)
    return feature, cut, rng.random(3) < 0.5, rng.normal(size=4)


def functions():
    values = RNG.normal(size=(600, P)) * [1, 10, 1e6, 1, 1]
    values[:, 3] = RNG.integers(0, 3, 600)
    values[RNG.random(values.shape) < 0.1] = np.nan
    binning, encoder = merge_bins([sketch(values)], 20, 7, list("abcde"), "bank")
    basis = Basis(encoder, binning.coarse(4), ((0, 2), (1, 3)))
    convex = ConvexFunction(basis, RNG.normal(size=(3, basis.width)))
    parts = [pair_tree(RNG, binning.size) for _ in range(12)]
    trees = Trees(*(np.array([part[k] for part in parts]) for k in range(4)))
    boosted = TreeFunction(binning, trees, np.arange(12) % 3, 3, -0.7)
    return values, binning, encoder.reference, convex, boosted


def test_tables_are_the_blend():
    values, binning, reference, convex, boosted = functions()
    tables = tabulated([(0.3, convex), (0.6, boosted)], binning, reference, 0.05)
    expected = 0.05 + 0.3 * convex.member_logits(values).mean(axis=0) + 0.6 * boosted.member_logits(values).mean(axis=0)
    extreme = np.array([[1e12] * P, [-1e12] * P, [math.nan] * P])
    more = 0.05 + 0.3 * convex.member_logits(extreme).mean(axis=0) + 0.6 * boosted.member_logits(extreme).mean(axis=0)
    assert np.abs(tables.logits(values) - expected).max() < 1e-5
    assert np.abs(tables.logits(extreme) - more).max() < 1e-5
    again = AdditiveTables.from_arrays("t", tables.to_arrays("t"))
    assert np.array_equal(again.logits(values), tables.logits(values))


def test_contributions_are_the_shapley_values_against_the_reference():
    values, binning, reference, convex, boosted = functions()
    tables = tabulated([(0.5, convex), (0.5, boosted)], binning, reference)
    row = values[np.isnan(values).any(axis=1)][0]
    logit, found = tables.explain(row)
    exact = np.zeros(P)
    for order in itertools.permutations(range(P)):
        current = reference.copy()
        for j in order:
            before = tables.logits(current[None])[0]
            current[j] = row[j]
            exact[j] += (tables.logits(current[None])[0] - before) / math.factorial(P)
    assert logit == pytest.approx(tables.logits(row[None])[0])
    assert np.allclose(found, exact, atol=1e-9)
    assert found.sum() == pytest.approx(logit - tables.logits(reference[None])[0])
    assert np.allclose(tables.explain(reference)[1], 0.0)


def test_neutralising_the_strongest_adverse_reason_improves_the_score():
    values, binning, reference, convex, boosted = functions()
    tables = tabulated([(0.5, convex), (0.5, boosted)], binning, reference)
    better = 0
    for row in values[:200]:
        logit, found = tables.explain(row)
        neutral = row.copy()
        neutral[found.argmax()] = reference[found.argmax()]
        better += tables.logits(neutral[None])[0] < logit
    assert better >= 190


def test_broken_tables_are_refused():
    _, binning, reference, convex, boosted = functions()
    arrays = tabulated([(1.0, convex)], binning, reference).to_arrays("t")
    for name, value in (("cells", np.nan), ("bins", 10_000), ("knots", np.nan)):
        with pytest.raises(ModelCorrupt):
            AdditiveTables.from_arrays("t", {**arrays, f"t/{name}": np.full_like(arrays[f"t/{name}"], value, float)})
    with pytest.raises(ModelCorrupt):
        AdditiveTables.from_arrays("u", arrays)
    three = Trees(np.array([[0, 1, 2, 3, -1, -1, -1]]), np.zeros((1, 7), int), np.ones((1, 7), bool), np.ones((1, 8)))
    with pytest.raises(ValueError, match="more than two features"):
        tabulated([(1.0, TreeFunction(binning, three, np.array([0]), 1, 0.0))], binning, reference)
    assert boosted.members == 3
