"""Meters' public keys and the grid companies' signed metering statements."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, select

from financing.base.signing import Signature
from financing.base.storage.columns import table_of
from financing.registry.metering.model import MeteringStatement, MeterKey
from financing.registry.metering.tables import MeteringStatementRow, MeterKeyRow

key_t = table_of(MeterKeyRow)
statement_t = table_of(MeteringStatementRow)


class MeteringStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add_key(self, key: MeterKey, at: datetime) -> None:
        self._connection.execute(
            insert(key_t).values(
                meter_id=key.meter_id, public_key=key.public_key, held_by=key.held_by, registered_at=at
            )
        )

    def key(self, meter_id: str) -> MeterKey | None:
        """The meter's key; None for a meter registered before keys were asked for."""
        row = self._connection.execute(select(key_t).where(key_t.c.meter_id == meter_id)).first()
        return None if row is None else MeterKey(row.meter_id, row.public_key, row.held_by)

    def add_statement(self, statement: MeteringStatement) -> None:
        self._connection.execute(
            insert(statement_t).values(
                period_id=statement.period_id,
                meter_id=statement.meter_id,
                grid_id=statement.grid_id,
                energy_wh=statement.energy_wh,
                commitment=statement.commitment,
                document=statement.document,
                public_key=statement.signature.public_key,
                signature=statement.signature.signature,
            )
        )

    def statements(self, period_id: str) -> list[MeteringStatement]:
        rows = self._connection.execute(
            select(statement_t).where(statement_t.c.period_id == period_id).order_by(statement_t.c.meter_id)
        )
        return [
            MeteringStatement(
                period_id=row.period_id,
                meter_id=row.meter_id,
                grid_id=row.grid_id,
                energy_wh=row.energy_wh,
                commitment=row.commitment,
                document=row.document,
                signature=Signature(row.grid_id, row.public_key, row.signature),
            )
            for row in rows
        ]
