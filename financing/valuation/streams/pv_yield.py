"""What a rooftop plant in Suzhou may generate: a clear sky from pvlib, the clouds that take from it, and how both vary.

Hours are kWh a year for each kW of capacity. The shape of the year is the plane's clear-sky irradiation by month
(Ineichen and Perez, Solar Energy 73 (2002) 151) times the month's share of clear sky; its level is fitted so that half
of all years exceed P50 = √(P90·P10) and nine in ten P90. A year is level × Σ month: months vary alone, the level, which
holds for a plant's life, takes the rest of the spread.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, expm1, log, sqrt

import numpy as np

from financing.base.errors import RiskInputInvalid
from financing.base.parameters.risk import StreamRule
from financing.valuation.price_models.series import FloatArray

NORMAL_90 = 1.2815515655446004
# Any year without 29 February does: the sun's course repeats.
CLEAR_YEAR = 2025


@dataclass(frozen=True, slots=True)
class YieldModel:
    """Median hours of each month (12,) of a plant's first year before degradation, and the log spreads around them.

    `performance` is P50 ÷ irradiation of the plane: what the plant makes of the sun. Below 0.6 or above 0.95 the inputs
    do not belong together.
    """

    months: tuple[float, ...]
    month_sd: float
    level_sd: float
    p50: float
    p90: float
    performance: float

    def drawn(self, years: int, paths: int, seed: int) -> FloatArray:
        """Hours (paths, years, 12): one level a path, months of every year alone."""
        if years < 1 or paths < 1:
            raise RiskInputInvalid("at least one year and path", years=years, paths=paths)
        generator = np.random.default_rng(seed)
        level = np.exp(self.level_sd * generator.standard_normal((paths, 1, 1)))
        months = np.exp(self.month_sd * generator.standard_normal((paths, years, 12)) - self.month_sd**2 / 2)
        return np.asarray(level * months * np.array(self.months))

    def p90_months(self) -> FloatArray:
        """The months (12,) of a year that nine in ten exceed: the median's shape at the P90 level."""
        return np.array(self.months) * (self.p90 / self.p50)


def calibrated(rule: StreamRule) -> YieldModel:
    """The model of a rule's place and plane. Raises `RiskInputInvalid` if months alone vary more than years do."""
    sun = clear_sky_months(rule) * np.array(rule.clear_sky_share)
    shares = sun / sun.sum()
    p50 = sqrt(rule.yield_h_p90 * rule.yield_h_p10)
    spread = log(rule.yield_h_p10 / rule.yield_h_p90) / (2 * NORMAL_90)
    from_months = expm1(rule.month_sd**2) * float(shares @ shares)
    if from_months >= spread**2:
        raise RiskInputInvalid("months vary more than the years they make up", month_sd=rule.month_sd)
    return YieldModel(
        months=tuple(float(each) for each in shares * p50),
        month_sd=rule.month_sd,
        level_sd=sqrt(spread**2 - from_months),
        p50=p50,
        p90=p50 * exp(-NORMAL_90 * spread),
        performance=p50 / float(sun.sum()),
    )


def clear_sky_months(rule: StreamRule) -> FloatArray:
    """Irradiation of the tilted plane under a clear sky, kWh/m² for each month (12,), in the hours of China."""
    # They take a second to load, and a service that starts needs no sun.
    import pandas as pd  # noqa: PLC0415
    from pvlib import atmosphere, clearsky, irradiance, solarposition  # noqa: PLC0415

    # The middle of each hour stands for it.
    times = pd.date_range(f"{CLEAR_YEAR}-01-01 00:30", f"{CLEAR_YEAR}-12-31 23:30", freq="h", tz="Etc/GMT-8")
    sun = solarposition.get_solarposition(times, rule.latitude_deg, rule.longitude_deg, method="nrel_numpy")
    turbidity = np.array(rule.linke_turbidity)[times.month.to_numpy() - 1]
    air = atmosphere.get_absolute_airmass(atmosphere.get_relative_airmass(sun["apparent_zenith"]))
    extra = irradiance.get_extra_radiation(times)
    sky = clearsky.ineichen(sun["apparent_zenith"], air, turbidity, altitude=5.0, dni_extra=extra)
    plane = irradiance.get_total_irradiance(
        rule.tilt_deg, rule.azimuth_deg, sun["apparent_zenith"], sun["azimuth"], sky["dni"], sky["ghi"], sky["dhi"]
    )
    watts = plane["poa_global"].fillna(0.0).to_numpy()
    return np.bincount(times.month.to_numpy() - 1, weights=watts, minlength=12) / 1000.0
