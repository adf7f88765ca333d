"""Calibration from counts that banks add up: Platt's line, isotonic curves, and when a bank gets its own."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from federated.errors import ModelCorrupt
from federated.models.served.calibration import NONE, Calibration, chosen, drawn_in, isotonic, loss, own_of, platt
from federated.models.served.metrics import ScoreHistogram, calibration_error, error_by_chance, metrics_of


def drawn(rows, seed, bend=lambda x: x):
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1.0, 1.2, rows)
    labels = (rng.random(rows) < 1 / (1 + np.exp(-bend(logits)))).astype(np.int64)
    return logits, labels


def test_platt_on_summed_counts_is_logistic_regression_on_pooled_rows():
    logits, labels = drawn(6_000, 1, lambda x: 0.6 * x - 0.5)
    parts = [ScoreHistogram.of(logits[i::3], labels[i::3]) for i in range(3)]
    found = platt(parts[0] + parts[1] + parts[2])
    pooled = LogisticRegression(C=np.inf).fit(logits[:, None], labels)
    assert found.slope == pytest.approx(pooled.coef_[0, 0], abs=2e-3)
    assert found(np.zeros(1))[0] == pytest.approx(pooled.intercept_[0], abs=2e-3)


def test_isotonic_follows_the_pooled_pool_adjacent_violators():
    logits, labels = drawn(8_000, 2, lambda x: np.where(x > -1, 1.5 * x, -3.0))
    found = isotonic(ScoreHistogram.of(logits, labels))
    exact = IsotonicRegression().fit_transform(logits, labels)
    p = 1 / (1 + np.exp(-found(logits)))
    assert np.abs(p - exact).mean() < 0.02
    order = np.argsort(logits)
    assert np.all(np.diff(found(logits)[order]) >= 0)
    assert metrics_of(found(logits), labels).auc == pytest.approx(metrics_of(logits, labels).auc, abs=2e-3)


def test_calibration_lowers_the_error_on_other_rows():
    bend = lambda x: 0.5 * x + 0.8  # noqa: E731
    fitted = chosen([ScoreHistogram.of(*drawn(1_500, seed, bend)) for seed in range(4)])
    logits, labels = drawn(8_000, 99, bend)
    assert fitted.method != "none"
    assert metrics_of(fitted(logits), labels).ece < 0.3 * metrics_of(logits, labels).ece


def test_what_is_calibrated_is_left_alone():
    parts = [ScoreHistogram.of(*drawn(1_500, seed)) for seed in range(4)]
    fitted = chosen(parts)
    assert np.abs(fitted(np.linspace(-4, 1, 20)) - np.linspace(-4, 1, 20)).max() < 0.2
    needless = sum(own_of(ScoreHistogram.of(*drawn(2_000, seed))).method != "none" for seed in range(200))
    # Chosen at 1 % by chance; 200 draws give at most 8 with a probability of 99.9 %.
    assert needless <= 8
    assert own_of(ScoreHistogram.of(*drawn(2_000, 3, lambda x: x + 0.4))).method == "platt"


def test_few_or_one_sided_rows_do_no_harm():
    alone = ScoreHistogram.of(np.array([-1.0, 0.0, 1.0]), np.array([0, 0, 0]))
    for fit in (platt, isotonic):
        found = fit(alone)
        assert np.all(np.isfinite(found(np.array([-30.0, 0.0, 30.0]))))
    assert loss(NONE, alone) == pytest.approx(np.logaddexp(0, [-1.0, 0.0, 1.0]).sum(), abs=1e-3)


def test_a_calibration_survives_its_arrays_and_refuses_broken_ones():
    found = isotonic(ScoreHistogram.of(*drawn(3_000, 5)))
    arrays = found.to_arrays("c")
    at = np.linspace(-25, 25, 60)
    again = Calibration.from_arrays("c", arrays)
    assert (again.method, again(at).tolist()) == ("isotonic", found(at).tolist())
    with pytest.raises(ModelCorrupt):
        Calibration.from_arrays("d", arrays)
    arrays["c/meant"] = arrays["c/meant"][::-1].copy()
    with pytest.raises(ModelCorrupt, match="increasing"):
        Calibration.from_arrays("c", arrays)


def test_what_chance_alone_makes_of_the_error_is_what_it_is_of_labels_drawn_from_probabilities():
    rng = np.random.default_rng(3)
    logits = rng.normal(-1.0, 1.5, size=600)
    chances = 1.0 / (1.0 + np.exp(-logits))
    drawn = [ScoreHistogram.of(logits, (rng.random(600) < chances).astype(np.int64)) for _ in range(200)]
    found = np.mean([each.ece() for each in drawn])
    assert error_by_chance(drawn[0].by_mass()) == pytest.approx(found, rel=0.06)
    assert calibration_error(drawn[0].by_mass()) == drawn[0].ece()
    # Folds are added up bin by bin.
    both = drawn[0].by_mass() + drawn[1].by_mass()
    assert calibration_error(both) < max(drawn[0].ece(), drawn[1].ece())
    assert error_by_chance(both) == pytest.approx(error_by_chance(drawn[0].by_mass()) / np.sqrt(2.0), rel=1e-6)


@pytest.mark.parametrize(("slope", "shift"), [(0.72, 2.76), (0.5, 3.0), (2.0, -3.0), (1.0, 5.0)])
def test_a_line_far_from_the_models_own_is_found(slope, shift):
    """Whole steps of Newton's overshot there, and the line was not taken: just where one is needed."""
    rng = np.random.default_rng(8)
    logits = rng.normal(-2.0, 1.5, 4_000)
    labels = (rng.random(4_000) < 1.0 / (1.0 + np.exp(-(slope * logits + shift)))).astype(np.int64)
    counted = ScoreHistogram.of(logits, labels)
    for fitted, wide in ((platt(counted), 1.0), (drawn_in(counted), 0.0)):
        assert fitted.method == "platt"
        near = [loss(replace(fitted, slope=fitted.slope + a, meant=fitted.meant + b), counted)
                for a, b in ((0.02, 0.0), (-0.02, 0.0), (0.0, 0.02), (0.0, -0.02))]  # fmt: skip
        assert not wide or loss(fitted, counted) <= min(near)
        assert loss(fitted, counted) < loss(NONE, counted)


def test_a_line_is_drawn_to_the_models_own_where_few_rows_say_otherwise():
    rng = np.random.default_rng(9)
    logits = rng.normal(-1.0, 1.5, 20_000)
    labels = (rng.random(20_000) < 1.0 / (1.0 + np.exp(-1.6 * logits))).astype(np.int64)
    pulls = []
    for n in (40, 400, 20_000):
        counted = ScoreHistogram.of(logits[:n], labels[:n])
        free, drawn_to = platt(counted).slope, drawn_in(counted).slope
        pulls.append((drawn_to - 1.0) / (free - 1.0))
    assert 0.0 < pulls[0] < pulls[1] < pulls[2] < 1.0
    assert pulls[0] < 0.8
    assert pulls[2] > 0.99
