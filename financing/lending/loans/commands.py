"""What a lender and a borrower may do with a running loan beside drawing and repaying it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from financing.base.context import Context
from financing.base.errors import InvalidState, NotPermitted, PeriodInvalid
from financing.base.parameters.records import LendingProduct
from financing.base.quantities import Money, Rate, business_date
from financing.ledger.entries import EntryKind
from financing.lending.collateral.standing import settle_call, stand
from financing.lending.loans.days import day_of
from financing.lending.loans.loan import (
    NOTHING,
    EventKind,
    LoanState,
    projection,
)
from financing.lending.loans.markets import market_of
from financing.lending.loans.recording import (
    Draft,
    Happened,
    happen,
    undo,
)
from financing.lending.loans.rolling import Dues
from financing.lending.loans.store import StoredEvent
from financing.lending.store import StoredLoan
from financing.lending.unit import UnitOfWork

LENDERS = frozenset(
    {
        EventKind.RATE,
        EventKind.HOLIDAY,
        EventKind.RESTRUCTURING,
        EventKind.FREEZE,
        EventKind.UNFREEZE,
        EventKind.WRITE_OFF,
    }
)
BOOKED_AS = {EventKind.WRITE_OFF: EntryKind.WRITE_OFF, EventKind.RECOVERY: EntryKind.RECOVERY}


@dataclass(frozen=True, slots=True)
class Service:
    """What is to happen, effective on `value_on` (default today): see `LoanEvent` for what each kind needs."""

    kind: EventKind
    value_on: date | None = None
    amount: Money = NOTHING
    rate: Rate | None = None
    until: date | None = None
    scheme: str | None = None
    full: bool = False
    capitalised: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """A loan's instalments: those that fell due, and those to come if all is paid on its day at today's rate."""

    fallen_due: Dues
    to_come: Dues


def serve(unit: UnitOfWork, context: Context, loan_id: str, command: Service) -> Happened:
    """Change a loan's terms, freeze it, or write it off, as its lender; recover on a written-off one, as its borrower.

    Raises `NotPermitted`, `InvalidState` (closed loan; interest due before a restructuring; a write-off of a loan that
    is not late), `PeriodInvalid`, `InsufficientBalance`; nothing is stored then.
    """
    stored = unit.lending.loan(loan_id)
    if command.kind in LENDERS:
        context.require_party(stored.terms.lender)
    elif command.kind is EventKind.RECOVERY:
        context.require_party(stored.terms.borrower)
    else:
        raise NotPermitted("this is booked by its own command", kind=command.kind.value)
    _require_complete(command, stored)
    on = command.value_on or business_date(context.at)
    if command.kind is EventKind.WRITE_OFF:
        _require_late(unit, context, stored)
    draft = Draft(
        command.kind,
        on,
        command.amount,
        rate=command.rate,
        until=command.until,
        scheme=command.scheme,
        full=command.full,
        capitalised=command.capitalised,
    )
    done = happen(unit, context, stored, draft, BOOKED_AS.get(command.kind, EntryKind.ACCRUAL))
    if done.stored.loan.state is LoanState.ACTIVE:
        settle_call(unit, context, stand(unit, context, loan_id))
    return done


def review_target(unit: UnitOfWork, context: Context, loan_id: str, *, reached: bool) -> Happened:
    """The rate after the agreed reduction was verified as reached, or missed, as the lender: falls or rises by what the
    product says. Raises `NotPermitted` for a product without such a target."""
    stored = unit.lending.loan(loan_id)
    product = context.parameters.running_product(stored.product, business_date(context.at))
    rate = green_rate(product, stored.loan.rate, reached=reached)
    return serve(unit, context, loan_id, Service(EventKind.RATE, rate=rate))


def reverse_payment(unit: UnitOfWork, context: Context, loan_id: str, sequence: int) -> Happened:
    """Take back one recorded payment, as the lender: the borrower has its money again, the books are as if it had
    never been paid, and both stay on record. Raises `NotPermitted`, `InvalidState`, `InsufficientBalance`."""
    stored = unit.lending.loan(loan_id)
    context.require_party(stored.terms.lender)
    events = unit.books.events(stored.terms.number)
    target = next((each.event for each in events if each.event.sequence == sequence), None)
    if target is None or target.kind is not EventKind.REPAYMENT:
        raise InvalidState("only a repayment is reversed", sequence=sequence)
    done = undo(unit, context, stored, sequence)
    settle_call(unit, context, stand(unit, context, loan_id))
    return done


def schedule_of(unit: UnitOfWork, context: Context, loan_id: str) -> Schedule:
    """Instalments of one loan, past and to come, to one of its parties."""
    stored = unit.lending.loan(loan_id)
    context.require_party(stored.terms.lender, stored.terms.borrower)
    return Schedule(unit.books.dues([stored.terms.number]), projection(stored.book, market_of(context.parameters)))


def history_of(unit: UnitOfWork, context: Context, loan_id: str) -> list[StoredEvent]:
    """What happened to one loan, in the order of entry, to one of its parties."""
    stored = unit.lending.loan(loan_id)
    context.require_party(stored.terms.lender, stored.terms.borrower)
    return unit.books.events(stored.terms.number)


def green_rate(product: LendingProduct, rate: Rate, *, reached: bool) -> Rate:
    """The rate after a sustainability target was verified or missed. Raises `NotPermitted` without green terms."""
    if product.green is None:
        raise NotPermitted("the product has no sustainability target", product=product.key)
    change = -product.green.reward_bps if reached else product.green.penalty_bps
    return Rate(max(rate.bps + change, 0))


def _require_complete(command: Service, stored: StoredLoan) -> None:
    if command.kind is EventKind.RATE and command.rate is None:
        raise PeriodInvalid("a rate change names the rate")
    if command.rate is not None:
        command.rate.require_non_negative()
        if command.rate > Rate(3_600):
            raise PeriodInvalid("a rate is at most 36 % a year", rate_bps=command.rate.bps)
    if command.kind is EventKind.HOLIDAY and command.until is None:
        raise PeriodInvalid("a holiday has a last day")
    if command.kind is EventKind.RECOVERY:
        command.amount.require_positive()
    if command.until is not None:
        start = command.value_on or stored.terms.signed_on
        if day_of(command.until) <= day_of(start):
            raise PeriodInvalid("the last day lies after the first", until=str(command.until))


def _require_late(unit: UnitOfWork, context: Context, stored: StoredLoan) -> None:
    """A loan is written off when it is loss-class late or its collateral is gone and something is overdue."""
    standing = stand(unit, context, stored.terms.loan_id)
    late = standing.days_past_due
    limit = context.parameters.provisioning(business_date(context.at)).class_days[3]
    sold_out = not standing.pledges and standing.debt.total > Money(0)
    if late <= limit and not sold_out:
        raise InvalidState("a loan is written off when it is a loss or nothing secures it any more", days_past_due=late)
