"""What pages read beyond the stores: daily sums of readings."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from financing.base.errors import GridNodeUnavailable
from financing.registry.metering.node.port import MeteringNodes, Span
from financing.registry.projects.model import Meter

CHINA_OFFSET = 8 * 3_600


def daily_kwh(nodes: MeteringNodes, meters: list[Meter], days: int) -> list[tuple[datetime, float]]:
    """Energy a day (China) of a project's meters, in kWh, over the last `days` days that have readings: sums that the
    grid nodes give to the owner, never single readings."""
    sums: dict[int, int] = {}
    for grid_id in sorted({meter.measured_by for meter in meters}):
        mine = tuple(meter.meter_id for meter in meters if meter.measured_by == grid_id)
        with suppress(GridNodeUnavailable):  # days that are not told are not drawn
            for day, wh in nodes.of(grid_id).daily_wh(mine, days).items():
                sums[day] = sums.get(day, 0) + wh
    epoch = datetime(1970, 1, 1, tzinfo=UTC) - timedelta(seconds=CHINA_OFFSET)
    return [(epoch + timedelta(days=day), wh / 1000) for day, wh in sorted(sums.items())[-days:]]


def span_of(nodes: MeteringNodes, meter: Meter) -> Span | None:
    """How much of a meter is read; None while its grid company's node does not answer."""
    try:
        return nodes.of(meter.measured_by).span(meter.meter_id)
    except GridNodeUnavailable:
        return None
