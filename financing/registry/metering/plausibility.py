"""Automatic checks of meters' readings against dated limits, columnar. They find; a verifier judges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from financing.base.parameters.methodologies import Monitoring
from financing.base.parameters.records import LoadLimits, PlausibilityLimits
from financing.base.quantities import BPS_PER_UNIT, Period
from financing.registry.metering.findings import (
    Finding,
    at_intervals,
    completeness,
    ordered,
    register_backwards,
    register_disagrees,
    require_interval_allowed,
    spikes,
)
from financing.registry.metering.intervals import DAY, ends_of, energy_limit_wh
from financing.registry.metering.readings import ReadingBatch
from financing.registry.metering.solar import minutes_from_noon, solar_elevation_deg

PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Site:
    """Where the plant stands and its nameplate power. Degrees north and east, watts."""

    capacity_w: int
    latitude_deg: float
    longitude_deg: float


def check_readings(
    batch: ReadingBatch, period: Period, site: Site, limits: PlausibilityLimits, rule: Monitoring
) -> tuple[Finding, ...]:
    """Every finding on a PV meter's readings of `period`, errors first. Empty means plausible.

    Raises `ReadingRejected` when the methodology does not allow the meter's interval.
    """
    require_interval_allowed(batch, rule)
    inside = batch.within(period)
    floor = _limit(inside, site.capacity_w, limits.spike_capacity_factor_bps_min)
    return ordered(
        (
            completeness(batch, period, rule.completeness_bps_min),
            register_backwards(inside),
            register_disagrees(inside),
            _above_nameplate(inside, site.capacity_w, limits.interval_capacity_factor_bps_warn),
            _mean_above(inside, period, site.capacity_w, limits.mean_capacity_factor_bps_max),
            _unit_suspected(inside, period, site.capacity_w, limits.mean_capacity_factor_ppm_min),
            _night(inside, site, limits),
            _clock_shift(inside, site, limits),
            spikes(inside, floor, limits.spike_ratio_min),
        )
    )


def check_load(
    batch: ReadingBatch, period: Period, capacity_w: int, limits: LoadLimits, rule: Monitoring
) -> tuple[Finding, ...]:
    """Every finding on a meter of consumption, errors first. A pile may run at night and jump from nothing to full."""
    require_interval_allowed(batch, rule)
    inside = batch.within(period)
    return ordered(
        (
            completeness(batch, period, rule.completeness_bps_min),
            register_backwards(inside),
            register_disagrees(inside),
            _above_nameplate(inside, capacity_w, limits.interval_load_factor_bps_warn),
            _mean_above(inside, period, capacity_w, limits.mean_load_factor_bps_max),
            _unit_suspected(inside, period, capacity_w, limits.mean_load_factor_ppm_min),
        )
    )


def _above_nameplate(batch: ReadingBatch, capacity_w: int, factor_bps: int) -> Finding | None:
    return at_intervals(
        "above_nameplate",
        "warning",
        ("时段电量高于装机容量", "the energy of an interval is above the nameplate capacity"),
        batch.generation_wh > _limit(batch, capacity_w, factor_bps),
        batch.starts,
    )


def _mean_above(batch: ReadingBatch, period: Period, capacity_w: int, factor_bps: int) -> Finding | None:
    full_load_wh = capacity_w * period.seconds / 3600
    if int(batch.generation_wh.sum()) * BPS_PER_UNIT <= factor_bps * full_load_wh:
        return None
    return Finding(
        "capacity_factor",
        "error",
        "期间平均利用率高于可达水平",
        "the mean capacity factor of the period is above what can be reached here",
        1,
        period.start,
    )


def _unit_suspected(batch: ReadingBatch, period: Period, capacity_w: int, factor_ppm: int) -> Finding | None:
    """kWh sent as Wh are a thousandth of what a working meter reads; the reverse exceeds the capacity and is refused
    when it is loaded."""
    total = int(batch.generation_wh.sum())
    if not total or total * PPM >= factor_ppm * capacity_w * period.seconds / 3600:
        return None
    return Finding(
        "unit_suspected",
        "error",
        "平均出力低于任何合理范围,疑将千瓦时按瓦时上报",
        "the mean output is below any plausible range: kWh may have been sent as Wh",
        1,
        period.start,
    )


def _night(batch: ReadingBatch, site: Site, limits: PlausibilityLimits) -> Finding | None:
    if batch.interval_minutes >= DAY:
        return None
    # Both ends must lie in the dark, so that dusk and dawn intervals are never accused.
    highest = np.maximum(
        solar_elevation_deg(batch.starts, site.latitude_deg, site.longitude_deg),
        solar_elevation_deg(ends_of(batch.starts, batch.interval_minutes), site.latitude_deg, site.longitude_deg),
    )
    generating = batch.generation_wh > _limit(batch, site.capacity_w, limits.night_capacity_factor_bps_max)
    return at_intervals(
        "night_generation",
        "error",
        ("夜间发电", "the meter generates at night"),
        generating & (highest < limits.night_elevation_deg_max),
        batch.starts,
    )


def _clock_shift(batch: ReadingBatch, site: Site, limits: PlausibilityLimits) -> Finding | None:
    """The energy-weighted middle of the day lies near solar noon; UTC sent as China time is eight hours off."""
    if batch.interval_minutes > 60 or not batch.generation_wh.any():
        return None
    half = np.timedelta64(batch.interval_minutes * 30, "s")
    shift = round(minutes_from_noon(batch.starts + half, batch.generation_wh, site.longitude_deg))
    if abs(shift) <= limits.clock_shift_minutes_warn:
        return None
    return Finding(
        "clock_shift",
        "error" if abs(shift) > limits.clock_shift_minutes_max else "warning",
        f"日电量重心偏离太阳正午 {shift:+d} 分钟,疑时钟或时区有误",
        f"the middle of the day lies {shift:+d} minutes from solar noon: clock or zone may be wrong",
        1,
        None,
    )


def _limit(batch: ReadingBatch, capacity_w: int, factor_bps: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return energy_limit_wh(batch.starts, batch.interval_minutes, capacity_w, factor_bps)
