"""Projects, meters, readings, monitoring periods, issuances, serial blocks and retirements."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, RowId, UtcDateTime


class ProjectRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "project"
    __table_args__ = (CheckConstraint("capacity_w > 0", name="project_capacity"),)
    id: str = Field(primary_key=True)
    code: str = Field(unique=True)
    owner_id: str = Field(foreign_key="organisation.id", index=True)
    name: str
    methodology: str
    capacity_w: int | None = Field(sa_type=Int64)
    record: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)


class MeterRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "meter"
    id: str = Field(primary_key=True)
    project_id: str = Field(foreign_key="project.id", index=True)
    measured_by: str = Field(foreign_key="organisation.id", index=True)
    interval_minutes: int


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


class MonitoringPeriodRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "monitoring_period"
    __table_args__ = (
        CheckConstraint("starts_at < ends_at", name="period_order"),
        CheckConstraint("state IN ('submitted','accepted','rejected','issued')", name="period_state"),
        CheckConstraint("generation_wh >= 0 AND reduction_kg >= 0", name="period_amounts"),
    )
    id: str = Field(primary_key=True)
    project_id: str = Field(foreign_key="project.id", index=True)
    starts_at: datetime = Field(sa_type=UtcDateTime)
    ends_at: datetime = Field(sa_type=UtcDateTime)
    state: str = Field(index=True)
    generation_wh: int = Field(sa_type=Int64)
    reduction_kg: int = Field(sa_type=Int64)
    commitment: str
    record: dict[str, Any] = Field(sa_type=JSON)
    submitted_at: datetime = Field(sa_type=UtcDateTime)


class MeterClaimRow(SQLModel, table=True):
    """One meter's time, claimed by one monitoring period; a trigger refuses a second claim unless it was rejected."""

    __tablename__: ClassVar[str] = "meter_claim"
    __table_args__ = (Index("meter_claim_by_meter", "meter_id"),)
    period_id: str = Field(primary_key=True, foreign_key="monitoring_period.id")
    meter_id: str = Field(primary_key=True, foreign_key="meter.id")


class IssuanceRow(SQLModel, table=True):
    """Credits of one monitoring period, or minted for credits that another region's registry locked (`transfer_id`)."""

    __tablename__: ClassVar[str] = "issuance"
    __table_args__ = (
        CheckConstraint("quantity_kg > 0", name="issuance_quantity"),
        CheckConstraint("(period_id IS NULL) <> (transfer_id IS NULL)", name="issuance_origin"),
    )
    id: str = Field(primary_key=True)
    registry_id: str = Field(foreign_key="organisation.id", index=True)
    registry_code: str
    period_id: str | None = Field(foreign_key="monitoring_period.id", unique=True)
    transfer_id: str | None = Field(default=None, unique=True)
    project_id: str = Field(foreign_key="project.id", index=True)
    owner_id: str = Field(foreign_key="organisation.id", index=True)
    asset_class: str
    methodology_tag: str
    project_code: str
    vintage: int
    first_day: date
    last_day: date
    quantity_kg: int = Field(sa_type=Int64)
    issued_at: datetime = Field(sa_type=UtcDateTime)


class SerialBlockRow(SQLModel, table=True):
    """Which account holds which kilograms of an issuance. A move closes the row and opens new ones: nothing is lost."""

    __tablename__: ClassVar[str] = "serial_block"
    __table_args__ = (
        CheckConstraint("1 <= first_kg AND first_kg <= last_kg", name="serial_order"),
        CheckConstraint("until_entry_id IS NULL OR until_entry_id > since_entry_id", name="serial_life"),
        UniqueConstraint("issuance_id", "first_kg", "since_entry_id", name="serial_identity"),
        Index("serial_by_account", "account_id", "until_entry_id"),
        Index(
            "serial_held",
            "account_id",
            "issuance_id",
            "first_kg",
            sqlite_where=text("until_entry_id IS NULL"),
            postgresql_where=text("until_entry_id IS NULL"),
        ),
        Index(
            "serial_open",
            "issuance_id",
            "first_kg",
            sqlite_where=text("until_entry_id IS NULL"),
            postgresql_where=text("until_entry_id IS NULL"),
        ),
    )
    id: int = Field(primary_key=True, sa_type=RowId)
    issuance_id: str = Field(foreign_key="issuance.id")
    account_id: int = Field(sa_type=Int64, foreign_key="account.id")
    first_kg: int = Field(sa_type=Int64)
    last_kg: int = Field(sa_type=Int64)
    history: list[Any] = Field(sa_type=JSON)
    since_entry_id: int = Field(sa_type=Int64, foreign_key="entry.id")
    until_entry_id: int | None = Field(sa_type=Int64, foreign_key="entry.id")


class RetirementRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "retirement"
    __table_args__ = (CheckConstraint("quantity_kg > 0", name="retirement_quantity"),)
    certificate_number: str = Field(primary_key=True)
    number: int = Field(unique=True, sa_type=Int64)
    retired_by: str = Field(foreign_key="organisation.id", index=True)
    quantity_kg: int = Field(sa_type=Int64)
    record: dict[str, Any] = Field(sa_type=JSON)
    entry_id: int = Field(sa_type=Int64, foreign_key="entry.id")
    retired_at: datetime = Field(sa_type=UtcDateTime)


class RetirementLineRow(SQLModel, table=True):
    """What a retirement used of each issuance."""

    __tablename__: ClassVar[str] = "retirement_line"
    __table_args__ = (CheckConstraint("quantity_kg > 0", name="retirement_line_quantity"),)
    certificate_number: str = Field(primary_key=True, foreign_key="retirement.certificate_number")
    issuance_id: str = Field(primary_key=True, foreign_key="issuance.id", index=True)
    quantity_kg: int = Field(sa_type=Int64)
