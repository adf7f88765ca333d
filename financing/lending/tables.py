"""Prices, over-the-counter offers, decisions, loans, pledges and margin calls."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, RowId, UtcDateTime


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
    recorded_by: str = Field(foreign_key="organisation.id")
    recorded_at: datetime = Field(sa_type=UtcDateTime)


class OfferRow(SQLModel, table=True):
    """`pledge_id` is set when a lender sells collateral; the seller is the lender then."""

    __tablename__: ClassVar[str] = "offer"
    __table_args__ = (
        CheckConstraint("quantity_kg > 0 AND fen_per_tonne > 0", name="offer_positive"),
        CheckConstraint("seller_id <> buyer_id", name="offer_parties"),
        CheckConstraint("state IN ('open','accepted','withdrawn','expired')", name="offer_state"),
        CheckConstraint("(state = 'accepted') = (entry_id IS NOT NULL)", name="offer_settled"),
    )
    id: str = Field(primary_key=True)
    seller_id: str = Field(foreign_key="organisation.id", index=True)
    buyer_id: str = Field(foreign_key="organisation.id", index=True)
    issuance_id: str = Field(foreign_key="issuance.id")
    quantity_kg: int = Field(sa_type=Int64)
    fen_per_tonne: int = Field(sa_type=Int64)
    state: str
    offered_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    pledge_id: str | None = Field(default=None, foreign_key="pledge.id")
    entry_id: int | None = Field(default=None, sa_type=Int64, foreign_key="entry.id")


class DecisionRow(SQLModel, table=True):
    """Application, assessment, valuation and decision as they stood: enough to decide again and get the same."""

    __tablename__: ClassVar[str] = "credit_decision"
    __table_args__ = (
        CheckConstraint("outcome IN ('approve','refer','decline')", name="decision_outcome"),
        CheckConstraint("requested_fen > 0 AND max_amount_fen >= 0", name="decision_amounts"),
    )
    id: str = Field(primary_key=True)
    bank_id: str = Field(foreign_key="organisation.id", index=True)
    borrower_id: str = Field(foreign_key="organisation.id", index=True)
    product: str
    maker: str
    requested_fen: int = Field(sa_type=Int64)
    outcome: str
    max_amount_fen: int = Field(sa_type=Int64)
    record: dict[str, Any] = Field(sa_type=JSON)
    decided_at: datetime = Field(sa_type=UtcDateTime)


class ApprovalRow(SQLModel, table=True):
    """A second person's word on a decision; the schema knows that it is a second one."""

    __tablename__: ClassVar[str] = "decision_approval"
    __table_args__ = (
        CheckConstraint("maker <> checker", name="approval_two_people"),
        CheckConstraint("outcome IN ('confirmed','refused')", name="approval_outcome"),
    )
    decision_id: str = Field(primary_key=True, foreign_key="credit_decision.id")
    maker: str
    checker: str
    outcome: str
    note: str
    decided_at: datetime = Field(sa_type=UtcDateTime)


class LoanRow(SQLModel, table=True):
    """What was agreed. Its books are the loan account of the same number."""

    __tablename__: ClassVar[str] = "loan"
    __table_args__ = (CheckConstraint("committed_fen > 0", name="loan_committed"),)
    id: str = Field(primary_key=True)
    number: int = Field(sa_type=Int64, unique=True)
    decision_id: str = Field(foreign_key="credit_decision.id", unique=True)
    bank_id: str = Field(foreign_key="organisation.id", index=True)
    borrower_id: str = Field(foreign_key="organisation.id", index=True)
    product: str
    committed_fen: int = Field(sa_type=Int64)
    terms: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)


class PledgeRow(SQLModel, table=True):
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
    asset_class: str
    quantity_kg: int = Field(sa_type=Int64)
    released_kg: int = Field(sa_type=Int64)
    disposed_kg: int = Field(sa_type=Int64)
    state: str
    loan_id: str | None = Field(default=None, foreign_key="loan.id", index=True)
    registration_number: str | None = None
    registered_on: date | None = None
    freeze_number: str | None = None
    evidence_hash: str | None = None
    compliance_year: int | None = None
    surrender_by: date | None = None
    carry_over: bool = False
    reserved_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)


class DisposalAuctionRow(SQLModel, table=True):
    """An auction in which a lender sells pledged credits: the proceeds go through the loan's waterfall."""

    __tablename__: ClassVar[str] = "disposal_auction"
    auction_id: str = Field(primary_key=True, foreign_key="auction.id")
    pledge_id: str = Field(foreign_key="pledge.id")
    loan_id: str = Field(foreign_key="loan.id", index=True)
    opened_at: datetime = Field(sa_type=UtcDateTime)


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
