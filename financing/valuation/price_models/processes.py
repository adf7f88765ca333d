"""Two models of a carbon price: Merton's jump-diffusion and an Ornstein–Uhlenbeck log price. All rates are a year.

Jump-diffusion: d ln P = (μ − σ²/2 − λ·k̄)·dt + σ·dW + J·dN, J ~ N(μ_J, σ_J²), k̄ = e^{μ_J + σ_J²/2} − 1, so that μ is the
growth of the expected price (Merton, J. Financial Economics 3 (1976) 125).
Ornstein–Uhlenbeck: d ln P = κ·(ln θ − ln P)·dt + σ·dW; the price reverts to θ, half-life ln 2 ÷ κ.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, expm1, log, sqrt

import numpy as np
import scipy

from financing.base.errors import RiskInputInvalid, SeriesInvalid
from financing.base.parameters.risk import PriceProcess
from financing.valuation.price_models.series import TRADING_DAYS, FloatArray, PriceSeries, dickey_fuller

DICKEY_FULLER_5_PCT = -2.86
DAY = 1.0 / TRADING_DAYS
# A day holds more jumps than this once in 10¹² days at 150 jumps a year.
JUMPS_A_DAY_MAX = 10
JUMPS_A_YEAR_MAX = 150.0


@dataclass(frozen=True, slots=True)
class JumpDiffusion:
    """Merton's model. `jump_mean` and `jump_sd` are of log jumps. Raises `RiskInputInvalid`."""

    drift: float
    sigma: float
    jump_rate: float
    jump_mean: float
    jump_sd: float

    def __post_init__(self) -> None:
        values = (self.drift, self.sigma, self.jump_rate, self.jump_mean, self.jump_sd)
        if not all(np.isfinite(values)) or self.sigma <= 0 or self.jump_rate < 0 or self.jump_sd < 0:
            raise RiskInputInvalid("a jump-diffusion has finite parameters, σ > 0, λ ≥ 0, σ_J ≥ 0", values=str(values))

    @property
    def compensator(self) -> float:
        """λ·k̄: what jumps add to the expected price a year."""
        return self.jump_rate * expm1(self.jump_mean + self.jump_sd**2 / 2)

    @property
    def volatility(self) -> float:
        """√(σ² + λ·(μ_J² + σ_J²)), a year."""
        return sqrt(self.sigma**2 + self.jump_rate * (self.jump_mean**2 + self.jump_sd**2))


@dataclass(frozen=True, slots=True)
class MeanReverting:
    """A log price that reverts to ln `theta`. Raises `RiskInputInvalid`."""

    kappa: float
    theta: float
    sigma: float

    def __post_init__(self) -> None:
        if not all(np.isfinite((self.kappa, self.theta, self.sigma))) or min(self.kappa, self.theta, self.sigma) <= 0:
            raise RiskInputInvalid("κ, θ and σ are positive", kappa=self.kappa, theta=self.theta, sigma=self.sigma)

    @property
    def half_life_days(self) -> float:
        """Trading days in which half of a distance from θ is lost."""
        return log(2.0) / self.kappa * TRADING_DAYS

    def log_moments(self, spot: float, years: float) -> tuple[float, float]:
        """Mean and standard deviation of ln P after `years`, from `spot`: exact."""
        decay = exp(-self.kappa * years)
        centre = log(self.theta)
        variance = self.sigma**2 * -expm1(-2 * self.kappa * years) / (2 * self.kappa)
        return centre + (log(spot) - centre) * decay, sqrt(variance)


@dataclass(frozen=True, slots=True)
class Fits:
    """Every fit to one series. `mean_reverting` is None where the series does not revert at all (estimated κ ≤ 0).

    `default` is the jump-diffusion where a unit root is not rejected at 5 %, and where there is no other.
    """

    name: str
    closes: int
    likelihood: JumpDiffusion
    log_likelihood: float
    threshold: JumpDiffusion
    mean_reverting: MeanReverting | None
    dickey_fuller_t: float

    @property
    def default(self) -> str:
        return default_model(self.dickey_fuller_t, reverts=self.mean_reverting is not None)


def default_model(dickey_fuller_t: float, *, reverts: bool) -> str:
    """The model to lend by: reversion only where a unit root is rejected at 5 %."""
    return "ornstein_uhlenbeck" if reverts and dickey_fuller_t < DICKEY_FULLER_5_PCT else "jump_diffusion"


def fit_all(series: PriceSeries) -> Fits:
    """Fit both models, the jump-diffusion in two ways. Raises `SeriesInvalid`."""
    likely, log_likelihood = fit_by_likelihood(series)
    return Fits(
        name=series.name,
        closes=len(series.prices),
        likelihood=likely,
        log_likelihood=log_likelihood,
        threshold=fit_by_threshold(series),
        mean_reverting=fit_mean_reverting(series),
        dickey_fuller_t=dickey_fuller(series),
    )


def fit_mean_reverting(series: PriceSeries) -> MeanReverting | None:
    """Maximum likelihood of the exact discretisation ln P' = a + b·ln P + ε: least squares, κ = −252·ln b.

    None where b ≥ 1: the series does not revert, and no κ is made up for it.
    """
    logs = series.log_prices()
    design = np.column_stack([np.ones(len(logs) - 1), logs[:-1]])
    (a, b), *_ = np.linalg.lstsq(design, logs[1:], rcond=None)
    if not 0 < b < 1:
        return None
    residuals = logs[1:] - design @ np.array([a, b])
    kappa = -log(b) * TRADING_DAYS
    sigma = sqrt(float(residuals @ residuals) / len(residuals) * 2 * kappa / (1 - b**2))
    return MeanReverting(kappa, exp(a / (1 - b)), sigma)


def fit_by_threshold(series: PriceSeries, multiple: float = 3.0) -> JumpDiffusion:
    """Split the days: a jump is a return further than `multiple` standard deviations of the rest from their mean,
    repeated until nothing changes. The split keeps the variance: vol² = σ²·(1 − λ/252) + λ·E[J²].

    The fits on record keep that identity too. Without two jump days the rate is zero.
    """
    returns = series.log_returns()
    calm = np.ones(len(returns), dtype=bool)
    while True:
        kept = calm & (np.abs(returns - returns[calm].mean()) <= multiple * returns[calm].std(ddof=1))
        if (kept == calm).all():
            break
        calm = kept
    jumps = returns[~calm]
    sigma = float(returns[calm].std(ddof=1)) * sqrt(TRADING_DAYS)
    if len(jumps) < 2:
        return _drifting(returns, sigma, 0.0, 0.0, 0.0)
    rate = len(jumps) / len(returns) * TRADING_DAYS
    return _drifting(returns, sigma, rate, float(jumps.mean()), float(jumps.std(ddof=1)))


def fit_by_likelihood(series: PriceSeries) -> tuple[JumpDiffusion, float]:
    """Maximum likelihood of the Poisson mixture of normals, and its log-likelihood; the best of three starts.

    λ stays at or below 150 a year: above, jumps are a second diffusion. Raises `SeriesInvalid` if nothing converges.
    """
    returns = series.log_returns()
    spread = float(returns.std()) * sqrt(TRADING_DAYS)
    low = [-5.0, log(spread / 20), log(0.5), -0.3, log(0.002)]
    high = [5.0, log(spread * 1.5), log(JUMPS_A_YEAR_MAX), 0.3, log(0.6)]
    best: scipy.optimize.OptimizeResult | None = None
    for rate in (5.0, 25.0, 80.0):
        start = np.clip([0.0, log(spread * 0.6), log(rate), 0.0, log(spread / 8)], low, high)
        fit = scipy.optimize.minimize(
            lambda values: -_log_likelihood(returns, values),
            start,
            method="L-BFGS-B",
            bounds=list(zip(low, high, strict=True)),
        )
        if np.isfinite(fit.fun) and (best is None or fit.fun < best.fun):
            best = fit
    if best is None:
        raise SeriesInvalid("no jump-diffusion fits the series", series=series.name)
    _, log_sigma, log_rate, mean, log_sd = (float(each) for each in best.x)
    return _drifting(returns, exp(log_sigma), exp(log_rate), mean, exp(log_sd)), float(-best.fun)


def on_record(process: PriceProcess, drift: float = 0.0) -> tuple[JumpDiffusion, MeanReverting]:
    """Both models with the parameters of the record; its volatility is the reverting σ to first order in κ·dt."""
    jumping = JumpDiffusion(drift, process.sigma, process.jump_rate, process.jump_mean, process.jump_sd)
    return jumping, MeanReverting(process.kappa, process.theta, process.volatility)


def _drifting(returns: FloatArray, sigma: float, rate: float, mean: float, sd: float) -> JumpDiffusion:
    """The model whose expected log return is the mean return of the series."""
    still = JumpDiffusion(0.0, sigma, rate, mean, sd)
    growth = float(returns.mean()) * TRADING_DAYS - rate * mean
    return JumpDiffusion(growth + sigma**2 / 2 + still.compensator, sigma, rate, mean, sd)


def _log_likelihood(returns: FloatArray, values: FloatArray) -> float:
    """Log-likelihood at (drift of the diffusion's log, ln σ, ln λ, μ_J, ln σ_J)."""
    drift, log_sigma, log_rate, mean, log_sd = values
    counts = np.arange(JUMPS_A_DAY_MAX + 1)[:, None]
    a_day = log_rate + log(DAY)
    weights = counts * a_day - exp(a_day) - scipy.special.gammaln(counts + 1)
    variance = exp(2 * log_sigma) * DAY + counts * exp(2 * log_sd)
    gaps = returns - drift * DAY - counts * mean
    parts = weights - 0.5 * (np.log(2 * np.pi * variance) + gaps**2 / variance)
    most = parts.max(axis=0)
    return float((most + np.log(np.exp(parts - most).sum(axis=0))).sum())
