"""Closed business dates, parked loans and alerts."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, RowId, UtcDateTime
from financing.lending.business_day.outcome import DayOutcome


class BusinessDayRow(DayOutcome, SQLModel, table=True):
    """A business date that a bank closed: exactly once, in order, with what each step found."""

    __tablename__: ClassVar[str] = "business_day"
    __table_args__ = (CheckConstraint("loans >= 0 AND parked >= 0", name="business_day_counts"),)
    bank_id: str = Field(primary_key=True, foreign_key="organisation.id")
    day: date = Field(primary_key=True)
    closed_at: datetime = Field(sa_type=UtcDateTime)
    steps: list[dict[str, Any]] = Field(sa_type=JSON)
    entry_id: int | None = Field(default=None, sa_type=Int64, foreign_key="entry.id")


class ParkedLoanRow(SQLModel, table=True):
    """A loan that an end of day could not take forward, and why."""

    __tablename__: ClassVar[str] = "parked_loan"
    number: int = Field(primary_key=True, sa_type=Int64, foreign_key="loan.number")
    day: date = Field(primary_key=True)
    fault: str


class AlertRow(SQLModel, table=True):
    """Something a person has to look at, once a business date and subject."""

    __tablename__: ClassVar[str] = "alert"
    __table_args__ = (UniqueConstraint("bank_id", "day", "kind", "subject", name="alert_once"),)
    id: int = Field(primary_key=True, sa_type=RowId)
    day: date = Field(index=True)
    kind: str
    subject: str
    bank_id: str = Field(foreign_key="organisation.id")
    detail: str
