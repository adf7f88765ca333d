"""A party's served function: tables plus what cannot be tabulated; and the masks its logit travels behind."""

import numpy as np
import pytest

from federated.errors import ModelCorrupt
from federated.models.encoding.binning import merge_bins, merged_quantiles
from federated.models.encoding.sketch import sketch
from federated.models.learners.convex import Basis
from federated.models.learners.networks import initial_weights
from federated.models.served.functions import ConvexFunction, NetworkFunction
from federated.models.served.scorer import BAND_RANKS, PartyScorer
from federated.models.served.tables import tabulated
from federated.nodes.masks import mask_of, masked, new_secret, public_of, shared_key, unmasked_sum

RNG = np.random.default_rng(12)
P = 4


@pytest.fixture(scope="module")
def made():
    values = RNG.normal(size=(500, P))
    values[:, 2] = RNG.integers(0, 3, 500)
    sketches = [sketch(values)]
    binning, encoder = merge_bins(sketches, 16, 8, list("abcd"), "bank")
    basis = Basis(encoder, binning.coarse(4), ((0, 1),))
    convex = ConvexFunction(basis, RNG.normal(size=(2, basis.width)))
    weights = initial_weights(encoder.width, 6, 2, 0.0, 1)
    weights["w2"] = RNG.normal(size=weights["w2"].shape).astype(np.float32)
    network = NetworkFunction(encoder, weights)
    tables = tabulated([(0.7, convex)], binning, encoder.reference, 0.1)
    bands = merged_quantiles(sketches, BAND_RANKS)
    return values, convex, network, PartyScorer(tables, bands), PartyScorer(tables, bands, ((0.3, network),))


def test_a_blend_is_its_tables_and_the_rest(made):
    values, convex, network, exact, blended = made
    expected = 0.1 + 0.7 * convex.member_logits(values).mean(axis=0) + 0.3 * network.member_logits(values).mean(axis=0)
    assert np.abs(blended.logits(values) - expected).max() < 1e-5
    assert (exact.exact, blended.exact) == (True, False)
    for row in values[:10]:
        logit, contributions = blended.explain(row, seed=3)
        assert logit == pytest.approx(blended.logits(row[None, :])[0])
        assert contributions.sum() == pytest.approx(logit - blended.reference_logit, abs=1e-5)


def test_bands_are_fifths_of_the_training_customers(made):
    values, _, _, exact, _ = made
    low = np.array([exact.band(0, v)[0] for v in values[:, 0]])
    assert [float(np.mean(low == band)) for band in (0, 20, 40, 60, 80)] == pytest.approx([0.2] * 5, abs=0.02)
    # A value that a third of the customers share says just that.
    assert exact.band(2, 0.0) == (0, 40)
    assert exact.band(2, 1.0) == (20, 80)


def test_a_scorer_survives_its_arrays_and_refuses_broken_ones(made):
    values, _, _, _, blended = made
    arrays = blended.to_arrays("p")
    again = PartyScorer.from_arrays("p", arrays)
    assert np.array_equal(again.logits(values), blended.logits(values))
    for name in ("p/bands", "p/tables/level", "p/rest0/kind"):
        with pytest.raises(ModelCorrupt):
            PartyScorer.from_arrays("p", {n: a for n, a in arrays.items() if n != name})
    with pytest.raises(ModelCorrupt):
        PartyScorer.from_arrays("p", arrays | {"p/weight0": np.array([np.inf])})


def test_masks_cancel_and_hide():
    bank, grid = new_secret(), new_secret()
    key = shared_key(bank, public_of(grid), "a|b")
    assert key == shared_key(grid, public_of(bank), "a|b")
    assert key != shared_key(grid, public_of(bank), "a|c")
    for logits in ((-1.25, 0.5), (0.0, 0.0), (-999.0, 999.5), (31.4, -2e-9)):
        mask = mask_of(key, f"query {logits}")
        found = unmasked_sum(masked(logits[0], mask), masked(logits[1], -mask))
        assert found == pytest.approx(sum(logits), abs=2**-31)
    shares = [masked(-1.25, mask_of(key, f"query {i}")) / 2**64 for i in range(4_000)]
    # Eight equal cells, chi-squared with 7 degrees of freedom: 26 is beyond its 99.95 % quantile.
    cells = np.bincount((np.array(shares) * 8).astype(int), minlength=8)
    assert ((cells - 500) ** 2 / 500).sum() < 26
    for bad in (float("nan"), float("inf"), 1e6):
        with pytest.raises(ValueError, match="out of range"):
            masked(bad, 0)
