"""Meters' public keys and the grid companies' signed metering statements."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select

from financing.base.signing import Signature
from financing.base.storage.columns import table_of
from financing.base.storage.store import Store, value_of
from financing.registry.metering.model import MeteringStatement, MeterKey
from financing.registry.metering.tables import MeteringStatementRow, MeterKeyRow

key_t = table_of(MeterKeyRow)
statement_t = table_of(MeteringStatementRow)


class MeteringStore(Store):
    def add_key(self, key: MeterKey, at: datetime) -> None:
        """Let a meter sign with this key from now on."""
        before = select(func.count()).select_from(key_t).where(key_t.c.meter_id == key.meter_id)
        self._add(key_t, key, seq=self._connection.execute(before).scalar_one(), registered_at=at)

    def key(self, meter_id: str) -> MeterKey | None:
        """The meter's last key; None for a meter registered before keys were asked for."""
        query = select(key_t).where(key_t.c.meter_id == meter_id).order_by(key_t.c.seq.desc()).limit(1)
        row = self._connection.execute(query).first()
        return None if row is None else value_of(MeterKey, row)

    def key_is_known(self, public_key: str) -> bool:
        """Whether a meter has or had this key."""
        return self._connection.execute(select(key_t).where(key_t.c.public_key == public_key)).first() is not None

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
