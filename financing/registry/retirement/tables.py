"""Retirements and what was retired."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, UtcDateTime


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
