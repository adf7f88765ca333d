"""The loan book: accounts of loans, what happened to them, instalments fallen due; and the end of day's own records."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, RowId, UtcDateTime


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


class SecurityRow(SQLModel, table=True):
    """A receivable, a future income or a guarantee behind a loan: valued when it was given, with its workings."""

    __tablename__: ClassVar[str] = "security"
    __table_args__ = (
        CheckConstraint("value_fen > 0", name="security_value"),
        CheckConstraint("kind IN ('receivable','income_stream','guarantee')", name="security_kind"),
        CheckConstraint("state IN ('offered','posted','released','withdrawn')", name="security_state"),
        CheckConstraint("(state = 'posted') <= (loan_id IS NOT NULL)", name="security_loan"),
        CheckConstraint("kind <> 'guarantee' OR provider_id <> borrower_id", name="security_guarantor"),
    )
    id: str = Field(primary_key=True)
    kind: str
    provider_id: str = Field(foreign_key="organisation.id", index=True)
    bank_id: str = Field(foreign_key="organisation.id", index=True)
    borrower_id: str = Field(foreign_key="organisation.id", index=True)
    value_fen: int = Field(sa_type=Int64)
    since: date
    valid_until: date
    state: str
    evidence_hash: str
    registration_number: str | None = None
    record: dict[str, Any] = Field(sa_type=JSON)
    loan_id: str | None = Field(default=None, foreign_key="loan.id", index=True)
    offered_at: datetime = Field(sa_type=UtcDateTime)


class BusinessDayRow(SQLModel, table=True):
    """A business date that a bank closed: exactly once, in order, with what each step found."""

    __tablename__: ClassVar[str] = "business_day"
    __table_args__ = (CheckConstraint("loans >= 0 AND parked >= 0", name="business_day_counts"),)
    bank_id: str = Field(primary_key=True, foreign_key="organisation.id")
    day: date = Field(primary_key=True)
    closed_at: datetime = Field(sa_type=UtcDateTime)
    loans: int
    parked: int
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
