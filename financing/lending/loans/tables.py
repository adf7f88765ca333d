"""Loans: who owes whom, the columns of the book, dues and events."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, RowId, UtcDateTime


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


class PortfolioRow(SQLModel, table=True):
    """The loans of one bank on one product: what the general ledger sums over."""

    __tablename__: ClassVar[str] = "loan_portfolio"
    __table_args__ = (UniqueConstraint("bank_id", "product", name="portfolio_identity"),)
    id: int = Field(primary_key=True, sa_type=RowId)
    bank_id: str = Field(foreign_key="organisation.id")
    product: str


class LoanAccountRow(SQLModel, table=True):
    """The books of one loan, taken to `accrued_to`: the columns of `financing.lending.loans.book.LoanBook`."""

    __tablename__: ClassVar[str] = "loan_account"
    __table_args__ = (
        CheckConstraint("principal_fen >= 0 AND principal_due_fen >= 0", name="account_principal"),
        CheckConstraint("principal_due_fen <= principal_fen", name="account_principal_due"),
        CheckConstraint("interest_paid_fen <= interest_billed_fen", name="account_interest"),
        CheckConstraint("interest_num >= 0 AND penal_num >= 0 AND penal_paid_fen >= 0", name="account_numerators"),
        CheckConstraint("state IN (0, 1, 2)", name="account_state"),
        CheckConstraint("state <> 1 OR principal_fen = 0", name="account_repaid"),
        CheckConstraint("allowance_fen >= 0", name="account_allowance"),
    )
    number: int = Field(primary_key=True, sa_type=RowId, foreign_key="loan.number")
    portfolio: int = Field(sa_type=Int64, foreign_key="loan_portfolio.id")
    scheme: int
    basis: int
    period_months: int
    due_day: int
    interest_only_months: int
    rate_bps: int
    spread_bps: int
    prime_term: int
    shifted: int
    reset_months: int
    penal_bps: int
    principal_first: int
    matures_on: date
    next_reset_on: date | None = None
    holiday_until: date | None = None
    holiday_full: int
    frozen: int
    restructured: int
    secured_fen: int = Field(sa_type=Int64)
    disbursed_fen: int = Field(sa_type=Int64)
    received_fen: int = Field(sa_type=Int64)
    principal_fen: int = Field(sa_type=Int64)
    principal_due_fen: int = Field(sa_type=Int64)
    principal_billed_fen: int = Field(sa_type=Int64)
    instalment_fen: int = Field(sa_type=Int64)
    accrued_to: date
    next_due_on: date | None = None
    interest_num: int = Field(sa_type=Int64)
    interest_closed_fen: int = Field(sa_type=Int64)
    interest_billed_fen: int = Field(sa_type=Int64)
    interest_paid_fen: int = Field(sa_type=Int64)
    penal_num: int = Field(sa_type=Int64)
    penal_paid_fen: int = Field(sa_type=Int64)
    written_principal_fen: int = Field(sa_type=Int64)
    written_interest_fen: int = Field(sa_type=Int64)
    recovered_fen: int = Field(sa_type=Int64)
    oldest_due_on: date | None = None
    state: int
    pd_origin_bps: int
    pd_bps: int
    risk_class: int
    stage: int
    allowance_fen: int = Field(sa_type=Int64)
    coverage: int
    market_fen: int = Field(sa_type=Int64)
    lendable_fen: int = Field(sa_type=Int64)
    after_haircut_fen: int = Field(sa_type=Int64)


class LoanDueRow(SQLModel, table=True):
    """An instalment that fell due, with what had fallen due in all by then. Late entries may set it anew."""

    __tablename__: ClassVar[str] = "loan_due"
    __table_args__ = (CheckConstraint("interest_fen >= 0 AND principal_fen >= 0", name="due_amounts"),)
    number: int = Field(primary_key=True, sa_type=Int64, foreign_key="loan.number")
    due_on: date = Field(primary_key=True)
    interest_fen: int = Field(sa_type=Int64)
    principal_fen: int = Field(sa_type=Int64)
    interest_total_fen: int = Field(sa_type=Int64)
    principal_total_fen: int = Field(sa_type=Int64)


class LoanEventRow(SQLModel, table=True):
    """What happened to a loan, in the order of entry. `external_id` is the payer's own and stays with a reversal."""

    __tablename__: ClassVar[str] = "loan_event"
    __table_args__ = (
        CheckConstraint("amount_fen >= 0", name="event_amount"),
        UniqueConstraint("number", "sequence", name="event_sequence"),
        Index("event_external", "number", "external_id"),
    )
    id: int = Field(primary_key=True, sa_type=RowId)
    number: int = Field(sa_type=Int64, foreign_key="loan.number")
    sequence: int
    kind: str
    value_on: date
    amount_fen: int = Field(sa_type=Int64)
    record: dict[str, Any] = Field(sa_type=JSON)
    external_id: str | None = None
    reversed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    entry_id: int | None = Field(default=None, sa_type=Int64, foreign_key="entry.id")
    actor_id: str = Field(foreign_key="organisation.id")
    recorded_at: datetime = Field(sa_type=UtcDateTime)
