"""What automatic checks report, and the checks that every meter gets: completeness, register, spikes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from financing.base.errors import ReadingRejected
from financing.base.parameters.methodologies import Monitoring
from financing.base.quantities import BPS_PER_UNIT, Period
from financing.registry.metering.intervals import DAY, ends_of
from financing.registry.metering.readings import ReadingBatch
from financing.registry.metering.totals import fill_gaps

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


def ordered(outcomes: tuple[Finding | None, ...]) -> tuple[Finding, ...]:
    findings = [finding for finding in outcomes if finding is not None]
    return tuple(sorted(findings, key=lambda finding: finding.severity != "error"))


def require_interval_allowed(batch: ReadingBatch, rule: Monitoring) -> None:
    """Raise `ReadingRejected` when the methodology does not allow the meter's interval."""
    if batch.interval_minutes not in rule.interval_minutes_allowed:
        raise ReadingRejected(
            "the methodology does not allow this metering interval",
            interval_minutes=batch.interval_minutes,
            allowed=rule.interval_minutes_allowed,
        )


def completeness(batch: ReadingBatch, period: Period, completeness_bps_min: int) -> Finding | None:
    filled, missing = fill_gaps(batch, period)
    if not missing:
        return None
    gaps = ~np.isin(filled.starts, batch.starts)
    too_many = (len(filled) - missing) * BPS_PER_UNIT < completeness_bps_min * len(filled)
    return at_intervals(
        "incomplete",
        "error" if too_many else "warning",
        (f"缺失 {missing} 个时段,按零计", f"{missing} intervals are missing and count as zero"),
        gaps,
        filled.starts,
    )


def register_backwards(batch: ReadingBatch) -> Finding | None:
    """A cumulative register never falls."""
    if batch.register_wh is None or len(batch) < 2:
        return None
    falls = np.diff(batch.register_wh) < 0
    return at_intervals(
        "register_backwards",
        "error",
        ("电表累计示数回退", "the meter's register runs backwards"),
        falls,
        batch.starts[1:],
    )


def register_disagrees(batch: ReadingBatch) -> Finding | None:
    """Between adjacent intervals the register rises by the energy of the later one."""
    if batch.register_wh is None or len(batch) < 2:
        return None
    adjacent = ends_of(batch.starts, batch.interval_minutes)[:-1] == batch.starts[1:]
    rise = np.diff(batch.register_wh)
    differs = adjacent & (rise >= 0) & (rise != batch.generation_wh[1:])
    return at_intervals(
        "register_disagrees",
        "error",
        ("累计示数与时段电量不符", "the register does not rise by the energy of the interval"),
        differs,
        batch.starts[1:],
    )


def spikes(batch: ReadingBatch, floor_wh: NDArray[np.int64], ratio_min: int) -> Finding | None:
    """An interval far above both of its neighbours: a broken register, since cloud edges rise from a daylight level."""
    if len(batch) < 3 or batch.interval_minutes >= DAY:
        return None
    energy = batch.generation_wh
    neighbours = np.maximum(energy[:-2], energy[2:])
    adjacent = ends_of(batch.starts, batch.interval_minutes)[:-1] == batch.starts[1:]
    middle = energy[1:-1]
    spike = (middle > floor_wh[1:-1]) & (middle // ratio_min > neighbours) & adjacent[:-1] & adjacent[1:]
    return at_intervals(
        "spike",
        "warning",
        ("单个时段远高于前后时段", "an interval is far above the ones before and after it"),
        spike,
        batch.starts[1:-1],
    )


def at_intervals(
    code: str, severity: Severity, text: tuple[str, str], at: NDArray[np.bool_], starts: NDArray[np.datetime64]
) -> Finding | None:
    if not at.any():
        return None
    first = datetime.fromtimestamp(int(starts[at][0].astype(np.int64)), tz=UTC)
    return Finding(code, severity, *text, int(at.sum()), first)
