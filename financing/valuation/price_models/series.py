"""Daily price series and what they say without a model: volatility, a unit root or not, what was lost before.

A year has 252 trading days. A series is refused rather than repaired: a gap is a gap, and a price that is missing, not
positive or out of all scale never becomes a return.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from financing.base.errors import RiskInputInvalid, SeriesInvalid

FloatArray = NDArray[np.float64]
TRADING_DAYS = 252
# Ten times a day's price is a wrong unit or a wrong row; no market in the record moved further than 2.2 times.
LOG_STEP_MAX = log(10.0)
OBSERVATIONS_MIN = 250


@dataclass(frozen=True, slots=True)
class PriceSeries:
    """Closes of one market, one a trading day: `days` ascending, `prices` (n,) in the market's money a tonne.

    Raises `SeriesInvalid`.
    """

    name: str
    days: tuple[date, ...]
    prices: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.days) != len(self.prices):
            raise SeriesInvalid("every day has one price", series=self.name)
        if any(later <= earlier for earlier, later in zip(self.days, self.days[1:], strict=False)):
            raise SeriesInvalid("days ascend and occur once", series=self.name)
        values = np.asarray(self.prices, dtype=np.float64)
        bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
        if len(bad):
            raise SeriesInvalid("a price is missing or not positive", series=self.name, day=str(self.days[bad[0]]))
        wild = np.flatnonzero(np.abs(np.diff(np.log(values))) >= LOG_STEP_MAX)
        if len(wild):
            raise SeriesInvalid("a price is out of all scale", series=self.name, day=str(self.days[wild[0] + 1]))

    def since(self, first: date) -> PriceSeries:
        """The part from `first` on."""
        kept = [i for i, day in enumerate(self.days) if day >= first]
        return PriceSeries(self.name, tuple(self.days[i] for i in kept), tuple(self.prices[i] for i in kept))

    def log_prices(self) -> FloatArray:
        """Natural logarithms (n,). Raises `SeriesInvalid` for fewer than a year of closes."""
        if len(self.prices) < OBSERVATIONS_MIN:
            raise SeriesInvalid(
                "a model is not fitted to less than a year of closes",
                series=self.name,
                closes=len(self.prices),
                closes_min=OBSERVATIONS_MIN,
            )
        return np.log(np.asarray(self.prices, dtype=np.float64))

    def log_returns(self) -> FloatArray:
        """Daily log returns (n − 1,)."""
        return np.diff(self.log_prices())


def series_of(name: str, rows: Iterable[tuple[date, float]]) -> PriceSeries:
    """A series of (day, price) rows."""
    held = tuple(rows)
    return PriceSeries(name, tuple(day for day, _ in held), tuple(price for _, price in held))


def volatility(series: PriceSeries) -> float:
    """Standard deviation of daily log returns, annualised by √252."""
    return float(series.log_returns().std(ddof=1) * sqrt(TRADING_DAYS))


def historic_var(series: PriceSeries, days: int, level: float = 0.99) -> float:
    """The share of value that `days`-day holdings lost at `level`, over all overlapping windows; 0 where none lost.

    Raises `SeriesInvalid` for a series shorter than a year or than five horizons, `RiskInputInvalid` for a level.
    """
    if not 0.5 < level < 1 or days < 1:
        raise RiskInputInvalid("a level lies between 0.5 and 1, a horizon is at least a day", level=level, days=days)
    logs = series.log_prices()
    if len(logs) < 5 * days:
        raise SeriesInvalid("the series is shorter than five horizons", series=series.name, days=days)
    moves = logs[days:] - logs[:-days]
    return max(0.0, float(-np.expm1(np.quantile(moves, 1.0 - level))))


def dickey_fuller(series: PriceSeries, lags: int = 0) -> float:
    """The t statistic of γ in Δx = α + γ·x₋₁ + Σ φᵢ·Δx₋ᵢ + ε on log prices; `lags` > 0 makes it augmented.

    Said and Dickey, Biometrika 71 (1984) 599. A unit root is rejected at 5 % below −2.86 (constant, no trend, n → ∞).
    """
    if lags < 0:
        raise RiskInputInvalid("lags are counted from none", lags=lags)
    logs = series.log_prices()
    steps = np.diff(logs)
    rows = len(steps) - lags
    columns = [np.ones(rows), logs[lags:-1], *(steps[lags - i : len(steps) - i] for i in range(1, lags + 1))]
    design = np.column_stack(columns)
    target = steps[lags:]
    coefficients, _, rank, _ = np.linalg.lstsq(design, target, rcond=None)
    if rank < design.shape[1]:
        raise SeriesInvalid("the prices never move", series=series.name)
    residuals = target - design @ coefficients
    variance = residuals @ residuals / (rows - design.shape[1])
    error = sqrt(variance * np.linalg.inv(design.T @ design)[1, 1])
    return float(coefficients[1] / error)
