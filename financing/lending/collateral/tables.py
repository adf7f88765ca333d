"""Pledges and margin calls."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, UtcDateTime
from financing.lending.collateral.pledge import PledgeStanding


class PledgeRow(PledgeStanding, SQLModel, table=True):
    """A pledge; what its pledgor states of its use are columns of the same names."""

    """`registration_number` is that of the movable-property registry, recorded when the pledge is posted; the freeze is
    the exchange's. `compliance_year` and `surrender_by` say when an allowance loses its use."""

    __tablename__: ClassVar[str] = "pledge"
    __table_args__ = (
        CheckConstraint("state IN ('reserved','posted','void','expired','released','disposed')", name="pledge_state"),
        CheckConstraint(
            "quantity_kg > 0 AND released_kg >= 0 AND disposed_kg >= 0 AND released_kg + disposed_kg <= quantity_kg",
            name="pledge_quantity",
        ),
        CheckConstraint("state <> 'posted' OR (loan_id IS NOT NULL)", name="pledge_loan"),
    )
    id: str = Field(primary_key=True)
    pledgor_id: str = Field(foreign_key="organisation.id", index=True)
    pledgee_id: str = Field(foreign_key="organisation.id", index=True)
    issuance_id: str = Field(foreign_key="issuance.id")
    quantity_kg: int = Field(sa_type=Int64)
    released_kg: int = Field(sa_type=Int64)
    disposed_kg: int = Field(sa_type=Int64)
    loan_id: str | None = Field(default=None, foreign_key="loan.id", index=True)
    reserved_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)


class MarginCallRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "margin_call"
    __table_args__ = (
        CheckConstraint("state IN ('open','cured','closed')", name="margin_call_state"),
        CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="margin_call_closed"),
        Index(
            "margin_call_open",
            "loan_id",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )
    id: str = Field(primary_key=True)
    loan_id: str = Field(foreign_key="loan.id", index=True)
    state: str
    debt_fen: int = Field(sa_type=Int64)
    market_fen: int = Field(sa_type=Int64)
    shortfall_fen: int = Field(sa_type=Int64)
    cash_fen: int = Field(sa_type=Int64)
    cure_by: date
    called_at: datetime = Field(sa_type=UtcDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
