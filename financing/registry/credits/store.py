"""Issuances on one connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from financing.base.errors import NotFound
from financing.base.quantities import Carbon
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.ledger.serials import SerialText
from financing.registry.credits.model import Issuance
from financing.registry.credits.tables import IssuanceRow

issuance_t = table_of(IssuanceRow)


class IssuanceStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, issuance: Issuance) -> None:
        self._connection.execute(
            insert(issuance_t).values(
                id=issuance.issuance_id,
                registry_id=issuance.registry_id,
                registry_code=issuance.registry_code,
                transfer_id=issuance.transfer_id,
                period_id=issuance.period_id,
                project_id=issuance.project_id,
                owner_id=issuance.owner_id,
                asset_class=issuance.asset_class,
                methodology_tag=issuance.methodology_tag,
                project_code=issuance.project_code,
                vintage=issuance.vintage,
                first_day=issuance.first_day,
                last_day=issuance.last_day,
                quantity_kg=issuance.quantity.kg,
                issued_at=issuance.issued_at,
            )
        )

    def get(self, issuance_id: str) -> Issuance:
        row = self._connection.execute(select(issuance_t).where(issuance_t.c.id == issuance_id)).first()
        if row is None:
            raise NotFound("no such issuance", issuance_id=issuance_id)
        return issuance_of(row)

    def these(self, issuance_ids: Sequence[str]) -> list[Issuance]:
        """The issuances with these ids, in no order."""
        rows = self._connection.execute(select(issuance_t).where(issuance_t.c.id.in_(issuance_ids)))
        return [issuance_of(row) for row in rows]

    def of_serial(self, text: SerialText) -> Issuance | None:
        """The issuance whose credits carry such a serial number."""
        row = self._connection.execute(
            select(issuance_t).where(
                issuance_t.c.registry_code == text.registry_code,
                issuance_t.c.methodology_tag == text.methodology_tag,
                issuance_t.c.project_code == text.project_code,
                issuance_t.c.first_day == text.first_day,
                issuance_t.c.last_day == text.last_day,
            )
        ).first()
        return issuance_of(row) if row else None

    def all(self, *, newest_first: bool = False, window: Window = ALL) -> Page[Issuance]:
        """Everything ever issued, in the order of issue or the other way round."""
        keys = (Key(issuance_t.c.issued_at, newest_first), Key(issuance_t.c.id, newest_first))
        return page_of(self._connection, select(issuance_t), keys, window, issuance_of)

    def issued(self) -> tuple[int, Carbon]:
        """How many issuances there are, and how much was issued."""
        row = self._connection.execute(select(func.count(), func.coalesce(func.sum(issuance_t.c.quantity_kg), 0))).one()
        return int(row[0]), Carbon(int(row[1]))


def issuance_of(row: Row[Any]) -> Issuance:
    return Issuance(
        issuance_id=row.id,
        registry_id=row.registry_id,
        registry_code=row.registry_code,
        period_id=row.period_id,
        project_id=row.project_id,
        owner_id=row.owner_id,
        asset_class=row.asset_class,
        methodology_tag=row.methodology_tag,
        project_code=row.project_code,
        vintage=row.vintage,
        first_day=row.first_day,
        last_day=row.last_day,
        quantity=Carbon(row.quantity_kg),
        issued_at=row.issued_at,
        transfer_id=row.transfer_id,
    )
