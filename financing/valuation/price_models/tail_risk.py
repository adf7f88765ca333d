"""Value-at-risk and expected shortfall of a holding at the horizon it takes to sell it.

Losses are shares of today's value, 1 − e^R; VaR at 99 % is exceeded once in a hundred. Under the jump-diffusion R is a
Poisson mixture of normals, so both are exact up to a root; under Ornstein–Uhlenbeck R is normal. Monte Carlo draws the
same R, jump by jump, for checking and for whatever has no closed form.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, expm1, log, sqrt

import numpy as np
import scipy

from financing.base.errors import RiskInputInvalid
from financing.valuation.price_models.processes import JumpDiffusion, MeanReverting
from financing.valuation.price_models.series import TRADING_DAYS, FloatArray

# Beyond this many standard deviations of the Poisson count nothing is left at double precision.
COUNT_DEVIATIONS = 12


@dataclass(frozen=True, slots=True)
class TailRisk:
    """VaR and ES as shares of today's value, with their standard errors (0 where exact)."""

    var: float
    es: float
    var_error: float = 0.0
    es_error: float = 0.0


@dataclass(frozen=True, slots=True)
class NormalMixture:
    """The distribution of a log return: normals of `means` and `sds` with `weights`, each (k,)."""

    weights: FloatArray
    means: FloatArray
    sds: FloatArray

    def cdf(self, x: float) -> float:
        return float(self.weights @ scipy.special.ndtr((x - self.means) / self.sds))

    def quantile(self, share: float) -> float:
        """The x with cdf(x) = share."""
        reach = 12.0 * float(self.sds.max())
        low, high = float(self.means.min()) - reach, float(self.means.max()) + reach
        return float(scipy.optimize.brentq(lambda x: self.cdf(x) - share, low, high, xtol=1e-13))

    def partial_growth(self, x: float) -> float:
        """E[e^R; R ≤ x]: what is left in the cases at or below x."""
        shifted = scipy.special.ndtr((x - self.means) / self.sds - self.sds)
        return float(self.weights @ (np.exp(self.means + self.sds**2 / 2) * shifted))

    def tail(self, level: float) -> TailRisk:
        """VaR and ES at `level`. Neither is below zero: what cannot lose loses nothing."""
        worst = 1.0 - _checked(level)
        x = self.quantile(worst)
        return TailRisk(max(0.0, -expm1(x)), max(0.0, 1.0 - self.partial_growth(x) / worst))


def jump_mixture(model: JumpDiffusion, years: float) -> NormalMixture:
    """The log return of a jump-diffusion after `years`. Raises `RiskInputInvalid` unless `years` is positive."""
    mean_count = model.jump_rate * _positive(years)
    counts = np.arange(int(mean_count + COUNT_DEVIATIONS * (1 + sqrt(mean_count))) + 1)
    weights = scipy.stats.poisson.pmf(counts, mean_count)
    drift = (model.drift - model.sigma**2 / 2 - model.compensator) * years
    return NormalMixture(
        weights / weights.sum(),
        np.asarray(drift + counts * model.jump_mean, dtype=np.float64),
        np.asarray(np.sqrt(model.sigma**2 * years + counts * model.jump_sd**2), dtype=np.float64),
    )


def reverting_return(model: MeanReverting, spot: float, years: float) -> NormalMixture:
    """The log return of a mean-reverting price from `spot` after `years`: one normal."""
    mean, sd = model.log_moments(_positive(spot), _positive(years))
    return NormalMixture(np.ones(1), np.array([mean - log(spot)]), np.array([sd]))


def jump_tail(model: JumpDiffusion, days: int, level: float = 0.99) -> TailRisk:
    """VaR and ES of a jump-diffusion over `days` trading days, exact."""
    return jump_mixture(model, days / TRADING_DAYS).tail(level)


def reverting_tail(model: MeanReverting, spot: float, days: int, level: float = 0.99) -> TailRisk:
    """VaR and ES of a mean-reverting price over `days` trading days from `spot`, exact."""
    return reverting_return(model, spot, days / TRADING_DAYS).tail(level)


def simulated_returns(model: JumpDiffusion, days: int, paths: int, seed: int) -> FloatArray:
    """Log returns (paths,) over `days` trading days: the diffusion's normal plus the sum of its jumps."""
    years = _positive(days) / TRADING_DAYS
    generator = np.random.default_rng(seed)
    counts = generator.poisson(model.jump_rate * years, paths)
    drift = (model.drift - model.sigma**2 / 2 - model.compensator) * years
    diffusion = model.sigma * sqrt(years) * generator.standard_normal(paths)
    jumps = counts * model.jump_mean + np.sqrt(counts) * model.jump_sd * generator.standard_normal(paths)
    return np.asarray(drift + diffusion + jumps)


def simulated_paths(model: JumpDiffusion | MeanReverting, spot: float, days: int, paths: int, seed: int) -> FloatArray:
    """Daily prices (paths, days + 1) from `spot`, exact at every day."""
    generator = np.random.default_rng(seed)
    shape = (paths, days)
    if isinstance(model, JumpDiffusion):
        step = 1.0 / TRADING_DAYS
        drift = (model.drift - model.sigma**2 / 2 - model.compensator) * step
        counts = generator.poisson(model.jump_rate * step, shape)
        sds = np.sqrt(model.sigma**2 * step + counts * model.jump_sd**2)
        moves = np.cumsum(drift + counts * model.jump_mean + sds * generator.standard_normal(shape), axis=1)
        logs = log(_positive(spot)) + moves
    else:
        decay = exp(-model.kappa / TRADING_DAYS)
        _, sd = model.log_moments(_positive(spot), 1.0 / TRADING_DAYS)
        shocks = sd * generator.standard_normal(shape)
        centre = log(model.theta)
        logs = np.empty(shape)
        distance = np.full(paths, log(spot) - centre)
        for day in range(days):
            distance = distance * decay + shocks[:, day]
            logs[:, day] = centre + distance
    return np.column_stack([np.full(paths, spot), np.exp(logs)])


def tail_of(losses: FloatArray, level: float = 0.99) -> TailRisk:
    """VaR and ES of drawn `losses` (n,), with standard errors.

    VaR is the smallest drawn loss that at least `level` of the draws do not exceed. Its error comes from the order
    statistics one binomial standard deviation away on either side, ES's from the spread within the tail.
    Raises `RiskInputInvalid` for losses that are not numbers, or with fewer than ten of them in the tail.
    """
    worst = 1.0 - _checked(level)
    count = len(losses)
    if not np.isfinite(losses).all() or count * worst < 10 - 1e-9:
        raise RiskInputInvalid("a tail needs ten finite losses", losses=count, level=level)
    ordered = np.sort(losses)
    place = min(count - 1, int(np.ceil(level * count - 1e-9)) - 1)
    step = max(1, int(sqrt(count * worst * level)))
    high = ordered[min(count - 1, place + step)]
    low = ordered[max(0, place - step)]
    var = float(ordered[place])
    tail = ordered[place + 1 :]
    # The cases beyond VaR, and as much of VaR itself as fills the tail (Rockafellar and Uryasev 2002, (2.6)).
    filled = worst * count
    es = (float(tail.sum()) + (filled - len(tail)) * var) / filled
    es_error = sqrt((float(tail.var()) + level * (es - var) ** 2) / filled) if len(tail) else 0.0
    return TailRisk(var, es, float(high - low) / 2, es_error)


def simulated_tail(model: JumpDiffusion, days: int, paths: int, seed: int, level: float = 0.99) -> TailRisk:
    """VaR and ES by Monte Carlo, for checking `jump_tail`."""
    return tail_of(-np.expm1(simulated_returns(model, days, paths, seed)), level)


def _checked(level: float) -> float:
    if not 0.5 < level < 1:
        raise RiskInputInvalid("a level lies between 0.5 and 1", level=level)
    return level


def _positive(value: float) -> float:
    if not np.isfinite(value) or value <= 0:
        raise RiskInputInvalid("a spot or horizon is positive and finite", value=value)
    return value
