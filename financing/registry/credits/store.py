"""Issuances on one connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, select

from financing.base.quantities import Carbon
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.store import Store, value_of
from financing.ledger.serials import SerialText
from financing.registry.credits.model import Issuance
from financing.registry.credits.tables import IssuanceRow

issuance_t = table_of(IssuanceRow)


class IssuanceStore(Store):
    def add(self, issuance: Issuance) -> None:
        self._add(issuance_t, issuance, id=issuance.issuance_id)

    def get(self, issuance_id: str) -> Issuance:
        query = select(issuance_t).where(issuance_t.c.id == issuance_id)
        return issuance_of(self._one(query, "no such issuance", issuance_id=issuance_id))

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
    return value_of(Issuance, row, issuance_id=row.id)
