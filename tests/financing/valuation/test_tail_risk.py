from math import exp, nan

import numpy as np
import pytest
from scipy import stats

from financing.base.errors import RiskInputInvalid
from financing.valuation.price_models.processes import JumpDiffusion, MeanReverting
from financing.valuation.price_models.tail_risk import (
    jump_mixture,
    jump_tail,
    reverting_tail,
    simulated_paths,
    simulated_returns,
    tail_of,
)

MODEL = JumpDiffusion(0.0, 0.24, 23.0, -0.01, 0.07)


def test_without_jumps_it_is_the_lognormal_s():
    tail = jump_tail(JumpDiffusion(0.0, 0.3, 0.0, 0.0, 0.0), 252)
    z = stats.norm.ppf(0.01)
    assert tail.var == pytest.approx(1 - exp(-0.045 + 0.3 * z))
    assert tail.es == pytest.approx(1 - stats.norm.cdf(z - 0.3) / 0.01)


def test_the_expected_price_grows_by_the_drift_alone():
    mixture = jump_mixture(JumpDiffusion(0.05, 0.24, 23.0, -0.03, 0.08), 1.0)
    assert mixture.partial_growth(50.0) == pytest.approx(exp(0.05))
    drawn = simulated_returns(JumpDiffusion(0.05, 0.24, 23.0, -0.03, 0.08), 252, 200_000, seed=1)
    assert np.exp(drawn).mean() == pytest.approx(exp(0.05), rel=0.01)


def test_daily_paths_end_where_the_horizon_s_distribution_says():
    ends = simulated_paths(MODEL, 50.0, 20, 40_000, seed=2)
    assert ends.shape == (40_000, 21)
    assert (ends[:, 0] == 50.0).all()
    losses = 1 - ends[:, -1] / 50.0
    exact, drawn = jump_tail(MODEL, 20), tail_of(losses)
    assert abs(drawn.var - exact.var) < 4 * drawn.var_error
    reverting = MeanReverting(3.0, 60.0, 0.4)
    ends = simulated_paths(reverting, 50.0, 20, 40_000, seed=3)[:, -1]
    mean, sd = reverting.log_moments(50.0, 20 / 252)
    assert np.log(ends).mean() == pytest.approx(mean, abs=4 * sd / 200)
    assert np.log(ends).std() == pytest.approx(sd, rel=0.02)


def test_the_models_part_over_a_year():
    reverting = MeanReverting(4.59, 42.5, 0.412)
    assert jump_tail(MODEL, 252).var > 1.5 * reverting_tail(reverting, 42.5, 252).var
    assert reverting_tail(reverting, 20.0, 252).var == 0.0


def test_a_tail_of_drawn_losses_is_the_order_statistic_and_the_mean_beyond():
    losses = np.arange(1_000.0)
    tail = tail_of(losses[::-1], 0.99)
    assert (tail.var, tail.es) == (989.0, pytest.approx(np.mean(losses[990:])))
    assert tail.var_error > 0
    assert tail.es_error > 0


@pytest.mark.parametrize("losses", [np.zeros(999), np.array([nan] * 2_000)])
def test_a_tail_of_too_little_or_of_no_numbers_is_none(losses):
    with pytest.raises(RiskInputInvalid):
        tail_of(losses, 0.99)


def test_levels_spots_and_horizons_are_checked():
    for call in (
        lambda: jump_tail(MODEL, 0),
        lambda: jump_tail(MODEL, 20, 0.5),
        lambda: jump_tail(MODEL, 20, nan),
        lambda: reverting_tail(MeanReverting(1.0, 1.0, 1.0), nan, 20),
        lambda: simulated_returns(MODEL, -1, 10, 1),
    ):
        with pytest.raises(RiskInputInvalid):
            call()
