"""What a lender and a borrower may do with a running loan beside drawing and repaying it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pydantic import Field

from financing.base.commands import Command, Sha256, use_case
from financing.base.context import Context
from financing.base.errors import InvalidState, NotPermitted, PeriodInvalid
from financing.base.parameters.records import LendingProduct
from financing.base.quantities import Money, Rate, business_date
from financing.base.storage.paging import ALL, Page, Window
from financing.ledger.entries import EntryKind
from financing.lending.collateral.standing import LoanCoverage, loan_coverage, settle_call
from financing.lending.loans.events import (
    Holiday,
    RateChange,
    Recovery,
    Repayment,
    Restructuring,
    Servicing,
    StoredEvent,
    WriteOff,
)
from financing.lending.loans.loan import LoanState, StoredLoan, projection
from financing.lending.loans.markets import market_of
from financing.lending.loans.recording import record_event, reverse_event
from financing.lending.loans.rolling import Dues
from financing.lending.unit import UnitOfWork

BOOKED_AS = {WriteOff: EntryKind.WRITE_OFF, Recovery: EntryKind.RECOVERY}


class ReviewTarget(Command):
    """Whether the reduction that a sustainability-linked loan agreed on was reached, by the evidence named."""

    reached: bool = Field(strict=True)
    evidence_sha256: Sha256


@dataclass(frozen=True, slots=True)
class Schedule:
    """A loan's instalments: those that fell due, and those to come if all is paid on its day at today's rate."""

    fallen_due: Dues
    to_come: Dues


@use_case
def service_loan(unit: UnitOfWork, context: Context, loan_id: str, asked: Servicing) -> LoanCoverage:
    """Change a loan's terms, freeze it, or write it off, as its lender; recover on a written-off one, as its borrower.

    A write-off takes two people. Raises `NotPermitted`, `AwaitsSecondPerson`, `InvalidState` (closed loan; interest due
    before a restructuring; a write-off of a loan that is not late), `PeriodInvalid`, `InsufficientBalance`; nothing is
    stored then.
    """
    stored = unit.loans.get(loan_id)
    context.require_party(stored.terms.borrower if isinstance(asked, Recovery) else stored.terms.lender)
    _require_in_order(asked, business_date(context.at))
    if isinstance(asked, WriteOff):
        _require_late(unit, context, stored)
        context.require_second_person(loan_id, "a write-off")
    done = record_event(unit, context, stored, asked, BOOKED_AS.get(type(asked), EntryKind.ACCRUAL))
    if done.stored.loan.state is LoanState.ACTIVE:
        settle_call(unit, context, loan_coverage(unit, context, loan_id))
    return loan_coverage(unit, context, loan_id)


@use_case
def review_target(unit: UnitOfWork, context: Context, loan_id: str, command: ReviewTarget) -> LoanCoverage:
    """The rate after the agreed reduction was verified as reached, or missed, as the lender: falls or rises by what the
    product says, and the evidence is kept with it. Raises `NotPermitted` for a product without such a target."""
    stored = unit.loans.get(loan_id)
    context.require_party(stored.terms.lender)
    product = context.parameters.running_product(stored.product, business_date(context.at))
    rate = green_rate(product, stored.loan.rate, reached=command.reached)
    change = RateChange(annual_rate_bps=rate, evidence_sha256=command.evidence_sha256)
    return service_loan(unit, context, loan_id, change)


@use_case
def reverse_payment(unit: UnitOfWork, context: Context, loan_id: str, sequence: int) -> LoanCoverage:
    """Take back one recorded payment, as the lender: the borrower has its money again, the books are as if it had
    never been paid, and both stay on record. Raises `NotPermitted`, `InvalidState`, `InsufficientBalance`."""
    stored = unit.loans.get(loan_id)
    context.require_party(stored.terms.lender)
    events = unit.loans.events(stored.terms.number)
    target = next((each.event for each in events if each.event.sequence == sequence), None)
    if target is None or not isinstance(target.what, Repayment):
        raise InvalidState("only a repayment is reversed", sequence=sequence)
    reverse_event(unit, context, stored, sequence)
    settle_call(unit, context, loan_coverage(unit, context, loan_id))
    return loan_coverage(unit, context, loan_id)


def schedule_of(unit: UnitOfWork, context: Context, loan_id: str) -> Schedule:
    """Instalments of one loan, past and to come, to one of its parties."""
    stored = unit.loans.get(loan_id)
    context.require_party(stored.terms.lender, stored.terms.borrower)
    return Schedule(unit.loans.dues([stored.terms.number]), projection(stored.book, market_of(context.parameters)))


def history_of(unit: UnitOfWork, context: Context, loan_id: str, window: Window = ALL) -> Page[StoredEvent]:
    """What happened to one loan, in the order of entry, to one of its parties."""
    stored = unit.loans.get(loan_id)
    context.require_party(stored.terms.lender, stored.terms.borrower)
    return unit.loans.events(stored.terms.number, window)


def green_rate(product: LendingProduct, rate: Rate, *, reached: bool) -> Rate:
    """The rate after a sustainability target was verified or missed. Raises `NotPermitted` without green terms."""
    if product.green is None:
        raise NotPermitted("the product has no sustainability target", product=product.key)
    change = -product.green.reward_bps if reached else product.green.penalty_bps
    return Rate(max(rate.bps + change, 0))


def _require_in_order(asked: Servicing, today: date) -> None:
    until = asked.until if isinstance(asked, Holiday | Restructuring) else None
    if until is not None and until <= (asked.value_on or today):
        raise PeriodInvalid("the last day lies after the first", until=str(until))


def _require_late(unit: UnitOfWork, context: Context, stored: StoredLoan) -> None:
    """A loan is written off when it is loss-class late or its collateral is gone and something is overdue."""
    standing = loan_coverage(unit, context, stored.terms.loan_id)
    late = standing.days_past_due
    limit = context.parameters.provisioning(business_date(context.at)).class_days[3]
    sold_out = not standing.pledges and standing.debt.total > Money(0)
    if late <= limit and not sold_out:
        raise InvalidState("a loan is written off when it is a loss or nothing secures it any more", days_past_due=late)
