"""Ascent by gradients alone: it gets where it should, never makes f worse, and says when it does not come to rest."""

import numpy as np
import pytest
import scipy.optimize
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import expit

from federated.errors import TrainingFailed
from federated.protocols.protected.solver import Metric, answered, ascend


class Logistic:
    """Penalised log-likelihood of generated rows, with a metric that is wrong by a factor."""

    def __init__(self, seed, ridge, wrong=1.0, grid=0.0, rows=300, width=8):
        rng = np.random.default_rng(seed)
        self.x = rng.normal(size=(rows, width)) * np.exp(rng.normal(size=width))
        self.y = (rng.random(rows) < expit(2 * self.x[:, 0])).astype(float)
        self.penalty, self.asked, self.grid = np.full(width, ridge), 0, grid
        curvature = np.diag(0.25 * self.x.T @ self.x)
        self.metric = Metric(self.penalty, wrong * (curvature + self.penalty) - self.penalty)

    def value(self, beta):
        z = self.x @ beta
        return float(np.sum(self.y * z - np.logaddexp(0, z)) - 0.5 * np.sum(self.penalty * beta**2))

    def gradient(self, beta):
        self.asked += 1
        z = self.x @ beta
        z = np.rint(z / self.grid) * self.grid if self.grid else z
        return self.x.T @ (self.y - expit(z))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 50.0), st.floats(0.02, 50.0))
@example(16, 0.03125, 6.0)
@example(16, 0.0625, 7.0)
def test_it_comes_to_the_top_whatever_the_metric_is_wrong_by(seed, ridge, wrong):
    f = Logistic(seed, ridge, wrong)
    start = np.random.default_rng(seed).normal(size=8)
    found = answered(ascend(f.metric, start, tolerance=1e-8, most=4_000), f.gradient)
    best = scipy.optimize.minimize(lambda b: -f.value(b), np.zeros(8), method="BFGS", options={"gtol": 1e-9})
    assert found.converged
    # What is left is told by the metric: where labels are nearly separated rows bend f a thousandth as much as it says.
    assert f.value(found.point) == pytest.approx(-best.fun, abs=0.02)
    assert found.evaluations == f.asked
    assert np.allclose(found.gradient, f.gradient(found.point))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.02, 50.0), st.integers(2, 30))
def test_however_soon_it_is_stopped_f_is_no_lower_than_at_the_start(seed, wrong, most):
    f = Logistic(seed, 1.0, wrong)
    start = np.random.default_rng(seed).normal(size=8)
    assert (
        f.value(answered(ascend(f.metric, start, tolerance=1e-9, most=most), f.gradient).point) >= f.value(start) - 1e-9
    )


def test_few_gradients_do_where_the_metric_is_near():
    f = Logistic(3, 2.0)
    assert answered(ascend(f.metric, np.zeros(8), tolerance=0.01, most=60), f.gradient).evaluations <= 12


def test_what_is_known_at_the_start_is_not_asked_again():
    f = Logistic(3, 2.0)
    found = answered(ascend(f.metric, np.zeros(8), tolerance=0.01, most=60), f.gradient)
    asked = f.asked
    again = answered(ascend(f.metric, found.point, tolerance=0.01, most=60, gradient=found.gradient), f.gradient)
    assert (again.evaluations, f.asked) == (0, asked)


def test_roundings_end_it_near_the_top_and_it_says_how_much_is_left():
    f = Logistic(5, 0.1, grid=0.5)
    found = answered(ascend(f.metric, np.zeros(8), tolerance=1e-12, most=200), f.gradient)
    assert not found.converged
    exact = Logistic(5, 0.1)
    best = answered(ascend(exact.metric, np.zeros(8), tolerance=1e-10, most=400), exact.gradient)
    assert exact.value(best.point) - exact.value(found.point) < 1.0


def test_a_gradient_that_is_not_finite_ends_the_run():
    f = Logistic(1, 1.0)
    with pytest.raises(TrainingFailed, match="not finite"):
        answered(ascend(f.metric, np.zeros(8), tolerance=1e-3, most=10), lambda _: np.full(8, np.nan))
