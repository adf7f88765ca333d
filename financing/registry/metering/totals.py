"""The verified total of a period: readings on the full grid, gaps filled with zero, tied to a commitment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from financing.base.errors import ReadingRejected
from financing.base.quantities import Energy, Period, Rate
from financing.registry.metering.intervals import expected_starts
from financing.registry.metering.readings import ReadingBatch


@dataclass(frozen=True, slots=True)
class MeteredTotal:
    """What one meter generated in `period`. `commitment` is over the readings as measured, before gaps were filled;
    `through_batch` is the last batch that the grid node held then, so that a later correction changes nothing here."""

    meter_id: str
    period: Period
    interval_minutes: int
    generation: Energy
    export: Energy | None
    intervals_expected: int
    intervals_missing: int
    commitment: str
    through_batch: int = 0

    def completeness(self) -> Rate:
        """Share of expected intervals that were read, in bp, rounded down."""
        return Rate((self.intervals_expected - self.intervals_missing) * 10_000 // self.intervals_expected)


def fill_gaps(batch: ReadingBatch, period: Period) -> tuple[ReadingBatch, int]:
    """The batch on every interval of `period`, absent ones zero (conservative), and how many were absent.

    Readings outside the period are left out. Raises `ReadingRejected` when the period is off the meter's grid.
    """
    grid = expected_starts(period, batch.interval_minutes)
    inside = batch.within(period)
    places = np.searchsorted(grid, inside.starts)
    generation = np.zeros(len(grid), dtype=np.int64)
    generation[places] = inside.generation_wh
    export = None
    if inside.export_wh is not None:
        export = np.zeros(len(grid), dtype=np.int64)
        export[places] = inside.export_wh
    filled = ReadingBatch(batch.meter_id, batch.interval_minutes, grid, generation, export)
    return filled, len(grid) - len(inside)


def total_of(batch: ReadingBatch, period: Period, through_batch: int = 0) -> MeteredTotal:
    """Sum over `period`. Raises `ReadingRejected` when there is no reading in it: nothing measured is not zero."""
    inside = batch.within(period)
    if not len(inside):
        raise ReadingRejected("the meter has no reading in the period", meter_id=batch.meter_id, period=str(period))
    filled, missing = fill_gaps(batch, period)
    return MeteredTotal(
        meter_id=batch.meter_id,
        period=period,
        interval_minutes=batch.interval_minutes,
        generation=filled.generation(),
        export=filled.export(),
        intervals_expected=len(filled),
        intervals_missing=missing,
        commitment=inside.commitment(),
        through_batch=through_batch,
    )
