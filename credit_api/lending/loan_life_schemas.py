"""The life of loans over HTTP: schedules, events, approvals, business dates, alerts, reports, disposal auctions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, Literal, Self

from pydantic import Field

from credit_api.http.fields import (
    Fen,
    FenPerTonne,
    Id,
    Kg,
    Moment,
    RequestModel,
    ResponseModel,
    Text,
)
from credit_api.lending.schemas import PledgeOut
from financing.base.parameters.records import LendingProduct
from financing.lending.business_day.store import Alert, ClosedDay
from financing.lending.loans.commands import Schedule
from financing.lending.loans.days import date_of
from financing.lending.loans.rolling import Dues
from financing.lending.loans.store import StoredEvent
from financing.lending.origination.approving import Approval
from financing.lending.origination.security_store import StoredSecurity


class InstalmentOut(ResponseModel):
    due_on: date
    interest_fen: int
    principal_fen: int

    @classmethod
    def each(cls, dues: Dues) -> list[Self]:
        return [
            cls(due_on=date_of(day), interest_fen=interest, principal_fen=principal)
            for day, interest, principal in zip(
                dues.due_on.tolist(), dues.interest.tolist(), dues.principal.tolist(), strict=True
            )
        ]


class ScheduleOut(ResponseModel):
    """What fell due, and what will if everything is paid on its day and the rate stays."""

    loan_id: str
    fallen_due: list[InstalmentOut]
    to_come: list[InstalmentOut]

    @classmethod
    def of(cls, loan_id: str, schedule: Schedule) -> Self:
        fallen, ahead = InstalmentOut.each(schedule.fallen_due), InstalmentOut.each(schedule.to_come)
        return cls(loan_id=loan_id, fallen_due=fallen, to_come=ahead)


class TrancheIn(RequestModel):
    amount_fen: Fen


class ServicingIn(RequestModel):
    """What is to happen to a loan. `rate`: annual_rate_bps; `holiday`: until, full (interest deferred too);
    `restructuring`: until, scheme, annual_rate_bps, capitalised (arrears become principal); `recovery`: amount_fen."""

    kind: Literal["rate", "holiday", "restructuring", "freeze", "unfreeze", "write_off", "recovery"]
    value_on: date | None = Field(default=None, description="the day it takes effect; today if left out")
    amount_fen: Fen | None = None
    annual_rate_bps: int | None = Field(default=None, strict=True, ge=0, le=3_600)
    until: date | None = None
    scheme: Literal["bullet", "interest_only", "equal_principal", "annuity"] | None = None
    full: bool = Field(default=False, strict=True)
    capitalised: bool = Field(default=False, strict=True)


class TargetReviewIn(RequestModel):
    """Whether the reduction that a sustainability-linked loan agreed on was reached, by the evidence named."""

    reached: bool = Field(strict=True)
    evidence_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class EventOut(ResponseModel):
    sequence: int
    kind: str
    value_on: date
    amount_fen: int
    annual_rate_bps: int | None
    until: date | None
    external_id: str | None
    reversed: bool
    entry_id: int | None
    recorded_by: str
    recorded_at: datetime

    @classmethod
    def of(cls, stored: StoredEvent) -> Self:
        event = stored.event
        return cls(
            sequence=event.sequence,
            kind=event.kind.value,
            value_on=event.value_on,
            amount_fen=event.amount.fen,
            annual_rate_bps=event.rate.bps if event.rate else None,
            until=event.until,
            external_id=stored.external_id,
            reversed=event.reversed,
            entry_id=stored.entry_id,
            recorded_by=stored.actor_id,
            recorded_at=stored.recorded_at,
        )


class ApprovalIn(RequestModel):
    outcome: Literal["confirmed", "refused"]
    note: Text = Field(description="why; kept with the decision")


class ApprovalOut(ResponseModel):
    decision_id: str
    maker: str
    checker: str
    outcome: str
    note: str
    decided_at: datetime

    @classmethod
    def of(cls, approval: Approval) -> Self:
        return cls(
            decision_id=approval.decision_id,
            maker=approval.maker,
            checker=approval.checker,
            outcome=approval.outcome,
            note=approval.note,
            decided_at=approval.decided_at,
        )


class SubstitutionIn(RequestModel):
    by_pledge_id: Id = Field(description="a pledge that the borrower reserved for the bank")
    registration_number: Text


class SubstitutedOut(ResponseModel):
    new: PledgeOut
    old: PledgeOut


class DisposalAuctionIn(RequestModel):
    """A falling-price auction of pledged credits. The reserve is the mark less the haircut; it is not chosen."""

    quantity_kg: Kg = Field(description="whole tonnes: a multiple of 1000")
    start_fen_per_tonne: FenPerTonne
    decrement_fen_per_tonne: FenPerTonne
    step_seconds: int = Field(strict=True, ge=1, le=86_400)
    opens_at: Moment
    closes_at: Moment


class BusinessDaysIn(RequestModel):
    through: date | None = Field(default=None, description="the last date to close; yesterday (China) if left out")


class BusinessDayOut(ResponseModel):
    day: date
    closed_at: datetime
    loans: int
    parked: int
    steps: list[dict[str, Any]]
    entry_id: int | None

    @classmethod
    def of(cls, closed: ClosedDay) -> Self:
        return cls(
            day=closed.day,
            closed_at=closed.closed_at,
            loans=closed.loans,
            parked=closed.parked,
            steps=[dict(step) for step in closed.steps],
            entry_id=closed.entry_id,
        )


class BusinessDaysOut(ResponseModel):
    """Dates that were closed, in order; empty when there was nothing to close."""

    days: list[BusinessDayOut]


class AlertOut(ResponseModel):
    day: date
    kind: str
    subject: str
    detail: str

    @classmethod
    def each(cls, alerts: Iterable[Alert]) -> list[Self]:
        return [cls(day=a.day, kind=a.kind, subject=a.subject, detail=a.detail) for a in alerts]


class ProductOut(ResponseModel):
    """A product as its file has it today: security, standard, price, repayment, and who approved it."""

    product: str
    version: int
    name_zh: str
    name_en: str
    eligible_classes: list[str]
    securities: list[dict[str, Any]]
    amount_fen_min: int
    amount_fen_max: int
    tenor_days_max: int
    scheme: str
    day_count: str
    period_months: int
    interest_only_months: list[int]
    rate_reset_months: int
    score_min: int
    probability_bps_max: int
    rate_grid: dict[str, int]
    rate_bps_max: int
    cure_days: int
    cure_day_kind: str
    tranches_max: int
    arrangement_fee_bps: int
    green: dict[str, Any] | None
    refinancing_facility: bool
    second_person_above_fen: int
    second_person_limit_fen: int
    prepared_by: str
    approved_by: str
    approved_on: date
    file_sha256: str

    @classmethod
    def of(cls, product: LendingProduct) -> Self:
        shared: Mapping[str, Any] = {
            name: getattr(product, name)
            for name in cls.model_fields
            if name not in {"product", "securities", "rate_grid", "green", "prepared_by", "approved_by", "approved_on"}
            and name != "file_sha256"
        }
        return cls(
            product=product.key,
            securities=[rule.model_dump() for rule in product.securities],
            rate_grid={row.grade: row.spread_bps for row in product.rate_grid},
            green=product.green.model_dump() if product.green else None,
            prepared_by=product.approval.prepared_by,
            approved_by=product.approval.approved_by,
            approved_on=product.approval.approved_on,
            file_sha256=product.version_hash,
            **{name: list(value) if isinstance(value, tuple) else value for name, value in shared.items()},
        )


class GuaranteeIn(RequestModel):
    """The caller answers for what `borrower_id` owes the bank, up to the amount."""

    bank_id: Id
    borrower_id: Id
    amount_fen: Fen
    valid_until: date
    evidence_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the signed deed")


class EarningsIn(RequestModel):
    """What a plant of the caller will earn: `receivable` electricity bills (share: used on the roof's own site), or an
    `income_stream` of future reductions (share: claimed by nobody else)."""

    bank_id: Id
    project_id: Id
    kind: Literal["receivable", "income_stream"]
    years: int = Field(strict=True, ge=1, le=25)
    share_bps: int = Field(strict=True, ge=0, le=10_000)
    evidence_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the contract")


class SecurityOut(ResponseModel):
    """A security with its workings. It is no issued credit and cannot be pledged, sold or retired as one."""

    security_id: str
    kind: str
    provider_id: str
    bank_id: str
    borrower_id: str
    value_fen: int
    since: date
    valid_until: date
    state: str
    loan_id: str | None
    evidence_sha256: str
    registration_number: str | None
    workings: dict[str, Any]

    @classmethod
    def of(cls, stored: StoredSecurity) -> Self:
        security = stored.security
        return cls(
            security_id=security.security_id,
            kind=security.kind,
            provider_id=security.provider,
            bank_id=security.bank,
            borrower_id=security.borrower,
            value_fen=security.value.fen,
            since=security.since,
            valid_until=security.valid_until,
            state=stored.state,
            loan_id=stored.loan_id,
            evidence_sha256=stored.evidence_hash,
            registration_number=stored.registration_number,
            workings=stored.record,
        )
