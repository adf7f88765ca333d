"""What a tonne is expected to cost later: cost of carry where the price wanders, reversion where it returns.

carry:      F(t) = S · e^{(r − y)·t}, y the convenience of holding (what a buyer today gives up for having it)
reversion:  F(t) = E[P_t] = e^{m(t) + v(t)/2} of the Ornstein–Uhlenbeck log price (Schwartz, J. Finance 52 (1997) 923,
            model 1 without a price of risk)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, isfinite

import numpy as np

from financing.base.errors import RiskInputInvalid
from financing.valuation.price_models.processes import MeanReverting
from financing.valuation.price_models.series import FloatArray


@dataclass(frozen=True, slots=True)
class CarryCurve:
    """A curve from `spot` (yuan a tonne) that grows by `rate` − `convenience` a year. Raises `RiskInputInvalid`."""

    spot: float
    rate: float
    convenience: float = 0.0

    def __post_init__(self) -> None:
        if not all(map(isfinite, (self.spot, self.rate, self.convenience))) or self.spot <= 0:
            raise RiskInputInvalid("a curve starts at a positive price, with finite rates", spot=self.spot)

    def at(self, years: float) -> float:
        """Forward price after `years`."""
        return self.spot * exp((self.rate - self.convenience) * _forward(years))


@dataclass(frozen=True, slots=True)
class ReversionCurve:
    """The expected price of a mean-reverting market from `spot` (its own money a tonne). Raises `RiskInputInvalid`."""

    spot: float
    model: MeanReverting

    def __post_init__(self) -> None:
        if not isfinite(self.spot) or self.spot <= 0:
            raise RiskInputInvalid("a curve starts at a positive price", spot=self.spot)

    def at(self, years: float) -> float:
        """Expected price after `years`."""
        mean, sd = self.model.log_moments(self.spot, _forward(years))
        return exp(mean + sd**2 / 2)


Curve = CarryCurve | ReversionCurve


def curve_points(curve: Curve, years: Sequence[float]) -> FloatArray:
    """The curve at `years` (n,), in its own money a tonne."""
    return np.array([curve.at(each) for each in years])


def _forward(years: float) -> float:
    if not isfinite(years) or years < 0:
        raise RiskInputInvalid("a curve looks forward", years=years)
    return years
