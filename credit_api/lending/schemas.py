"""Pledges, decisions, loans, margin calls and business dates as they are answered over HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Self

from credit_api.http.fields import ResponseModel, TextPair
from financing.base.parameters.records import GreenTerms, LendingProduct, ProductTerms
from financing.lending.business_day.outcome import ClosedDay, DayOutcome
from financing.lending.business_day.store import Alert
from financing.lending.collateral.disposal import Waterfall
from financing.lending.collateral.margin import StoredCall
from financing.lending.collateral.pledge import PledgeStanding, StoredPledge
from financing.lending.collateral.standing import LoanCoverage
from financing.lending.loans.classification import RiskClass
from financing.lending.loans.commands import Schedule
from financing.lending.loans.days import date_of
from financing.lending.loans.events import Happening, StoredEvent
from financing.lending.loans.rolling import Dues
from financing.lending.origination.commands import Repaid
from financing.lending.origination.decision import DecisionRecord
from financing.lending.origination.securities import SecurityStanding
from financing.lending.origination.security_store import StoredSecurity


class PledgeOut(PledgeStanding, ResponseModel):
    """A pledge as it stands, with what its pledgor stated of its use."""

    pledge_id: str
    pledgor_id: str
    bank_id: str
    issuance_id: str
    quantity_kg: int
    outstanding_kg: int
    loan_id: str | None
    reserved_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, stored: StoredPledge) -> Self:
        pledge = stored.pledge
        return cls(
            pledge_id=pledge.pledge_id,
            pledgor_id=pledge.pledgor,
            bank_id=pledge.pledgee,
            issuance_id=stored.issuance_id,
            asset_class=pledge.lot.asset_class,
            quantity_kg=pledge.lot.quantity.kg,
            outstanding_kg=pledge.outstanding.kg,
            state=pledge.state.value,
            loan_id=pledge.loan_id,
            registration_number=stored.registration_number,
            registered_on=stored.registered_on,
            freeze_number=stored.freeze_number,
            **stored.use.model_dump(),
            reserved_at=pledge.reserved_at,
            expires_at=pledge.expires_at,
        )


class SubstitutedOut(ResponseModel):
    new: PledgeOut
    old: PledgeOut

    @classmethod
    def of(cls, pledges: tuple[StoredPledge, StoredPledge]) -> Self:
        new, old = pledges
        return cls(new=PledgeOut.of(new), old=PledgeOut.of(old))


class ReasonOut(TextPair):
    outcome: str


class DecisionOut(ResponseModel):
    decision_id: str
    borrower_id: str
    product: str
    requested_fen: int
    outcome: str
    max_amount_fen: int
    annual_rate_bps: int | None
    lendable_fen: int | None
    loss_given_default_bps: int | None
    expected_loss_fen: int | None
    reasons: list[ReasonOut]
    model_version: str | None
    parameter_hashes: dict[str, str]
    pledge_ids: list[str]
    decided_at: datetime
    valid_until: datetime

    @classmethod
    def of(cls, record: DecisionRecord) -> Self:
        decision, workings = record.decision, record.decision.workings
        return cls(
            decision_id=record.decision_id,
            borrower_id=record.borrower_id,
            product=record.application.product,
            requested_fen=record.application.amount.fen,
            outcome=decision.outcome,
            max_amount_fen=decision.max_amount.fen,
            annual_rate_bps=decision.rate.bps if decision.rate else None,
            lendable_fen=decision.lendable.fen if decision.lendable is not None else None,
            loss_given_default_bps=workings.loss_given_default.bps if workings else None,
            expected_loss_fen=workings.expected_loss.fen if workings else None,
            reasons=[
                ReasonOut(code=each.code, zh=each.zh, en=each.en, outcome=each.outcome) for each in decision.reasons
            ],
            model_version=decision.model_version,
            parameter_hashes=dict(decision.parameter_hashes),
            pledge_ids=list(record.pledge_ids),
            decided_at=decision.decided_at,
            valid_until=decision.valid_until,
        )


class DebtOut(ResponseModel):
    """A loan and all that is owed on it."""

    loan_id: str
    debt_fen: int


class CallOut(DebtOut):
    """A margin call with the debt as it was when the call was made."""

    margin_call_id: str
    state: str
    market_value_fen: int
    shortfall_fen: int
    cash_cure_fen: int
    cure_by: date
    called_at: datetime
    closed_at: datetime | None

    @classmethod
    def of(cls, stored: StoredCall) -> Self:
        return cls(
            margin_call_id=stored.call_id,
            loan_id=stored.call.loan_id,
            state=stored.state,
            debt_fen=stored.call.debt.fen,
            market_value_fen=stored.market.fen,
            shortfall_fen=stored.call.shortfall.fen,
            cash_cure_fen=stored.call.cash.fen,
            cure_by=stored.call.cure_by,
            called_at=stored.call.called_at,
            closed_at=stored.closed_at,
        )


class CreditCureOut(ResponseModel):
    asset_class: str
    value_fen: int
    quantity_kg: int


class LoanOut(DebtOut):
    """A loan as it stands today: debt, collateral, coverage and what would cure it."""

    decision_id: str
    bank_id: str
    borrower_id: str
    product: str
    state: str
    annual_rate_bps: int
    disbursed_on: date
    matures_on: date
    drawn_fen: int
    principal_fen: int
    interest_fen: int
    penal_fen: int
    days_past_due: int
    risk_class: str
    stage: int
    allowance_fen: int
    coverage: str
    collateral_kg: int
    collateral_value_fen: int | None
    ltv_bps: int | None
    warn_fen: int | None
    call_fen: int | None
    liquidate_fen: int | None
    pledge_ids: list[str]
    margin_call: CallOut | None
    cash_cure_fen: int | None
    credit_cures: list[CreditCureOut]

    @classmethod
    def of(cls, standing: LoanCoverage) -> Self:
        loan, seen = standing.stored.loan, standing.coverage
        return cls(
            loan_id=loan.loan_id,
            decision_id=standing.stored.decision_id,
            bank_id=loan.lender,
            borrower_id=loan.borrower,
            product=standing.stored.product,
            state=loan.state.value,
            annual_rate_bps=loan.rate.bps,
            disbursed_on=loan.disbursed_on,
            matures_on=loan.matures_on,
            drawn_fen=loan.drawn.fen,
            principal_fen=standing.debt.principal.fen,
            interest_fen=standing.debt.interest.fen,
            penal_fen=standing.debt.penal.fen,
            days_past_due=standing.days_past_due,
            risk_class=RiskClass(int(standing.stored.book.risk_class[0])).name.lower(),
            stage=int(standing.stored.book.stage[0]),
            allowance_fen=int(standing.stored.book.allowance[0]),
            debt_fen=standing.debt.total.fen,
            coverage=seen.status.label,
            collateral_kg=sum(held.pledge.outstanding.kg for held in standing.pledges),
            collateral_value_fen=seen.market.fen if seen.market is not None else None,
            ltv_bps=seen.ltv.bps if seen.ltv is not None else None,
            warn_fen=seen.lines.warn.fen if seen.lines else None,
            call_fen=seen.lines.call.fen if seen.lines else None,
            liquidate_fen=seen.lines.liquidate.fen if seen.lines else None,
            pledge_ids=[held.pledge.pledge_id for held in standing.pledges],
            margin_call=CallOut.of(standing.call) if standing.call else None,
            cash_cure_fen=standing.cash_cure.fen if standing.cash_cure is not None else None,
            credit_cures=[
                CreditCureOut(asset_class=cure.asset_class, value_fen=cure.value.fen, quantity_kg=cure.quantity.kg)
                for cure in standing.credit_cures
            ],
        )


class RepaymentOut(ResponseModel):
    penal_fen: int
    interest_fen: int
    principal_fen: int
    loan: LoanOut

    @classmethod
    def of(cls, repaid: Repaid) -> Self:
        split = repaid.allocation
        return cls(
            penal_fen=split.penal.fen,
            interest_fen=split.interest.fen,
            principal_fen=split.principal.fen,
            loan=LoanOut.of(repaid.standing),
        )


class RevaluedOut(ResponseModel):
    loans: list[LoanOut]

    @classmethod
    def of(cls, standings: Iterable[LoanCoverage]) -> Self:
        return cls(loans=[LoanOut.of(standing) for standing in standings])


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


class LoanEventOut(ResponseModel):
    """An event of a loan as it is on record; `event` is what happened, told apart by its `kind`."""

    sequence: int
    event: Happening
    external_id: str | None
    reversed: bool
    entry_id: int | None
    recorded_by: str
    recorded_at: datetime

    @classmethod
    def of(cls, stored: StoredEvent) -> Self:
        return cls(
            sequence=stored.event.sequence,
            event=stored.event.what,
            external_id=stored.external_id,
            reversed=stored.event.reversed,
            entry_id=stored.entry_id,
            recorded_by=stored.actor_id,
            recorded_at=stored.recorded_at,
        )


class BusinessDayOut(DayOutcome, ResponseModel):
    """A closed business date, as its bank is shown it."""


class BusinessDaysOut(ResponseModel):
    """Dates that were closed, in order; empty when there was nothing to close."""

    days: list[BusinessDayOut]

    @classmethod
    def of(cls, closed: Iterable[ClosedDay]) -> Self:
        return cls(days=[BusinessDayOut.model_validate(day) for day in closed])


class AlertOut(ResponseModel):
    day: date
    kind: str
    subject: str
    detail: str

    @classmethod
    def of(cls, alert: Alert) -> Self:
        return cls(day=alert.day, kind=alert.kind, subject=alert.subject, detail=alert.detail)


class ProductOut(ProductTerms, ResponseModel):
    """A product as its file has it today: security, standard, price, repayment, and who approved it."""

    product: str
    rate_grid: dict[str, int]
    green: GreenTerms | None
    prepared_by: str
    approved_by: str
    approved_on: date
    file_sha256: str

    @classmethod
    def of(cls, product: LendingProduct) -> Self:
        return cls(
            product=product.key,
            rate_grid={row.grade: row.spread_bps for row in product.rate_grid},
            prepared_by=product.approval.prepared_by,
            approved_by=product.approval.approved_by,
            approved_on=product.approval.approved_on,
            file_sha256=product.version_hash,
            **{name: getattr(product, name) for name in ProductTerms.model_fields},
        )


class SecurityOut(SecurityStanding, ResponseModel):
    """A security with its workings. It is no issued credit and cannot be pledged, sold or retired as one."""

    security_id: str
    provider_id: str
    bank_id: str
    borrower_id: str
    value_fen: int
    loan_id: str | None
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
            evidence_sha256=stored.evidence_sha256,
            registration_number=stored.registration_number,
            workings=stored.record,
        )


class WaterfallOut(ResponseModel):
    """Where the proceeds of a disposal went; the parts add up to the proceeds."""

    proceeds_fen: int
    costs_fen: int
    penal_fen: int
    interest_fen: int
    principal_fen: int
    surplus_fen: int
    unpaid_debt_fen: int

    @classmethod
    def of(cls, flow: Waterfall) -> Self:
        return cls(
            proceeds_fen=flow.proceeds.fen,
            costs_fen=flow.costs.fen,
            penal_fen=flow.penal.fen,
            interest_fen=flow.interest.fen,
            principal_fen=flow.principal.fen,
            surplus_fen=flow.surplus.fen,
            unpaid_debt_fen=flow.bad_debt.fen,
        )
