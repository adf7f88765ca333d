"""Pledges, decisions, loans, margin calls and business dates as they are answered over HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field

from credit_api.http.fields import ResponseModel, TextPair, read
from financing.base.parameters.records import GreenTerms, LendingProduct, ProductTerms
from financing.lending.business_day.outcome import ClosedDay, DayOutcome
from financing.lending.collateral.margin import StoredCall
from financing.lending.collateral.pledge import PledgeStanding, StoredPledge
from financing.lending.collateral.standing import LoanCoverage
from financing.lending.loans.classification import RiskClass
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
    bank_id: str = read("pledgee")
    issuance_id: str
    quantity_kg: int
    outstanding_kg: int
    loan_id: str | None
    reserved_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, stored: StoredPledge) -> Self:
        return cls.joined(stored, stored.pledge, stored.pledge.lot, stored.use)


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
    requested_fen: int = read("amount")
    outcome: str
    max_amount_fen: int
    annual_rate_bps: int | None = read("rate")
    lendable_fen: int | None
    loss_given_default_bps: int | None = read("workings?.loss_given_default")
    expected_loss_fen: int | None = read("workings?.expected_loss")
    reasons: list[ReasonOut]
    model_version: str | None
    assessment_id: str | None = Field(
        description="the statement that it rests on; of decisions of before there were statements, the inquiry"
    )
    parameter_hashes: dict[str, str]
    pledge_ids: list[str]
    decided_at: datetime
    valid_until: datetime

    @classmethod
    def of(cls, record: DecisionRecord) -> Self:
        hashes = dict(record.decision.parameter_hashes)
        return cls.joined(record, record.decision, record.application, parameter_hashes=hashes)


class DebtOut(ResponseModel):
    """A loan and all that is owed on it."""

    loan_id: str
    debt_fen: int


class CallOut(DebtOut):
    """A margin call with the debt as it was when the call was made."""

    margin_call_id: str = read("call_id")
    state: str
    market_value_fen: int = read("market")
    shortfall_fen: int
    cash_cure_fen: int = read("cash")
    cure_by: date
    called_at: datetime
    closed_at: datetime | None

    @classmethod
    def of(cls, stored: StoredCall) -> Self:
        return cls.joined(stored, stored.call)


class CreditCureOut(ResponseModel):
    asset_class: str
    value_fen: int
    quantity_kg: int


class LoanOut(DebtOut):
    """A loan as it stands today: debt, collateral, coverage and what would cure it."""

    decision_id: str
    bank_id: str = read("lender")
    borrower_id: str
    product: str
    state: str
    annual_rate_bps: int = read("rate")
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
    coverage: str = read("coverage.status.label")
    collateral_kg: int
    collateral_value_fen: int | None = read("coverage.market")
    ltv_bps: int | None = read("coverage.ltv")
    warn_fen: int | None = read("coverage.lines?.warn")
    call_fen: int | None = read("coverage.lines?.call")
    liquidate_fen: int | None = read("coverage.lines?.liquidate")
    pledge_ids: list[str]
    margin_call: CallOut | None
    cash_cure_fen: int | None
    credit_cures: list[CreditCureOut]

    @classmethod
    def of(cls, standing: LoanCoverage) -> Self:
        stored, book = standing.stored, standing.stored.book
        return cls.joined(
            standing,
            standing.debt,
            stored,
            stored.loan,
            debt_fen=standing.debt.total,
            risk_class=RiskClass(int(book.risk_class[0])).name.lower(),
            stage=int(book.stage[0]),
            allowance_fen=int(book.allowance[0]),
            collateral_kg=sum(held.pledge.outstanding.kg for held in standing.pledges),
            pledge_ids=[held.pledge.pledge_id for held in standing.pledges],
            margin_call=CallOut.of(standing.call) if standing.call else None,
        )


class RepaymentOut(ResponseModel):
    penal_fen: int
    interest_fen: int
    principal_fen: int
    loan: LoanOut

    @classmethod
    def of(cls, repaid: Repaid) -> Self:
        return cls.joined(repaid.allocation, loan=LoanOut.of(repaid.standing))


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
        return [cls.joined(due_on=day, interest=interest, principal=part) for day, interest, part in dues.instalments()]


Instalments = Annotated[list[InstalmentOut], BeforeValidator(InstalmentOut.each)]


class ScheduleOut(ResponseModel):
    """What fell due, and what will if everything is paid on its day and the rate stays."""

    loan_id: str
    fallen_due: Instalments
    to_come: Instalments


class LoanEventOut(ResponseModel):
    """An event of a loan as it is on record; `event` is what happened, told apart by its `kind`."""

    sequence: int
    event: Happening
    external_id: str | None
    reversed: bool
    entry_id: int | None
    recorded_by: str = read("actor_id")
    recorded_at: datetime

    @classmethod
    def of(cls, stored: StoredEvent) -> Self:
        return cls.joined(stored, stored.event, event=stored.event.what)


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


class ProductOut(ProductTerms, ResponseModel):
    """A product as its file has it today: security, standard, price, repayment, and who approved it."""

    product: str = read("key")
    rate_grid: dict[str, int]
    green: GreenTerms | None
    prepared_by: str
    approved_by: str
    approved_on: date
    file_sha256: str = read("version_hash")

    @classmethod
    def of(cls, product: LendingProduct) -> Self:
        grid = {row.grade: row.spread_bps for row in product.rate_grid}
        return cls.joined(product, product.approval, rate_grid=grid)


class SecurityOut(SecurityStanding, ResponseModel):
    """A security with its workings. It is no issued credit and cannot be pledged, sold or retired as one."""

    security_id: str
    provider_id: str
    bank_id: str
    borrower_id: str
    value_fen: int
    loan_id: str | None
    workings: dict[str, Any] = read("record")

    @classmethod
    def of(cls, stored: StoredSecurity) -> Self:
        return cls.joined(stored, stored.security)


class WaterfallOut(ResponseModel):
    """Where the proceeds of a disposal went; the parts add up to the proceeds."""

    proceeds_fen: int
    costs_fen: int
    penal_fen: int
    interest_fen: int
    principal_fen: int
    surplus_fen: int
    unpaid_debt_fen: int = read("bad_debt")
