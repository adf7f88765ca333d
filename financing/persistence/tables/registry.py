"""Projects, readings, monitoring periods, issuances, serial blocks and retirements."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from financing.persistence.columns import Int64, RowId, UtcDateTime


class ProjectRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "project"
    __table_args__ = (CheckConstraint("capacity_w > 0", name="project_capacity"),)
    id: str = Field(primary_key=True)
    owner_id: str = Field(foreign_key="organisation.id", index=True)
    name: str
    methodology: str
    methodology_version: int
    capacity_w: int = Field(sa_type=Int64)
    grid_connected_on: date
    crediting_from: date
    crediting_until: date
    latitude: float
    longitude: float
    declarations: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)


class MeterRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "meter"
    id: str = Field(primary_key=True)
    project_id: str = Field(foreign_key="project.id", index=True)
    interval_minutes: int


class ReadingRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "reading"
    __table_args__ = (
        CheckConstraint("generation_wh >= 0", name="reading_generation"),
        CheckConstraint("export_wh IS NULL OR export_wh BETWEEN 0 AND generation_wh", name="reading_export"),
    )
    meter_id: str = Field(primary_key=True, foreign_key="meter.id")
    starts_at: int = Field(primary_key=True, sa_type=Int64, sa_column_kwargs={"autoincrement": False})
    generation_wh: int = Field(sa_type=Int64)
    export_wh: int | None = Field(sa_type=Int64)


class MonitoringPeriodRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "monitoring_period"
    __table_args__ = (
        CheckConstraint("starts_at < ends_at", name="period_order"),
        CheckConstraint("state IN ('submitted','accepted','rejected','issued')", name="period_state"),
        CheckConstraint("green_power_sold_wh >= 0", name="period_green_power"),
        Index("period_by_meter", "meter_id", "starts_at"),
    )
    id: str = Field(primary_key=True)
    project_id: str = Field(foreign_key="project.id", index=True)
    meter_id: str = Field(foreign_key="meter.id")
    starts_at: datetime = Field(sa_type=UtcDateTime)
    ends_at: datetime = Field(sa_type=UtcDateTime)
    green_power_sold_wh: int = Field(sa_type=Int64)
    state: str
    generation_wh: int = Field(sa_type=Int64)
    reading_count: int
    gap_count: int
    commitment: str
    findings: list[Any] = Field(sa_type=JSON)
    submitted_at: datetime = Field(sa_type=UtcDateTime)


class VerificationRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "verification_statement"
    id: str = Field(primary_key=True)
    period_id: str = Field(foreign_key="monitoring_period.id", unique=True)
    verifier_id: str = Field(foreign_key="organisation.id")
    outcome: str
    commitment: str
    generation_wh: int = Field(sa_type=Int64)
    remarks: str
    stated_at: datetime = Field(sa_type=UtcDateTime)


class IssuanceRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "issuance"
    __table_args__ = (CheckConstraint("quantity_kg > 0", name="issuance_quantity"),)
    id: str = Field(primary_key=True)
    period_id: str = Field(foreign_key="monitoring_period.id", unique=True)
    project_id: str = Field(foreign_key="project.id", index=True)
    asset_class: str
    vintage: int
    quantity_kg: int = Field(sa_type=Int64)
    carried_in_kg: int = Field(sa_type=Int64)
    carried_out_kg: int = Field(sa_type=Int64)
    workings: dict[str, Any] = Field(sa_type=JSON)
    issued_at: datetime = Field(sa_type=UtcDateTime)


class SerialBlockRow(SQLModel, table=True):
    """Which account holds which kilograms of an issuance. A split writes new rows and closes the old one."""

    __tablename__: ClassVar[str] = "serial_block"
    __table_args__ = (
        CheckConstraint("1 <= first_kg AND first_kg <= last_kg", name="serial_order"),
        CheckConstraint("until_entry_id IS NULL OR until_entry_id > since_entry_id", name="serial_life"),
        UniqueConstraint("issuance_id", "first_kg", "since_entry_id", name="serial_identity"),
        Index("serial_by_account", "account_id", "until_entry_id"),
    )
    id: int = Field(primary_key=True, sa_type=RowId)
    issuance_id: str = Field(foreign_key="issuance.id")
    account_id: int = Field(sa_type=Int64, foreign_key="account.id")
    first_kg: int = Field(sa_type=Int64)
    last_kg: int = Field(sa_type=Int64)
    since_entry_id: int = Field(sa_type=Int64)
    until_entry_id: int | None = Field(sa_type=Int64)


class RetirementRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "retirement"
    __table_args__ = (CheckConstraint("quantity_kg > 0", name="retirement_quantity"),)
    certificate: str = Field(primary_key=True)
    owner_id: str = Field(foreign_key="organisation.id", index=True)
    issuance_id: str = Field(foreign_key="issuance.id")
    quantity_kg: int = Field(sa_type=Int64)
    beneficiary: str
    purpose: str
    serials: list[Any] = Field(sa_type=JSON)
    entry_id: int = Field(sa_type=Int64, foreign_key="entry.id")
    retired_at: datetime = Field(sa_type=UtcDateTime)
