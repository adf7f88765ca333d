"""Prices, over-the-counter offers, decisions, loans, pledges and margin calls."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from financing.persistence.columns import Int64, RowId, UtcDateTime


class PriceRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "price_observation"
    __table_args__ = (
        CheckConstraint("fen_per_tonne > 0", name="price_positive"),
        Index("price_latest", "asset_class", "observed_at"),
    )
    id: int = Field(primary_key=True, sa_type=RowId)
    asset_class: str
    fen_per_tonne: int = Field(sa_type=Int64)
    observed_at: datetime = Field(sa_type=UtcDateTime)
    source: str
    confirmed: bool
    recorded_at: datetime = Field(sa_type=UtcDateTime)


class OfferRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "offer"
    __table_args__ = (
        CheckConstraint("quantity_kg > 0 AND fen_per_tonne > 0", name="offer_positive"),
        CheckConstraint("seller_id <> buyer_id", name="offer_parties"),
        CheckConstraint("state IN ('open','settled','withdrawn','expired')", name="offer_state"),
    )
    id: str = Field(primary_key=True)
    seller_id: str = Field(foreign_key="organisation.id", index=True)
    buyer_id: str = Field(foreign_key="organisation.id", index=True)
    issuance_id: str = Field(foreign_key="issuance.id")
    quantity_kg: int = Field(sa_type=Int64)
    fen_per_tonne: int = Field(sa_type=Int64)
    state: str
    expires_at: datetime = Field(sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    entry_id: int | None = Field(default=None, sa_type=Int64, foreign_key="entry.id")


class PledgeRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "pledge"
    __table_args__ = (
        CheckConstraint(
            "state IN ('reserved','posted','void','expired','released','disposed')", name="pledge_state"
        ),
        CheckConstraint("quantity_kg > 0", name="pledge_quantity"),
    )
    id: str = Field(primary_key=True)
    pledgor_id: str = Field(foreign_key="organisation.id", index=True)
    pledgee_id: str = Field(foreign_key="organisation.id", index=True)
    issuance_id: str = Field(foreign_key="issuance.id")
    asset_class: str
    quantity_kg: int = Field(sa_type=Int64)
    state: str
    loan_id: str | None = Field(default=None, foreign_key="loan.id", index=True)
    movable_property_registration: str | None = None
    expires_at: datetime | None = Field(sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    changed_at: datetime = Field(sa_type=UtcDateTime)


class DecisionRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "credit_decision"
    __table_args__ = (
        CheckConstraint("outcome IN ('approve','refer','decline')", name="decision_outcome"),
        CheckConstraint("requested_fen > 0 AND max_amount_fen >= 0", name="decision_amounts"),
    )
    id: str = Field(primary_key=True)
    bank_id: str = Field(foreign_key="organisation.id", index=True)
    borrower_id: str = Field(foreign_key="organisation.id", index=True)
    product: str
    requested_fen: int = Field(sa_type=Int64)
    tenor_days: int
    outcome: str
    max_amount_fen: int = Field(sa_type=Int64)
    annual_rate_bps: int | None
    record: dict[str, Any] = Field(sa_type=JSON)
    decided_at: datetime = Field(sa_type=UtcDateTime)


class LoanRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "loan"
    __table_args__ = (
        CheckConstraint("principal_fen > 0", name="loan_principal"),
        CheckConstraint("state IN ('active','repaid','defaulted')", name="loan_state"),
    )
    id: str = Field(primary_key=True)
    decision_id: str = Field(foreign_key="credit_decision.id", unique=True)
    bank_id: str = Field(foreign_key="organisation.id", index=True)
    borrower_id: str = Field(foreign_key="organisation.id", index=True)
    product: str
    principal_fen: int = Field(sa_type=Int64)
    annual_rate_bps: int
    disbursed_on: date
    matures_on: date
    accrued_until: date
    principal_paid_fen: int = Field(default=0, sa_type=Int64)
    state: str
    created_at: datetime = Field(sa_type=UtcDateTime)


class MarginCallRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "margin_call"
    __table_args__ = (
        CheckConstraint("state IN ('open','cured','disposed')", name="margin_call_state"),
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
    status: str
    debt_fen: int = Field(sa_type=Int64)
    value_fen: int = Field(sa_type=Int64)
    ltv_bps: int
    cure_cash_fen: int = Field(sa_type=Int64)
    cure_credits_kg: int = Field(sa_type=Int64)
    due_at: datetime = Field(sa_type=UtcDateTime)
    called_at: datetime = Field(sa_type=UtcDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
