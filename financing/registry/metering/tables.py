"""Keys of meters, signed totals, and the readings that an older version kept here."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, ForeignKeyConstraint
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, UtcDateTime
from financing.registry.metering.model import StatedMeter


class ReadingRow(SQLModel, table=True):
    """Readings from before they had a home at the grid nodes; closed, and emptied when they are moved there."""

    __tablename__: ClassVar[str] = "reading"
    __table_args__ = (
        CheckConstraint("generation_wh >= 0", name="reading_generation"),
        CheckConstraint("export_wh IS NULL OR export_wh BETWEEN 0 AND generation_wh", name="reading_export"),
    )
    meter_id: str = Field(primary_key=True, foreign_key="meter.id")
    starts_at: int = Field(primary_key=True, sa_type=Int64, sa_column_kwargs={"autoincrement": False})
    generation_wh: int = Field(sa_type=Int64)
    export_wh: int | None = Field(sa_type=Int64)


class MeterKeyRow(SQLModel, table=True):
    """The Ed25519 keys that a meter signs with, one after the other by `seq`; the last one holds. `held_by` service: a
    sandbox keeps the private key for its grid."""

    __tablename__: ClassVar[str] = "meter_key"
    __table_args__ = (
        CheckConstraint("length(public_key) = 64", name="meter_key_length"),
        CheckConstraint("held_by IN ('meter','service')", name="meter_key_holder"),
    )
    meter_id: str = Field(primary_key=True, foreign_key="meter.id")
    seq: int = Field(primary_key=True)
    public_key: str
    held_by: str
    registered_at: datetime = Field(sa_type=UtcDateTime)
    why: str = ""


class MeteringStatementRow(StatedMeter, SQLModel, table=True):
    """What a grid company states of one meter and period: totals, completeness, findings, commitment; signed."""

    __tablename__: ClassVar[str] = "metering_statement"
    __table_args__ = (
        ForeignKeyConstraint(["grid_id"], ["organisation.id"]),
        CheckConstraint("energy_wh >= 0", name="metering_statement_energy"),
    )
    period_id: str = Field(primary_key=True, foreign_key="monitoring_period.id")
    meter_id: str = Field(primary_key=True, foreign_key="meter.id")
    energy_wh: int = Field(sa_type=Int64)
    document: dict[str, Any] = Field(sa_type=JSON)
    public_key: str
    signature: str
