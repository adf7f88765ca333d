"""Solar elevation, columnar, after NOAA's General Solar Position Calculations (Fourier form, about 0.5° accurate)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def solar_elevation_deg(
    times: NDArray[np.datetime64], latitude_deg: float, longitude_deg: float
) -> NDArray[np.float64]:
    """Elevation of the sun above the horizon, degrees, at each UTC time. An estimate: used to tell night only."""
    declination, hour_angle = _position(times, longitude_deg)
    latitude = np.radians(latitude_deg)
    sine = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(hour_angle)
    elevation: NDArray[np.float64] = np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0)))
    return elevation


def minutes_from_noon(times: NDArray[np.datetime64], weights: NDArray[np.int64], longitude_deg: float) -> float:
    """How far the weighted middle of the day lies after solar noon, minutes in (−720, 720]; an estimate."""
    _, hour_angle = _position(times, longitude_deg)
    middle = np.angle(np.sum(weights.astype(np.float64) * np.exp(1j * hour_angle)))
    return float(np.degrees(middle) * 4)


def _position(times: NDArray[np.datetime64], longitude_deg: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Declination and hour angle (zero at solar noon), radians."""
    seconds = times.astype("datetime64[s]").astype(np.int64)
    years = times.astype("datetime64[Y]").astype("datetime64[s]").astype(np.int64)
    day = (seconds - years) / 86_400
    gamma = 2 * np.pi / 365 * (day - 0.5)
    equation_of_time_min = 229.18 * (
        0.000075
        + 0.001868 * np.cos(gamma)
        - 0.032077 * np.sin(gamma)
        - 0.014615 * np.cos(2 * gamma)
        - 0.040849 * np.sin(2 * gamma)
    )
    declination = (
        0.006918
        - 0.399912 * np.cos(gamma)
        + 0.070257 * np.sin(gamma)
        - 0.006758 * np.cos(2 * gamma)
        + 0.000907 * np.sin(2 * gamma)
        - 0.002697 * np.cos(3 * gamma)
        + 0.00148 * np.sin(3 * gamma)
    )
    minutes = (seconds % 86_400) / 60
    hour_angle: NDArray[np.float64] = np.radians((minutes + equation_of_time_min + 4 * longitude_deg) / 4 - 180)
    return declination, hour_angle
