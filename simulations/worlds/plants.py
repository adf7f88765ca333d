"""Generated rooftop plants in Suzhou: hourly output from pvlib's clear sky and a seeded series of daily clearness.

Clear-sky irradiance is Ineichen–Perez (pvlib) with monthly Linke turbidity of an eastern Chinese city; each day's share
of it is a seeded AR(1) series around 0.64, so that a year yields about 1,040 h, within the 1,000–1,086 h/yr published
for Suzhou. Power is PVWatts (Dobos 2014, NREL/TP-6A20-62641): plane-of-array irradiance, NOCT cell temperature,
−0.4 %/K, 14 % system losses, 96 % inverter. Every figure made from it is called generated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
import pvlib
from numpy.typing import NDArray

LATITUDE_DEG = 31.30
LONGITUDE_DEG = 120.60
ALTITUDE_M = 10.0
LINKE_TURBIDITY = (3.6, 3.8, 4.1, 4.5, 4.7, 5.0, 5.0, 4.8, 4.4, 4.0, 3.8, 3.6)  # January to December
MEAN_CLEARNESS = 0.64
CLEARNESS_SD = 0.27
CLEARNESS_MEMORY = 0.45
AIR_TEMPERATURE_C = (4.0, 6.0, 10.5, 16.5, 21.5, 25.5, 29.5, 29.0, 24.5, 19.0, 12.5, 6.5)
SYSTEM_LOSSES = 0.14
INVERTER_EFFICIENCY = 0.96
TEMPERATURE_COEFFICIENT = -0.004


@dataclass(frozen=True, slots=True)
class HourlyOutput:
    """`starts` datetime64[s] UTC and `generation_wh` int64, one value an hour."""

    starts: NDArray[np.datetime64]
    generation_wh: NDArray[np.int64]


def generate_hourly(capacity_w: int, first: str, last: str, *, tilt_deg: float = 15.0, seed: int) -> HourlyOutput:
    """Hourly output of a south-facing plant from `first` up to, not including, `last` (dates, China time)."""
    hours, month, sun, clear = _sky(first, last)
    middle = hours + pd.Timedelta(minutes=30)
    share = _clearness(middle, seed)
    # A cloudy day has little beam and relatively more diffuse light.
    dni = clear["dni"] * share**1.6
    dhi = clear["dhi"] * (0.6 + 0.4 * share)
    ghi = dhi + dni * np.cos(np.radians(sun["apparent_zenith"].clip(upper=90.0)))
    plane = pvlib.irradiance.get_total_irradiance(
        tilt_deg, 180.0, sun["apparent_zenith"], sun["azimuth"], dni, ghi, dhi
    )["poa_global"].clip(lower=0.0)
    cell = np.array(AIR_TEMPERATURE_C)[month] + plane.to_numpy() * 25.0 / 800.0
    direct = pvlib.pvsystem.pvwatts_dc(plane.to_numpy(), cell, capacity_w, TEMPERATURE_COEFFICIENT)
    power = np.where(sun["apparent_elevation"].to_numpy() > 0, direct, 0.0)
    output = np.clip(power * (1 - SYSTEM_LOSSES) * INVERTER_EFFICIENCY, 0.0, capacity_w)
    starts = hours.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[s]")
    return HourlyOutput(starts, np.floor(output).astype(np.int64))


@lru_cache(maxsize=4)
def _sky(first: str, last: str) -> tuple[pd.DatetimeIndex, NDArray[np.int64], pd.DataFrame, pd.DataFrame]:
    """Hours, their months from 0, and where the sun stands and how bright a clear sky is in the middle of each: the
    same for all plants, and most of the work."""
    hours = pd.date_range(first, last, freq="h", inclusive="left", tz="Asia/Shanghai")
    middle = hours + pd.Timedelta(minutes=30)
    month = np.asarray(middle.month) - 1
    site = pvlib.location.Location(LATITUDE_DEG, LONGITUDE_DEG, tz="Asia/Shanghai", altitude=ALTITUDE_M)
    sun = site.get_solarposition(middle)
    clear = site.get_clearsky(middle, solar_position=sun, linke_turbidity=np.array(LINKE_TURBIDITY)[month])
    return hours, month, sun, clear


def _clearness(times: pd.DatetimeIndex, seed: int) -> NDArray[np.float64]:
    """Share of clear-sky beam of each hour: one AR(1) value a day, clipped to [0.03, 1]."""
    days = np.asarray(times.normalize().factorize()[0])
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(int(days.max()) + 1) * CLEARNESS_SD * np.sqrt(1 - CLEARNESS_MEMORY**2)
    daily = np.empty_like(noise)
    last = 0.0
    for day, shock in enumerate(noise):
        last = CLEARNESS_MEMORY * last + shock
        daily[day] = last
    return np.asarray(np.clip(MEAN_CLEARNESS + daily, 0.03, 1.0)[days], dtype=np.float64)
