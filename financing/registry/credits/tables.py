"""Issuances, serial blocks and carry-over."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, RowId, UtcDateTime
from financing.registry.credits.model import IssuedFor


class IssuanceRow(IssuedFor, SQLModel, table=True):
    """Credits of one monitoring period, or minted for credits that another region's registry locked (`transfer_id`)."""

    __tablename__: ClassVar[str] = "issuance"
    __table_args__ = (
        ForeignKeyConstraint(["registry_id"], ["organisation.id"]),
        ForeignKeyConstraint(["project_id"], ["project.id"]),
        ForeignKeyConstraint(["owner_id"], ["organisation.id"]),
        UniqueConstraint("transfer_id"),
        Index("ix_issuance_registry_id", "registry_id"),
        Index("ix_issuance_project_id", "project_id"),
        Index("ix_issuance_owner_id", "owner_id"),
        CheckConstraint("quantity_kg > 0", name="issuance_quantity"),
        CheckConstraint("(period_id IS NULL) <> (transfer_id IS NULL)", name="issuance_origin"),
    )
    id: str = Field(primary_key=True)
    registry_code: str
    period_id: str | None = Field(foreign_key="monitoring_period.id", unique=True)
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


class CarryOverRow(SQLModel, table=True):
    """How the kilograms of an accepted period became whole tonnes. `seq` numbers a project's periods as issued."""

    __tablename__: ClassVar[str] = "carry_over"
    __table_args__ = (
        CheckConstraint(
            "carried_in_kg + reduction_kg = issued_kg + carried_out_kg AND issued_kg % 1000 = 0", name="carry_conserves"
        ),
        CheckConstraint(
            "carried_in_kg BETWEEN 0 AND 999 AND carried_out_kg BETWEEN 0 AND 999 AND reduction_kg >= 0",
            name="carry_remainder",
        ),
        CheckConstraint("buffer_kg BETWEEN 0 AND issued_kg", name="carry_buffer"),
        UniqueConstraint("project_id", "seq", name="carry_sequence"),
    )
    period_id: str = Field(primary_key=True, foreign_key="monitoring_period.id")
    project_id: str = Field(foreign_key="project.id")
    seq: int
    carried_in_kg: int = Field(sa_type=Int64)
    reduction_kg: int = Field(sa_type=Int64)
    issued_kg: int = Field(sa_type=Int64)
    buffer_kg: int = Field(sa_type=Int64)
    carried_out_kg: int = Field(sa_type=Int64)
