"""The grid of a meter: parts of a day from midnight UTC, whole days and calendar months from midnight in China.

A month is written as 43,200 minutes, whatever its length.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from financing.base.errors import ReadingRejected
from financing.base.quantities import INT64_MAX, Period

Starts = NDArray[np.datetime64]
DAY = 1_440
MONTH = 43_200
CHINA = np.timedelta64(8 * 3600, "s")
EPOCH = np.datetime64(0, "s")


def is_interval(minutes: int) -> bool:
    """Whether a meter may read this interval: a whole part of a day, a day, or a calendar month."""
    return minutes == MONTH or (minutes > 0 and DAY % minutes == 0)


def off_grid(starts: Starts, minutes: int) -> NDArray[np.bool_]:
    """Which starts are not the beginning of an interval."""
    if minutes < DAY:
        parts: NDArray[np.bool_] = starts.astype(np.int64) % (minutes * 60) != 0
        return parts
    local = starts + CHINA
    whole = local.astype("datetime64[M]" if minutes == MONTH else "datetime64[D]").astype("datetime64[s]")
    wrong: NDArray[np.bool_] = whole != local
    return wrong


def ends_of(starts: Starts, minutes: int) -> Starts:
    """Where each interval ends; months have their own length."""
    if minutes != MONTH:
        return starts + np.timedelta64(minutes * 60, "s")
    following = (starts + CHINA).astype("datetime64[M]") + np.timedelta64(1, "M")
    ends: Starts = following.astype("datetime64[s]") - CHINA  # type: ignore[assignment]
    return ends


def expected_starts(period: Period, minutes: int) -> Starts:
    """Every interval start of `period`. Raises `ReadingRejected` when the period does not lie on the grid."""
    edges = np.array([instant(period.start), instant(period.end)])
    if off_grid(edges, minutes).any():
        raise ReadingRejected("the period does not start and end on the meter's grid", period=str(period))
    if minutes != MONTH:
        return np.arange(edges[0], edges[1], np.timedelta64(minutes * 60, "s"))
    first, last = (edges + CHINA).astype("datetime64[M]")
    months: Starts = np.arange(first, last).astype("datetime64[s]") - CHINA  # type: ignore[assignment]
    return months


def energy_limit_wh(starts: Starts, minutes: int, capacity_w: int, factor_bps: int) -> NDArray[np.int64]:
    """Energy of each interval at `factor_bps` of the nameplate power, Wh, rounded down."""
    seconds = (ends_of(starts, minutes) - starts).astype(np.int64)
    lengths, place = np.unique(seconds, return_inverse=True)
    limits = [min(capacity_w * int(length) * factor_bps // 36_000_000, INT64_MAX) for length in lengths]
    return np.array(limits, dtype=np.int64)[place]


def instant(at: datetime) -> np.datetime64:
    return np.datetime64(int(at.timestamp()), "s")
