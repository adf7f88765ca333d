"""Decide an application from score and collateral, disburse, accrue, repay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from financing.base.context import Context
from financing.base.errors import (
    CoverageInsufficient,
    CreditStandardNotMet,
    InvalidState,
    NotPermitted,
    PeriodInvalid,
)
from financing.base.parameters.records import LendingProduct
from financing.base.quantities import (
    BPS_PER_UNIT,
    Money,
    Rate,
    business_date,
    ceil_div,
    rate_from_estimate_up,
)
from financing.ledger.accounts import CNY, AccountKey, AccountKind
from financing.ledger.entries import EntryKind, Posting, pay
from financing.lending.collateral.commands import freeze
from financing.lending.collateral.pledge import PledgeState
from financing.lending.collateral.standing import (
    LoanCoverage,
    exposed,
    settle_call,
    stand,
)
from financing.lending.loans.loan import (
    Allocation,
    EventKind,
    LoanTerms,
    open_book,
)
from financing.lending.loans.recording import Draft, carry_forward, happen
from financing.lending.origination.approving import require_checked
from financing.lending.origination.assessment import CreditAssessment, NoFile
from financing.lending.origination.decision import LoanApplication, decide, require_drawable
from financing.lending.origination.securing import offered
from financing.lending.origination.securities import supported
from financing.lending.store import DecisionRecord, StoredLoan, StoredPledge
from financing.lending.unit import UnitOfWork
from financing.market.prices.model import Marked
from financing.valuation.marks import marks_of, value_lots
from financing.valuation.pools import require_priced, value_pool


@dataclass(frozen=True, slots=True)
class Apply:
    """A bank officer's application for a customer. `credit` is the score the bank was given, or `NoFile`."""

    borrower_id: str
    product: str
    amount: Money
    tenor_days: int
    pledge_ids: tuple[str, ...]
    credit: CreditAssessment | NoFile
    security_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Disburse:
    decision_id: str
    amount: Money
    registration_number: str


@dataclass(frozen=True, slots=True)
class Repaid:
    stored: StoredLoan
    allocation: Allocation
    standing: LoanCoverage


def decide_application(unit: UnitOfWork, context: Context, command: Apply) -> DecisionRecord:
    """Decide on the collateral reserved for the actor and on the score. Every outcome is stored, a decline too.

    Raises `NotPermitted` (pledge of another, score of another subject), `InvalidState`, `AssessmentExpired`.
    """
    context.require_kind("bank")
    borrower = unit.organisations.get(command.borrower_id)
    if borrower.subject_id is None or command.credit.subject != borrower.subject_id:
        raise NotPermitted("the score is of another subject", borrower_id=borrower.id)
    pledges = _reserved(unit, context, command.pledge_ids, borrower.id)
    securities = offered(unit, context, command.security_ids, borrower.id)
    if not pledges and not securities:
        raise InvalidState("an application names what secures it")
    application = LoanApplication(
        application_id=context.new_id("app"),
        applicant=borrower.subject_id,
        lender=context.actor.id,
        product=command.product,
        amount=command.amount,
        tenor_days=command.tenor_days,
        collateral=tuple(stored.pledge.lot for stored in pledges),
        securities=securities,
        collateral_valid_until=min((day for day in map(_use_ends, pledges) if day is not None), default=None),
    )
    on = business_date(context.at)
    marks = marks_of(unit, context.parameters, (lot.asset_class for lot in application.collateral), context.at)
    decision = decide(
        application,
        command.credit,
        value_pool(application.collateral, marks, context.parameters.classes_on(on)),
        product=context.parameters.product(command.product, on),
        parameters=context.parameters,
        at=context.at,
    )
    record = DecisionRecord(
        decision_id=context.new_id("dec"),
        borrower_id=borrower.id,
        application=application,
        pledge_ids=tuple(stored.pledge.pledge_id for stored in pledges),
        maker=context.person,
        credit=command.credit,
        prices=tuple(
            (key, found.price.amount, found.observed_at) for key, found in marks.items() if isinstance(found, Marked)
        ),
        decision=decision,
    )
    unit.lending.add_decision(record)
    return record


def disburse_loan(unit: UnitOfWork, context: Context, command: Disburse) -> LoanCoverage:
    """Draw an approved decision: post its pledges, book both sides of the debt and pay out, in one commit.

    The collateral is valued again: raises `CoverageInsufficient` when it no longer supports the amount, and
    `CreditStandardNotMet`, `InvalidState` (drawn already), `NotPermitted`, `PriceMissing` and its kin.
    """
    record = unit.lending.decision(command.decision_id)
    context.require_party(record.application.lender)
    if (drawn := unit.lending.loan_of_decision(record.decision_id)) is not None:
        raise InvalidState("the decision was drawn already", loan_id=drawn)
    rate = require_drawable(record.decision, command.amount, context.at)
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
    if command.amount > lendable:
        raise CoverageInsufficient(
            "the collateral no longer supports the amount",
            amount_fen=command.amount.fen,
            lendable_fen=lendable.fen,
        )
    terms = _terms(unit, context, record, product, rate, signed_on)
    committed = record.decision.max_amount if product.tranches_max > 1 else command.amount
    stored = StoredLoan(terms, open_book(terms), record.decision_id, committed)
    unit.lending.add_loan(stored, context.at)
    for pledge in pledges:
        freeze(unit, context, pledge, terms.loan_id, command.registration_number)
    for security in securities:
        unit.securities.post(security.security_id, terms.loan_id, command.registration_number)
    _pay_out(unit, context, stored, command.amount, product)
    return stand(unit, context, terms.loan_id)


def draw_tranche(unit: UnitOfWork, context: Context, loan_id: str, amount: Money) -> LoanCoverage:
    """Pay out a further part of what was committed, as the lender, if the collateral still covers the whole debt.

    Raises `CreditStandardNotMet` (more than committed, more tranches than the product allows, decision lapsed),
    `CoverageInsufficient`, `InvalidState`, `PriceMissing` and its kin.
    """
    stored = unit.lending.loan(loan_id)
    context.require_party(stored.terms.lender)
    record = unit.lending.decision(stored.decision_id)
    require_drawable(record.decision, amount, context.at)
    product = context.parameters.product(stored.product, stored.terms.signed_on)
    drawn = stored.loan.drawn
    if drawn + amount > stored.committed:
        raise CreditStandardNotMet(
            "the tranche is more than is left of the commitment",
            committed_fen=stored.committed.fen,
            drawn_fen=drawn.fen,
        )
    events = unit.books.events(stored.terms.number)
    if sum(each.event.kind is EventKind.DISBURSEMENT for each in events) >= product.tranches_max:
        raise CreditStandardNotMet("the product allows no further tranche", tranches_max=product.tranches_max)
    standing = stand(unit, context, loan_id)
    lendable = require_priced(standing.pool).lendable
    if exposed(standing.debt.total + amount, stored) > lendable:
        raise CoverageInsufficient(
            "the collateral does not support the tranche",
            debt_fen=(standing.debt.total + amount).fen,
            lendable_fen=lendable.fen,
        )
    _pay_out(unit, context, stored, amount, product)
    return stand(unit, context, loan_id)


def accrue_loan(unit: UnitOfWork, context: Context, loan_id: str, on: date) -> StoredLoan:
    """Take a loan's books forward to `on`, as the lender. Raises `PeriodInvalid` for a date in the future or passed."""
    stored = unit.lending.loan(loan_id)
    context.require_party(stored.terms.lender)
    if on > business_date(context.at):
        raise PeriodInvalid("interest is not booked for days to come", on=str(on))
    return carry_forward(unit, context, stored, on)


def repay_loan(
    unit: UnitOfWork,
    context: Context,
    loan_id: str,
    amount: Money,
    *,
    value_on: date | None = None,
    external_id: str | None = None,
) -> Repaid:
    """Pay from the borrower's settlement balance; a call that it cures is closed. `value_on` dates it back.

    Raises `NotPermitted`, `OverpaymentRefused`, `InvalidState`, `InsufficientBalance`, `PeriodInvalid`.
    """
    stored = unit.lending.loan(loan_id)
    context.require_party(stored.terms.borrower)
    product = context.parameters.running_product(stored.product, stored.terms.signed_on)
    draft = Draft(
        EventKind.REPAYMENT,
        value_on or business_date(context.at),
        amount,
        shorten=product.prepayment == "shorten",
    )
    done = happen(unit, context, stored, draft, EntryKind.REPAYMENT, external_id=external_id)
    settle_call(unit, context, stand(unit, context, loan_id))
    assert done.allocation is not None
    return Repaid(done.stored, done.allocation, stand(unit, context, loan_id))


def _use_ends(stored: StoredPledge) -> date | None:
    """The day on which a pledged allowance must be surrendered, unless what is left may be carried over."""
    return None if stored.carry_over else stored.surrender_by


def _pay_out(unit: UnitOfWork, context: Context, stored: StoredLoan, amount: Money, product: LendingProduct) -> None:
    draft = Draft(EventKind.DISBURSEMENT, business_date(context.at), amount)
    fee = amount.scaled_half_even(Rate(product.arrangement_fee_bps).fraction())
    happen(unit, context, stored, draft, EntryKind.DISBURSEMENT, extra=_fee(stored.terms, fee))


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
        number=unit.books.next_number(),
        portfolio=unit.books.portfolio(context.actor.id, product.key).portfolio_id,
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
    found = tuple(unit.lending.pledge(pledge_id) for pledge_id in pledge_ids)
    for stored in found:
        if stored.pledge.pledgee != context.actor.id or stored.pledge.pledgor != borrower_id:
            raise NotPermitted("the pledge is not this borrower's to this bank", pledge_id=stored.pledge.pledge_id)
        if stored.pledge.state is not PledgeState.RESERVED or context.at >= stored.pledge.expires_at:
            raise InvalidState("the pledge is not reserved any more", pledge_id=stored.pledge.pledge_id)
    return found
