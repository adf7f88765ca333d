"""Meters' public keys and the grid companies' signed metering statements."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from financing.base.signing import Signature
from financing.base.storage.columns import table_of
from financing.base.storage.store import Store, value_of
from financing.registry.metering.model import MeteringStatement, MeterKey
from financing.registry.metering.tables import MeteringStatementRow, MeterKeyRow

key_t = table_of(MeterKeyRow)
statement_t = table_of(MeteringStatementRow)


class MeteringStore(Store):
    def add_key(self, key: MeterKey, at: datetime) -> None:
        self._add(key_t, key, registered_at=at)

    def key(self, meter_id: str) -> MeterKey | None:
        """The meter's key; None for a meter registered before keys were asked for."""
        row = self._connection.execute(select(key_t).where(key_t.c.meter_id == meter_id)).first()
        return None if row is None else MeterKey(row.meter_id, row.public_key, row.held_by)

    def add_statement(self, statement: MeteringStatement) -> None:
        self._add(statement_t, statement.signature, statement)

    def statements(self, period_id: str) -> list[MeteringStatement]:
        rows = self._connection.execute(
            select(statement_t).where(statement_t.c.period_id == period_id).order_by(statement_t.c.meter_id)
        )
        return [
            value_of(MeteringStatement, row, signature=Signature(row.grid_id, row.public_key, row.signature))
            for row in rows
        ]
