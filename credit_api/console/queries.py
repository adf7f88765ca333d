"""What pages read beyond the stores: daily sums of readings, and single inquiries of the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select

from credit_api.inquiries import Inquiry, inquiry_t
from financing.errors import NotFound
from financing.persistence.registry_store import meter_t, reading_t

DAY = 86_400
CHINA_OFFSET = 8 * 3_600


def daily_kwh(connection: Connection, project_id: str, days: int) -> list[tuple[datetime, float]]:
    """Generation a day (China) of a project's meters, in kWh, over the last `days` days that have readings."""
    day = ((reading_t.c.starts_at + CHINA_OFFSET) // DAY).label("day")
    mine = select(meter_t.c.id).where(meter_t.c.project_id == project_id)
    last = connection.execute(
        select(func.max(reading_t.c.starts_at)).where(reading_t.c.meter_id.in_(mine))
    ).scalar_one()
    if last is None:
        return []
    rows = connection.execute(
        select(day, func.sum(reading_t.c.generation_wh).label("wh"))
        .where(reading_t.c.meter_id.in_(mine), reading_t.c.starts_at > last - days * DAY)
        .group_by(day)
        .order_by(day)
    )
    epoch = datetime(1970, 1, 1, tzinfo=UTC) - timedelta(seconds=CHINA_OFFSET)
    return [(epoch + timedelta(days=int(row.day)), int(row.wh) / 1000) for row in rows]


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
