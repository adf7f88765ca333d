"""What a claim of neutrality may still use: retirements with what no other claim has used of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, Select, func, or_, select

from financing.base.quantities import Carbon
from financing.registry.neutrality.store import match_t
from financing.registry.retirement.model import Retirement
from financing.registry.retirement.store import retirement_of, retirement_t


def usable(connection: Connection, entity_id: str, most: int) -> list[tuple[Retirement, Carbon]]:
    """Retirements by the entity or for it, with what is left of each, newest first, at most `most`."""
    used = _used().subquery()
    left = (retirement_t.c.quantity_kg - func.coalesce(used.c.used_kg, 0)).label("left_kg")
    query = (
        select(retirement_t.c.record, left)
        .outerjoin(used, used.c.certificate_number == retirement_t.c.certificate_number)
        .where(
            or_(
                retirement_t.c.retired_by == entity_id,
                retirement_t.c.record["beneficiary"].as_string() == entity_id,
            ),
            left > 0,
        )
        .order_by(retirement_t.c.number.desc())
        .limit(most)
    )
    rows: Iterable[Row[Any]] = connection.execute(query)
    return [(retirement_of(row), Carbon(int(row.left_kg))) for row in rows]


def _used() -> Select[tuple[str, int]]:
    return (
        select(match_t.c.certificate_number, func.sum(match_t.c.quantity_kg).label("used_kg"))
        .where(match_t.c.freed.is_(False))
        .group_by(match_t.c.certificate_number)
    )
