"""Decide an application from score and collateral, disburse, accrue, repay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from financing.base.commands import Command, Fen, Id, Text, use_case
from financing.base.context import Context
from financing.base.errors import CoverageInsufficient, CreditStandardNotMet, InvalidState, NotPermitted, PeriodInvalid
from financing.base.parameters.records import LendingProduct
from financing.base.quantities import BPS_PER_UNIT, Money, Rate, business_date, ceil_div, rate_from_estimate_up
from financing.ledger.accounts import CNY, AccountKey, AccountKind
from financing.ledger.entries import EntryKind, Posting, pay
from financing.lending.collateral.commands import freeze, product_of
from financing.lending.collateral.pledge import PledgeState, StoredPledge
from financing.lending.collateral.standing import LoanCoverage, exposed, loan_coverage, settle_call
from financing.lending.loans.events import Disbursement, Repayment
from financing.lending.loans.loan import Allocation, LoanTerms, StoredLoan, open_book
from financing.lending.loans.recording import carry_forward, record_event
from financing.lending.origination.approving import require_checked
from financing.lending.origination.assessment import CreditAssessment, NoFile
from financing.lending.origination.decision import DecisionRecord, LoanApplication, decide, require_drawable
from financing.lending.origination.securing import offered
from financing.lending.origination.securities import supported
from financing.lending.unit import UnitOfWork
from financing.market.prices.model import Marked
from financing.valuation.marks import marks_of, value_lots
from financing.valuation.pools import require_priced, value_pool


class ApplyForLoan(Command):
    """A bank officer's application for a customer. Without a product, the usual one of the day."""

    borrower_id: Id
    product: Id | None = None
    amount_fen: Fen
    tenor_days: int = Field(strict=True, ge=1, le=3660)
    currency: Literal["CNY"] = Field(default="CNY", description="there is no other: a foreign amount is refused")
    pledge_ids: Annotated[list[Id], Field(max_length=100)] = Field(default_factory=list)
    security_ids: Annotated[list[Id], Field(max_length=20)] = Field(default_factory=list)


class DisburseLoan(Command):
    """`registration_number` is what the movable-property registry (动产融资统一登记) gave for the pledges."""

    decision_id: Id
    amount_fen: Fen
    registration_number: Text


class DrawTranche(Command):
    amount_fen: Fen


class AccrueLoan(Command):
    on: date


class RepayLoan(Command):
    amount_fen: Fen
    value_on: date | None = Field(default=None, description="the day the money came; today if left out")
    external_id: Id | None = Field(default=None, description="the payer's own number; recorded once")


@dataclass(frozen=True, slots=True)
class Repaid:
    stored: StoredLoan
    allocation: Allocation
    standing: LoanCoverage


@use_case
def decide_application(
    unit: UnitOfWork, context: Context, command: ApplyForLoan, credit: CreditAssessment | NoFile
) -> DecisionRecord:
    """Decide on the collateral reserved for the actor and on the score it was given. Every outcome is stored, a
    decline too.

    Raises `NotPermitted` (pledge of another, score of another subject), `InvalidState`, `AssessmentExpired`.
    """
    borrower = unit.organisations.get(command.borrower_id)
    if borrower.subject_id is None or credit.subject != borrower.subject_id:
        raise NotPermitted("the score is of another subject", borrower_id=borrower.id)
    pledges = _reserved(unit, context, command.pledge_ids, borrower.id)
    securities = offered(unit, context, command.security_ids, borrower.id)
    product = product_of(context, command.product)
    if not pledges and not securities:
        raise InvalidState("an application names what secures it")
    application = LoanApplication(
        application_id=context.new_id("app"),
        applicant=borrower.subject_id,
        lender=context.actor.id,
        product=product.key,
        amount=command.amount_fen,
        tenor_days=command.tenor_days,
        collateral=tuple(stored.pledge.lot for stored in pledges),
        securities=securities,
        collateral_valid_until=min((day for day in map(_use_ends, pledges) if day is not None), default=None),
    )
    on = business_date(context.at)
    marks = marks_of(unit, context.parameters, (lot.asset_class for lot in application.collateral), context.at)
    decision = decide(
        application,
        credit,
        value_pool(application.collateral, marks, context.parameters.classes_on(on)),
        product=product,
        parameters=context.parameters,
        at=context.at,
    )
    record = DecisionRecord(
        decision_id=context.new_id("dec"),
        borrower_id=borrower.id,
        application=application,
        pledge_ids=tuple(stored.pledge.pledge_id for stored in pledges),
        maker=context.person,
        credit=credit,
        prices=tuple(
            (key, mark.price.amount, mark.observed_at) for key, mark in marks.items() if isinstance(mark, Marked)
        ),
        decision=decision,
    )
    unit.decisions.add(record)
    return record


@use_case
def disburse_loan(unit: UnitOfWork, context: Context, command: DisburseLoan) -> LoanCoverage:
    """Draw an approved decision: post its pledges, book both sides of the debt and pay out, in one commit.

    The collateral is valued again: raises `CoverageInsufficient` when it no longer supports the amount, and
    `CreditStandardNotMet`, `InvalidState` (drawn already), `NotPermitted`, `PriceMissing` and its kin.
    """
    record = unit.decisions.get(command.decision_id)
    context.require_party(record.application.lender)
    if (drawn := unit.loans.of_decision(record.decision_id)) is not None:
        raise InvalidState("the decision was drawn already", loan_id=drawn)
    rate = require_drawable(record.decision, command.amount_fen, context.at)
    require_checked(unit, context, record)
    pledges = _reserved(unit, context, record.pledge_ids, record.borrower_id)
    lendable = require_priced(
        value_lots(unit, context.parameters, (stored.pledge.lot for stored in pledges), context.at)
    ).lendable
    signed_on = business_date(context.at)
    product = context.parameters.product(record.application.product, signed_on)
    securities = offered(
        unit, context, [each.security_id for each in record.application.securities], record.borrower_id
    )
    lendable += supported(securities, product)
    if command.amount_fen > lendable:
        raise CoverageInsufficient(
            "the collateral no longer supports the amount",
            amount_fen=command.amount_fen.fen,
            lendable_fen=lendable.fen,
        )
    terms = _terms(unit, context, record, product, rate, signed_on)
    committed = record.decision.max_amount if product.tranches_max > 1 else command.amount_fen
    stored = StoredLoan(terms, open_book(terms), record.decision_id, committed)
    unit.loans.add(stored, context.at)
    for pledge in pledges:
        freeze(unit, context, pledge, terms.loan_id, command.registration_number)
    for security in securities:
        unit.securities.post(security.security_id, terms.loan_id, command.registration_number)
    _pay_out(unit, context, stored, command.amount_fen, product)
    return loan_coverage(unit, context, terms.loan_id)


@use_case
def draw_tranche(unit: UnitOfWork, context: Context, loan_id: str, command: DrawTranche) -> LoanCoverage:
    """Pay out a further part of what was committed, as the lender, if the collateral still covers the whole debt.

    Raises `CreditStandardNotMet` (more than committed, more tranches than the product allows, decision lapsed),
    `CoverageInsufficient`, `InvalidState`, `PriceMissing` and its kin.
    """
    stored, amount = unit.loans.get(loan_id), command.amount_fen
    context.require_party(stored.terms.lender)
    record = unit.decisions.get(stored.decision_id)
    require_drawable(record.decision, amount, context.at)
    product = context.parameters.product(stored.product, stored.terms.signed_on)
    drawn = stored.loan.drawn
    if drawn + amount > stored.committed:
        raise CreditStandardNotMet(
            "the tranche is more than is left of the commitment",
            committed_fen=stored.committed.fen,
            drawn_fen=drawn.fen,
        )
    events = unit.loans.events(stored.terms.number)
    if sum(isinstance(each.event.what, Disbursement) for each in events) >= product.tranches_max:
        raise CreditStandardNotMet("the product allows no further tranche", tranches_max=product.tranches_max)
    standing = loan_coverage(unit, context, loan_id)
    lendable = require_priced(standing.pool).lendable
    if exposed(standing.debt.total + amount, stored) > lendable:
        raise CoverageInsufficient(
            "the collateral does not support the tranche",
            debt_fen=(standing.debt.total + amount).fen,
            lendable_fen=lendable.fen,
        )
    _pay_out(unit, context, stored, amount, product)
    return loan_coverage(unit, context, loan_id)


@use_case
def accrue_loan(unit: UnitOfWork, context: Context, loan_id: str, command: AccrueLoan) -> LoanCoverage:
    """Take a loan's books forward to a day, as the lender, and see how it stands.

    Raises `PeriodInvalid` for a date in the future or passed.
    """
    stored = unit.loans.get(loan_id)
    context.require_party(stored.terms.lender)
    if command.on > business_date(context.at):
        raise PeriodInvalid("interest is not booked for days to come", on=str(command.on))
    carry_forward(unit, context, stored, command.on)
    return loan_coverage(unit, context, loan_id)


@use_case
def repay_loan(unit: UnitOfWork, context: Context, loan_id: str, command: RepayLoan) -> Repaid:
    """Pay from the borrower's settlement balance; a call that it cures is closed. `value_on` dates it back.

    Raises `NotPermitted`, `OverpaymentRefused`, `InvalidState`, `InsufficientBalance`, `PeriodInvalid`.
    """
    stored = unit.loans.get(loan_id)
    context.require_party(stored.terms.borrower)
    product = context.parameters.running_product(stored.product, stored.terms.signed_on)
    payment = Repayment(
        value_on=command.value_on, amount_fen=command.amount_fen, shorten=product.prepayment == "shorten"
    )
    done = record_event(unit, context, stored, payment, EntryKind.REPAYMENT, external_id=command.external_id)
    settle_call(unit, context, loan_coverage(unit, context, loan_id))
    assert done.allocation is not None
    return Repaid(done.stored, done.allocation, loan_coverage(unit, context, loan_id))


def _use_ends(stored: StoredPledge) -> date | None:
    """The day on which a pledged allowance must be surrendered, unless what is left may be carried over."""
    return None if stored.use.carry_over else stored.use.surrender_by


def _pay_out(unit: UnitOfWork, context: Context, stored: StoredLoan, amount: Money, product: LendingProduct) -> None:
    fee = amount.scaled_half_even(Rate(product.arrangement_fee_bps).fraction())
    paid_out = Disbursement(amount_fen=amount)
    record_event(unit, context, stored, paid_out, EntryKind.DISBURSEMENT, extra=_fee(stored.terms, fee))


def _fee(terms: LoanTerms, fee: Money) -> Sequence[Posting]:
    """The bank's fee for arranging the loan, taken from what is paid out."""
    if not fee:
        return ()
    return (
        *pay(terms.borrower, terms.lender, fee),
        Posting(AccountKey(terms.borrower, AccountKind.FEE_EXPENSE, CNY, terms.loan_id), fee.fen),
        Posting(AccountKey(terms.lender, AccountKind.FEE_INCOME, CNY, terms.product), -fee.fen),
    )


def _terms(
    unit: UnitOfWork, context: Context, record: DecisionRecord, product: LendingProduct, rate: Rate, signed_on: date
) -> LoanTerms:
    workings, credit = record.decision.workings, record.credit
    assert workings is not None
    return LoanTerms(
        loan_id=context.new_id("loan"),
        number=unit.loans.next_number(),
        portfolio=unit.loans.portfolio(context.actor.id, product.key).portfolio_id,
        borrower=record.borrower_id,
        lender=context.actor.id,
        product=product.key,
        rate=rate,
        signed_on=signed_on,
        matures_on=signed_on + timedelta(days=record.application.tenor_days),
        scheme=product.scheme,
        basis=product.day_count,
        period_months=product.period_months,
        interest_only_months=product.interest_only_months,
        spread_bps=rate.bps - workings.prime_rate.bps,
        prime_term=product.lpr_term,
        shifted=product.business_days == "modified_following",
        reset_months=product.rate_reset_months,
        penal_bps=ceil_div(Fraction(rate.bps * product.penal_share_bps, BPS_PER_UNIT)),
        principal_first=product.principal_first_after_90_days,
        secured=supported(record.application.securities, product),
        probability_bps=rate_from_estimate_up(credit.probability).bps if isinstance(credit, CreditAssessment) else 0,
    )


def _reserved(
    unit: UnitOfWork, context: Context, pledge_ids: Sequence[str], borrower_id: str
) -> tuple[StoredPledge, ...]:
    if len(set(pledge_ids)) != len(pledge_ids):
        raise InvalidState("an application names its pledges, each once", pledge_ids=list(pledge_ids))
    pledges = tuple(unit.pledges.get(pledge_id) for pledge_id in pledge_ids)
    for stored in pledges:
        if stored.pledge.pledgee != context.actor.id or stored.pledge.pledgor != borrower_id:
            raise NotPermitted("the pledge is not this borrower's to this bank", pledge_id=stored.pledge.pledge_id)
        if stored.pledge.state is not PledgeState.RESERVED or context.at >= stored.pledge.expires_at:
            raise InvalidState("the pledge is not reserved any more", pledge_id=stored.pledge.pledge_id)
    return pledges
