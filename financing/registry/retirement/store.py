"""Retirements and what they used up, on one connection."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, func, insert, select

from financing.base.quantities import Carbon
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.records import Codec
from financing.base.storage.store import Store
from financing.registry.retirement.model import Retirement
from financing.registry.retirement.tables import RetirementLineRow, RetirementRow

retirement_t = table_of(RetirementRow)
retirement_line_t = table_of(RetirementLineRow)
_retirements = Codec(Retirement)


class RetirementStore(Store):
    def next_number(self) -> int:
        return 1 + (self._connection.execute(select(func.max(retirement_t.c.number))).scalar_one() or 0)

    def add(self, retirement: Retirement, *, number: int, entry_id: int) -> None:
        self._add(retirement_t, retirement, number=number, record=_retirements.encode(retirement), entry_id=entry_id)
        used: dict[str, int] = {}
        for block in retirement.blocks:
            used[block.issuance_id] = used.get(block.issuance_id, 0) + block.quantity.kg
        self._connection.execute(
            insert(retirement_line_t),
            [
                {"certificate_number": retirement.certificate_number, "issuance_id": each, "quantity_kg": kilograms}
                for each, kilograms in used.items()
            ],
        )

    def get(self, certificate_number: str) -> Retirement:
        query = select(retirement_t.c.record).where(retirement_t.c.certificate_number == certificate_number)
        return retirement_of(self._one(query, "no such certificate", certificate_number=certificate_number))

    def all(self, retired_by: str | None = None, *, window: Window = ALL) -> Page[Retirement]:
        """What one organisation retired, or (None) everyone, newest first."""
        query = select(retirement_t.c.number, retirement_t.c.record)
        if retired_by is not None:
            query = query.where(retirement_t.c.retired_by == retired_by)
        keys = (Key(retirement_t.c.number, descending=True),)
        return page_of(self._connection, query, keys, window, retirement_of)

    def retired(self) -> Carbon:
        """How much was ever retired."""
        total = select(func.coalesce(func.sum(retirement_t.c.quantity_kg), 0))
        return Carbon(int(self._connection.execute(total).scalar_one()))


def retirement_of(row: Row[Any]) -> Retirement:
    return _retirements.decode(row.record)
