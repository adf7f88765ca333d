"""One record moves an integer vector by no more than is claimed, and the noise of any survivors is no less."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from soak import sized

from federated.errors import CorruptData, PrivacyPlanRefused
from federated.models.encoding.hats import UNIT, HatBasis, scored
from federated.privacy.attacks.canaries import gaussian_epsilon
from federated.privacy.differential.accountant import Release, epsilon_of, multiplier_for, steps_multiplier
from federated.privacy.differential.bounding import GRID, clipped, squared_length
from federated.privacy.differential.counts import BOUND_SQUARED, LENGTH, calibrated, score_counts
from federated.privacy.differential.edges import edge_bound_squared, edge_counts, edge_length, knots_from
from federated.privacy.differential.moments import MomentShape, moment_vector, solved
from federated.privacy.differential.noise import DiscreteGaussian, closeness, share_scale
from federated.protocols.private.operator import additive_plan, circle_of
from federated.protocols.private.plan import Circle, Stage
from simulations.worlds.columns import load_ranges

PUBLIC = load_ranges("generated-firms")
CELLS = 32
anything = st.floats(-1e12, 1e12, allow_nan=False)


def rows_of(data, count):
    """`count` rows with wild values, missing only where that is agreed."""
    cells = [st.one_of(anything, st.just(math.nan)) if c.optional else anything for c in PUBLIC.columns]
    return np.array([data.draw(st.tuples(*cells)) for _ in range(count)], dtype=np.float64)


def basis_of(data):
    sizes = {c.column: data.draw(st.integers(2, 7)) for _, c in PUBLIC.measures}
    return HatBasis(PUBLIC, {c.column: np.linspace(*c.ends, sizes[c.column]) for _, c in PUBLIC.measures})


def moved(one, other):
    return sum(int(v) ** 2 for v in (one - other))


@settings(max_examples=sized(25, 600), deadline=None)
@given(st.data())
def test_a_record_more_moves_no_sum_farther_than_claimed(data):
    values, labels = rows_of(data, 4), np.array(data.draw(st.lists(st.integers(0, 1), min_size=4, max_size=4)))
    basis = basis_of(data)
    shape = MomentShape(basis.width, basis.blocks)
    units = basis.units(values)
    assert units.min() >= 0
    assert units.max() <= UNIT
    assert (units.sum(axis=1) == basis.blocks * UNIT).all()
    edges = [edge_counts(PUBLIC, part, CELLS) for part in (values, values[:-1])]
    assert edges[0].shape == (edge_length(PUBLIC, CELLS),)
    assert moved(*edges) <= edge_bound_squared(PUBLIC)
    moments = [moment_vector(units[:n], labels[:n], shape) for n in (4, 3)]
    assert moments[0].shape == (shape.length,)
    assert moved(*moments) <= shape.bound_squared
    beta = np.array(data.draw(st.lists(st.floats(-1, 1), min_size=basis.width, max_size=basis.width)))
    counts = [score_counts(scored(units[:n], beta), labels[:n]) for n in (4, 3)]
    assert np.array_equal(scored(units, beta)[:3], scored(units[:3], beta))
    assert moved(*counts) <= BOUND_SQUARED


def test_a_record_on_the_knots_moves_moments_exactly_that_far():
    basis = HatBasis(PUBLIC, {c.column: np.linspace(*c.ends, 4) for _, c in PUBLIC.measures})
    row = np.array([[c.high if hasattr(c, "high") else c.levels[-1] for c in PUBLIC.columns]])
    shape = MomentShape(basis.width, basis.blocks)
    vector = moment_vector(basis.units(row), np.array([1]), shape)
    assert moved(vector, np.zeros_like(vector)) == shape.bound_squared


@settings(max_examples=sized(26, 800), deadline=None)
@given(
    st.integers(1, 400),
    st.floats(1e-6, 1e6),
    st.floats(-12, 12),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1024, GRID]),
)
def test_clipping_is_never_exceeded_rounding_included(length, clip, size, seed, bound):
    vectors = np.random.default_rng(seed).normal(size=(5, length)) * 10.0**size
    vectors[0] = 0.5
    found = clipped(vectors, clip, bound)
    assert squared_length(found) <= bound**2
    short = np.linalg.norm(vectors, axis=1) <= clip
    scale = (bound - math.sqrt(length) / 2 - 1) / clip
    assert np.all(np.abs(found[short] - vectors[short] * scale) <= 0.5 + 1e-6)


def test_a_gradient_that_is_not_finite_is_refused_and_not_dropped():
    with pytest.raises(CorruptData):
        clipped(np.array([[1.0, np.nan]]), 1.0)
    for clip in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(PrivacyPlanRefused):
            clipped(np.zeros((1, 2)), clip)


@settings(max_examples=sized(25, 600), deadline=None)
@given(st.integers(3, 12), st.data())
def test_survivors_noise_suffices_for_every_dropout_pattern(count, data):
    threshold = data.draw(st.integers(count // 2 + 1, count))
    colluding = data.draw(st.integers(0, 2 * threshold - count - 1))
    weights = tuple(data.draw(st.lists(st.integers(1, 9), min_size=count, max_size=count)))
    circle = Circle(tuple(f"b{i}" for i in range(count)), threshold, colluding, weights)
    stage = Stage("moments", 10, 10_000, Release(data.draw(st.floats(0.3, 20.0))))
    wanted = stage.release.multiplier * 100.0 * max(weights)
    for survivors in range(threshold, count + 1):
        honest = stage.share(circle) * math.sqrt(survivors - colluding)
        assert honest >= wanted * (1 - 1e-12)
    for bank, weight in zip(circle.banks, weights, strict=True):
        # The noise that is guaranteed, over how far a record of this bank moves the weighted sum.
        assert stage.charged(circle, bank).multiplier == pytest.approx(wanted / (weight * 100.0))


def test_the_drawn_noise_of_the_threshold_has_the_claimed_variance():
    scale, noisers = 5_000.0, 3
    drawn = sum(DiscreteGaussian().integers(share_scale(scale, noisers), 40_000) for _ in range(noisers))
    # Chance of a false alarm: the variance's standard error is scale²·√(2/40,000), and this allows six of them.
    assert abs(drawn.var() / scale**2 - 1) < 6 * math.sqrt(2 / 40_000)
    assert abs(drawn.mean()) < 6 * scale / 200


def test_noise_that_is_too_fine_for_integers_is_refused():
    for scale in (0.0, 1.0, math.inf, math.nan):
        with pytest.raises(PrivacyPlanRefused):
            DiscreteGaussian().integers(scale, 3)
    assert closeness(4.0, 5, 10_000) < 1e-60
    assert closeness(0.5, 5, 10) > 1e-3
    with pytest.raises(PrivacyPlanRefused):
        share_scale(1.0, 0)


multipliers = st.floats(0.5, 30.0)


@settings(max_examples=15, deadline=None)
@given(multipliers, multipliers, st.floats(0.01, 0.9), st.integers(1, 50))
def test_the_account_is_monotone(one, other, sampling, steps):
    single = epsilon_of([Release(one)], 1e-5)
    assert epsilon_of([Release(one), Release(other)], 1e-5) >= single
    assert epsilon_of([Release(one * 1.1)], 1e-5) <= single
    assert epsilon_of([Release(one, sampling)], 1e-5) <= single + 1e-9
    assert epsilon_of([Release(one, sampling, steps + 1)], 1e-5) >= epsilon_of([Release(one, sampling, steps)], 1e-5)
    assert epsilon_of([Release(one, slack=0.1)], 1e-5) >= single + 0.2
    assert epsilon_of([Release(one)], 1e-6) >= single
    # Composed Gaussians are one Gaussian, and none is below what two normals that far apart give.
    joint = 1 / math.sqrt(one**-2 + other**-2)
    assert epsilon_of([Release(one), Release(other)], 1e-5) == pytest.approx(epsilon_of([Release(joint)], 1e-5))
    assert single >= gaussian_epsilon(1 / one, 1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), multipliers)
def test_a_larger_weight_costs_more_and_the_largest_costs_the_plan(own, other, multiplier):
    largest = max(own, other)
    costs = {w: epsilon_of([Release(multiplier).weighted(w, largest)], 1e-5) for w in (own, other)}
    assert costs[largest] == epsilon_of([Release(multiplier)], 1e-5)
    assert costs[min(own, other)] <= costs[largest]
    with pytest.raises(PrivacyPlanRefused):
        Release(multiplier).weighted(largest + 1, largest)


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 4.0, 8.0])
def test_a_plan_costs_what_it_says(epsilon):
    assert epsilon_of([Release(multiplier_for(epsilon, 1e-5))], 1e-5) == pytest.approx(epsilon, rel=1e-6)
    assert multiplier_for(epsilon, 1e-5) > 0
    plan = additive_plan(PUBLIC, circle_of([f"b{i}" for i in range(5)]), epsilon, 1e-5, protected=True)
    cost = [stage.charged(plan.circle, "b0") for stage in plan.stages(PUBLIC)]
    assert epsilon * (1 - 1e-6) <= epsilon_of(cost, 1e-5) <= epsilon
    sampled = Release(steps_multiplier(epsilon, 1e-5, 0.1, 30), 0.1, 30)
    assert epsilon * (1 - 1e-3) <= epsilon_of([sampled], 1e-5) <= epsilon


def test_releases_that_no_account_can_be_given_of_are_refused():
    for wrong in ({"multiplier": 0.0}, {"multiplier": math.inf}, {"sampling": 0.0}, {"steps": 0}, {"slack": -1.0}):
        with pytest.raises(PrivacyPlanRefused):
            replace(Release(1.0), **wrong)
    with pytest.raises(PrivacyPlanRefused):
        epsilon_of([Release(1.0)], 0.0)
    assert epsilon_of([], 1e-5) == 0.0


def test_without_noise_the_moments_solve_a_ridge_regression_and_counts_calibrate():
    rng = np.random.default_rng(4)
    values = np.column_stack([rng.uniform(0, 1, 900) for _ in PUBLIC.columns])
    labels = (values[:, 0] + 0.3 * rng.normal(size=900) > 0.6).astype(np.int64)
    counts = edge_counts(PUBLIC, values, CELLS)
    knots = knots_from(PUBLIC, counts.astype(float), CELLS, 5)
    assert all(np.all(np.diff(k) > 0) for k in knots.values())
    basis = HatBasis(PUBLIC, knots)
    shape = MomentShape(basis.width, basis.blocks)
    units = basis.units(values)
    beta = solved(moment_vector(units, labels, shape).astype(float), shape, 0.0)
    scores = units @ beta
    x = units / math.sqrt(basis.blocks * UNIT**2)
    ridge = 1e-4 * np.linalg.eigvalsh(x.T @ x)[-1]
    expected = x @ np.linalg.solve(x.T @ x + ridge * np.eye(basis.width), x.T @ (labels - 0.5))
    assert np.allclose(scores, expected, atol=1e-3)
    line = calibrated(score_counts(scores, labels).astype(float))
    assert line.auc > 0.85
    p = 1 / (1 + np.exp(-(line.slope * scores + line.level)))
    assert abs(p.mean() - labels.mean()) < 0.02
    blind = calibrated(np.full(LENGTH, -5.0))
    assert math.isfinite(blind.slope)
    assert blind.auc == 0.5
