"""Automatic checks of a PV meter's readings against dated limits. They find; a verifier judges."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from financing.errors import ReadingRejected
from financing.metering.readings import ReadingBatch
from financing.metering.solar import solar_elevation_deg
from financing.metering.totals import fill_gaps
from financing.parameters.records import PlausibilityLimits, PvMethodology
from financing.quantities import BPS_PER_UNIT, Period

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: stable `code`, severity, text in both languages, how often and when first (UTC)."""

    code: str
    severity: Severity
    zh: str
    en: str
    count: int
    first_at: datetime | None


@dataclass(frozen=True, slots=True)
class Site:
    """Where the plant stands and its nameplate power. Degrees north and east, watts."""

    capacity_w: int
    latitude_deg: float
    longitude_deg: float


def check_readings(
    batch: ReadingBatch, period: Period, site: Site, limits: PlausibilityLimits, methodology: PvMethodology
) -> tuple[Finding, ...]:
    """Every finding on the readings of `period`, errors first. Empty means plausible.

    Raises `ReadingRejected` when the methodology does not allow the meter's interval.
    """
    if batch.interval_minutes not in methodology.interval_minutes_allowed:
        raise ReadingRejected(
            "the methodology does not allow this metering interval",
            interval_minutes=batch.interval_minutes,
            allowed=methodology.interval_minutes_allowed,
        )
    inside = batch.within(period)
    found = (
        _completeness(batch, period, methodology.completeness_bps_min),
        _interval_capacity(inside, site, limits),
        _mean_capacity(inside, period, site, limits),
        _night(inside, site, limits),
        _spikes(inside, site, limits),
    )
    findings = [finding for finding in found if finding is not None]
    return tuple(sorted(findings, key=lambda finding: finding.severity != "error"))


def _completeness(batch: ReadingBatch, period: Period, completeness_bps_min: int) -> Finding | None:
    filled, missing = fill_gaps(batch, period)
    if not missing:
        return None
    gaps = ~np.isin(filled.starts, batch.starts)
    too_many = (len(filled) - missing) * BPS_PER_UNIT < completeness_bps_min * len(filled)
    return _finding(
        "incomplete",
        "error" if too_many else "warning",
        (f"缺失 {missing} 个时段,按零计", f"{missing} intervals are missing and count as zero"),
        gaps,
        filled.starts,
    )


def _interval_capacity(batch: ReadingBatch, site: Site, limits: PlausibilityLimits) -> Finding | None:
    above = batch.generation_wh > _energy_wh(batch, site, limits.interval_capacity_factor_bps_warn)
    return _finding(
        "above_nameplate",
        "warning",
        ("时段发电量高于装机容量", "generation in an interval is above the nameplate capacity"),
        above,
        batch.starts,
    )


def _mean_capacity(batch: ReadingBatch, period: Period, site: Site, limits: PlausibilityLimits) -> Finding | None:
    full_load_wh = site.capacity_w * period.seconds / 3600
    excessive = int(batch.generation_wh.sum()) * BPS_PER_UNIT > limits.mean_capacity_factor_bps_max * full_load_wh
    if not excessive:
        return None
    return Finding(
        "capacity_factor",
        "error",
        "期间平均利用率高于当地日照可达水平",
        "the mean capacity factor of the period is above what the local sun can give",
        1,
        period.start,
    )


def _night(batch: ReadingBatch, site: Site, limits: PlausibilityLimits) -> Finding | None:
    # Both ends must lie in the dark, so that dusk and dawn intervals are never accused.
    step = np.timedelta64(batch.interval_minutes * 60, "s")
    highest = np.maximum(
        solar_elevation_deg(batch.starts, site.latitude_deg, site.longitude_deg),
        solar_elevation_deg(batch.starts + step, site.latitude_deg, site.longitude_deg),
    )
    generating = batch.generation_wh > _energy_wh(batch, site, limits.night_capacity_factor_bps_max)
    return _finding(
        "night_generation",
        "error",
        ("夜间发电", "the meter generates at night"),
        generating & (highest < limits.night_elevation_deg_max),
        batch.starts,
    )


def _spikes(batch: ReadingBatch, site: Site, limits: PlausibilityLimits) -> Finding | None:
    """An interval far above both of its neighbours: a broken register, since cloud edges rise from a daylight level."""
    if len(batch) < 3:
        return None
    energy = batch.generation_wh
    neighbours = np.maximum(energy[:-2], energy[2:])
    step = batch.interval_minutes * 60
    adjacent = np.diff(batch.starts.astype(np.int64)) == step
    middle = energy[1:-1]
    high = middle > _energy_wh(batch, site, limits.spike_capacity_factor_bps_min)
    spike = high & (middle // limits.spike_ratio_min > neighbours) & adjacent[:-1] & adjacent[1:]
    return _finding(
        "spike",
        "warning",
        ("单个时段远高于前后时段", "an interval is far above the ones before and after it"),
        spike,
        batch.starts[1:-1],
    )


def _energy_wh(batch: ReadingBatch, site: Site, capacity_factor_bps: int) -> int:
    return site.capacity_w * batch.interval_minutes * capacity_factor_bps // (60 * BPS_PER_UNIT)


def _finding(
    code: str, severity: Severity, text: tuple[str, str], at: NDArray[np.bool_], starts: NDArray[np.datetime64]
) -> Finding | None:
    if not at.any():
        return None
    first = datetime.fromtimestamp(int(starts[at][0].astype(np.int64)), tz=UTC)
    return Finding(code, severity, *text, int(at.sum()), first)
