"""Decisions, the second person's word, and security beside credits."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, UtcDateTime
from financing.lending.origination.decision import Approval
from financing.lending.origination.securities import SecurityStanding


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


class ApprovalRow(Approval, SQLModel, table=True):
    """A second person's word on a decision; the schema knows that it is a second one."""

    __tablename__: ClassVar[str] = "decision_approval"
    __table_args__ = (
        CheckConstraint("maker <> checker", name="approval_two_people"),
        CheckConstraint("outcome IN ('confirmed','refused')", name="approval_outcome"),
    )
    decision_id: str = Field(primary_key=True, foreign_key="credit_decision.id")
    decided_at: datetime = Field(sa_type=UtcDateTime)


class SecurityRow(SecurityStanding, SQLModel, table=True):
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
    provider_id: str = Field(foreign_key="organisation.id", index=True)
    bank_id: str = Field(foreign_key="organisation.id", index=True)
    borrower_id: str = Field(foreign_key="organisation.id", index=True)
    value_fen: int = Field(sa_type=Int64)
    record: dict[str, Any] = Field(sa_type=JSON)
    loan_id: str | None = Field(default=None, foreign_key="loan.id", index=True)
    offered_at: datetime = Field(sa_type=UtcDateTime)
