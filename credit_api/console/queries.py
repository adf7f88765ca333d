"""What pages read beyond the stores: daily sums of readings, and single inquiries of the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, select

from credit_api.scores.inquiries import Inquiry, inquiry_t
from financing.base.errors import NotFound
from financing.registry.metering.node.port import MeteringNodes
from financing.registry.projects.model import Meter

CHINA_OFFSET = 8 * 3_600


def daily_kwh(nodes: MeteringNodes, meters: list[Meter], days: int) -> list[tuple[datetime, float]]:
    """Energy a day (China) of a project's meters, in kWh, over the last `days` days that have readings: sums that the
    grid nodes give to the owner, never single readings."""
    sums: dict[int, int] = {}
    for grid_id in sorted({meter.measured_by for meter in meters}):
        mine = tuple(meter.meter_id for meter in meters if meter.measured_by == grid_id)
        for day, wh in nodes.of(grid_id).daily_wh(mine, days).items():
            sums[day] = sums.get(day, 0) + wh
    epoch = datetime(1970, 1, 1, tzinfo=UTC) - timedelta(seconds=CHINA_OFFSET)
    return [(epoch + timedelta(days=day), wh / 1000) for day, wh in sorted(sums.items())[-days:]]


def inquiry_of(connection: Connection, inquiry_id: str, bank_id: str) -> Inquiry:
    """One inquiry of this bank's log. Raises `NotFound`, for another bank's too."""
    row = connection.execute(
        select(inquiry_t).where(inquiry_t.c.id == inquiry_id, inquiry_t.c.bank_id == bank_id)
    ).first()
    if row is None:
        raise NotFound("no such inquiry", inquiry_id=inquiry_id)
    return Inquiry(
        row.id, row.bank_id, row.subject_id, row.consent_id, row.purpose, row.outcome, row.answer, row.asked_at
    )


def inquiries_about(connection: Connection, bank_id: str, subject_id: str, limit: int = 20) -> list[Inquiry]:
    """This bank's inquiries about one subject, newest first."""
    rows = connection.execute(
        select(inquiry_t.c.id)
        .where(inquiry_t.c.bank_id == bank_id, inquiry_t.c.subject_id == subject_id)
        .order_by(inquiry_t.c.asked_at.desc(), inquiry_t.c.id)
        .limit(limit)
    )
    return [inquiry_of(connection, row.id, bank_id) for row in rows]
