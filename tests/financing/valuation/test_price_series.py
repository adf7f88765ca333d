from datetime import date, timedelta
from math import inf, log, nan, sqrt

import numpy as np
import pytest

from financing.base.errors import RiskInputInvalid, SeriesInvalid
from financing.valuation.price_models.processes import (
    JumpDiffusion,
    MeanReverting,
    fit_all,
    fit_by_likelihood,
    fit_by_threshold,
    fit_mean_reverting,
)
from financing.valuation.price_models.series import PriceSeries, dickey_fuller, historic_var, volatility
from financing.valuation.price_models.tail_risk import simulated_paths

FIRST = date(2015, 1, 1)


def series(prices) -> PriceSeries:
    days = tuple(FIRST + timedelta(days=i) for i in range(len(prices)))
    return PriceSeries("generated", days, tuple(float(p) for p in prices))


@pytest.mark.parametrize("bad", [0.0, -30.0, nan, inf, 3_000.0, 0.3])
def test_a_price_that_is_none_is_refused_and_not_repaired(bad):
    prices = [30.0] * 300
    prices[150] = bad
    with pytest.raises(SeriesInvalid) as refusal:
        series(prices)
    assert refusal.value.context["day"] == str(FIRST + timedelta(days=150))


def test_days_ascend_and_each_has_a_price():
    with pytest.raises(SeriesInvalid):
        PriceSeries("x", (FIRST, FIRST), (1.0, 1.0))
    with pytest.raises(SeriesInvalid):
        PriceSeries("x", (FIRST,), (1.0, 1.0))


def test_less_than_a_year_fits_nothing():
    short = series([30.0 + i % 3 for i in range(249)])
    for fit in (fit_all, volatility, dickey_fuller):
        with pytest.raises(SeriesInvalid):
            fit(short)
    with pytest.raises(SeriesInvalid, match="five horizons"):
        historic_var(series([30.0 + i % 3 for i in range(300)]), 63)


def test_a_price_that_never_moves_has_no_test():
    with pytest.raises(SeriesInvalid):
        dickey_fuller(series([30.0] * 300))


def test_historic_loss_is_the_quantile_of_overlapping_windows():
    prices = np.exp(np.cumsum(np.where(np.arange(1_000) % 100 == 0, -0.2, 0.002)))
    found = historic_var(series(prices), 1, 0.995)
    assert found == pytest.approx(1 - np.exp(np.quantile(np.diff(np.log(prices)), 0.005)))
    assert historic_var(series(np.exp(0.001 * np.arange(300.0))), 10) == 0.0
    with pytest.raises(RiskInputInvalid):
        historic_var(series(prices), 1, 1.0)


def test_dickey_fuller_by_hand():
    x = np.random.default_rng(3).standard_normal(400).cumsum() / 50
    prices = series(np.exp(x))
    dx, lagged = np.diff(x), x[:-1]
    beta = np.cov(lagged, dx, ddof=0)[0, 1] / lagged.var()
    residuals = dx - dx.mean() - beta * (lagged - lagged.mean())
    error = sqrt(residuals @ residuals / (len(dx) - 2) / (len(dx) * lagged.var()))
    assert dickey_fuller(prices) == pytest.approx(beta / error)
    # statsmodels 0.15.0, adfuller(x, maxlag=k, autolag=None, regression="c")
    assert dickey_fuller(prices, 1) == pytest.approx(PEER[1], abs=1e-8)
    assert dickey_fuller(prices, 5) == pytest.approx(PEER[5], abs=1e-8)


PEER = {1: -1.2017919908687078, 5: -1.2416355419330278}


def test_a_mean_reverting_price_is_found_again():
    truth = MeanReverting(3.0, 50.0, 0.4)
    path = simulated_paths(truth, 50.0, 20_000, 1, seed=5)[0]
    found = fit_mean_reverting(series(path))
    assert found is not None
    assert found.kappa == pytest.approx(3.0, rel=0.15)
    assert log(found.theta) == pytest.approx(log(50.0), abs=0.05)
    assert found.sigma == pytest.approx(0.4, rel=0.02)
    assert found.half_life_days == pytest.approx(log(2) / found.kappa * 252)
    assert dickey_fuller(series(path)) < -2.86


def test_jumps_are_found_again_both_ways():
    truth = JumpDiffusion(0.05, 0.2, 20.0, -0.01, 0.08)
    prices = series(simulated_paths(truth, 50.0, 10_000, 1, seed=6)[0])
    likely, _ = fit_by_likelihood(prices)
    assert likely.sigma == pytest.approx(0.2, rel=0.03)
    assert likely.jump_rate == pytest.approx(20.0, rel=0.12)
    assert likely.jump_sd == pytest.approx(0.08, rel=0.08)
    split = fit_by_threshold(prices)
    share = split.jump_rate / 252
    kept = split.sigma**2 * (1 - share) + split.jump_rate * (split.jump_mean**2 + split.jump_sd**2)
    assert sqrt(kept) == pytest.approx(volatility(prices), rel=0.002)


def test_what_never_jumps_has_no_jumps_by_threshold():
    calm = series(50.0 * np.exp(0.01 * np.sin(np.arange(400.0))))
    assert fit_by_threshold(calm).jump_rate == 0.0


def test_what_does_not_revert_gets_no_made_up_reversion():
    rising = series(np.exp(0.00001 * np.arange(400.0) ** 2 + 0.0001 * np.sin(np.arange(400.0))))
    assert fit_mean_reverting(rising) is None
    fits = fit_all(rising)
    assert (fits.mean_reverting, fits.default) == (None, "jump_diffusion")


def test_the_default_follows_the_unit_root():
    reverting = series(simulated_paths(MeanReverting(8.0, 50.0, 0.4), 50.0, 3_000, 1, seed=7)[0])
    wandering = series(simulated_paths(JumpDiffusion(0.0, 0.3, 10.0, 0.0, 0.05), 50.0, 1_000, 1, seed=9)[0])
    assert fit_all(reverting).default == "ornstein_uhlenbeck"
    fits = fit_all(wandering)
    assert fits.dickey_fuller_t > -2.86
    assert fits.default == "jump_diffusion"


@pytest.mark.parametrize("values", [(nan, 0.2, 1.0, 0.0, 0.1), (0, 0.0, 1.0, 0.0, 0.1), (0, 0.2, -1.0, 0.0, 0.1)])
def test_a_model_refuses_what_is_no_parameter(values):
    with pytest.raises(RiskInputInvalid):
        JumpDiffusion(*values)
    with pytest.raises(RiskInputInvalid):
        MeanReverting(1.0, 0.0, values[1])
