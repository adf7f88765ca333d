"""A loan: what was agreed, and what happened to it. Its books at a date follow from the two alone.

Events are taken in the order of their value dates, and within a day in a fixed order of kinds (tranche, terms, payment,
end); so an event that is entered late gives, to the fen, the books of one that was entered on time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

import numpy as np

from financing.base.errors import InvalidState, OverpaymentRefused, PeriodInvalid
from financing.base.quantities import Money, Rate
from financing.lending.loans.book import LoanBook, Scheme, State
from financing.lending.loans.days import BASES, NO_DAY, Ints, date_of, day_of, in_month, month_of
from financing.lending.loans.events import (
    ORDER,
    Disbursement,
    Disposal,
    Freeze,
    Holiday,
    LoanEvent,
    RateChange,
    Recovery,
    Repayment,
    Restructuring,
    Unfreeze,
    WriteOff,
)
from financing.lending.loans.payments import (
    Split,
    capitalise,
    disburse,
    oldest_unpaid,
    pay,
    recover,
    reschedule,
    write_off,
)
from financing.lending.loans.rolling import PRIME_TERMS, Dues, Market, advance, level_instalment

NOTHING = Money(0)


class LoanState(StrEnum):
    ACTIVE = "active"
    REPAID = "repaid"
    WRITTEN_OFF = "written_off"


STATES = {State.ACTIVE: LoanState.ACTIVE, State.REPAID: LoanState.REPAID, State.WRITTEN_OFF: LoanState.WRITTEN_OFF}
SCHEMES = {
    "bullet": Scheme.BULLET,
    "interest_only": Scheme.INTEREST_ONLY,
    "equal_principal": Scheme.EQUAL_PRINCIPAL,
    "annuity": Scheme.ANNUITY,
}


@dataclass(frozen=True, slots=True)
class Loan:
    """A loan as it stands on the day its books were taken to; `rate` is the one in force."""

    loan_id: str
    borrower: str
    lender: str
    rate: Rate
    disbursed_on: date
    matures_on: date
    drawn: Money
    principal: Money
    state: LoanState


@dataclass(frozen=True, slots=True)
class LoanTerms:
    """What was agreed at signing. `interest_only_months` are calendar months without principal (seasonal income);
    `reset_months` 0 is a fixed rate; `spread_bps` is over the prime rate at resets."""

    loan_id: str
    number: int
    portfolio: int
    borrower: str
    lender: str
    product: str
    rate: Rate
    signed_on: date
    matures_on: date
    scheme: str
    basis: str
    period_months: int = 1
    interest_only_months: tuple[int, ...] = ()
    spread_bps: int = 0
    prime_term: str = "1Y"
    shifted: bool = False
    reset_months: int = 0
    penal_bps: int = 0
    principal_first: bool = False
    probability_bps: int = 0
    secured: Money = NOTHING

    def __post_init__(self) -> None:
        if self.matures_on <= self.signed_on:
            raise PeriodInvalid("a loan runs at least one day", matures_on=str(self.matures_on))
        self.rate.require_non_negative()
        if any(not 1 <= month <= 12 for month in self.interest_only_months):
            raise PeriodInvalid("months run from 1 to 12", months=list(self.interest_only_months))


@dataclass(frozen=True, slots=True)
class StoredLoan:
    """What was agreed, and the loan's books (one row) as far as they were taken. `committed` may be drawn in all."""

    terms: LoanTerms
    book: LoanBook
    decision_id: str
    committed: Money

    @property
    def loan(self) -> Loan:
        return loan_of(self.terms, self.book)

    @property
    def product(self) -> str:
        return self.terms.product


@dataclass(frozen=True, slots=True)
class Debt:
    """What is owed on a date. `interest` includes what is not due yet; `penal` is penal interest."""

    on: date
    principal: Money
    interest: Money
    penal: Money = NOTHING

    @property
    def total(self) -> Money:
        return self.principal + self.interest + self.penal


@dataclass(frozen=True, slots=True)
class Allocation:
    """How a payment is split; `refund` is what was more than the debt."""

    penal: Money
    interest: Money
    principal: Money
    refund: Money = NOTHING


@dataclass(slots=True)
class Replayed:
    """The books after the events, the instalments fallen due, and what each payment (by sequence) went to."""

    book: LoanBook
    dues: Dues
    splits: dict[int, Allocation]


def open_book(terms: LoanTerms) -> LoanBook:
    """The books of a signed loan before anything is paid out: one row."""
    book = LoanBook.zeros(1)
    signed, matures = day_of(terms.signed_on), day_of(terms.matures_on)
    mask = sum(1 << (month - 1) for month in set(terms.interest_only_months))
    reset = NO_DAY
    if terms.reset_months:
        when = np.array([signed], np.int64)
        reset = int(in_month(month_of(when) + terms.reset_months, np.array([terms.signed_on.day]))[0])
        reset = reset if reset < matures else NO_DAY
    values = {
        "number": terms.number,
        "portfolio": terms.portfolio,
        "scheme": SCHEMES[terms.scheme],
        "basis": BASES[terms.basis],
        "period_months": max(terms.period_months, 1),
        "due_day": terms.signed_on.day,
        "interest_only_months": mask,
        "rate_bps": terms.rate.bps,
        "spread_bps": terms.spread_bps,
        "prime_term": PRIME_TERMS.index(terms.prime_term),
        "shifted": int(terms.shifted),
        "reset_months": terms.reset_months,
        "penal_bps": terms.penal_bps,
        "principal_first": int(terms.principal_first),
        "matures_on": matures,
        "next_reset_on": reset,
        "accrued_to": signed,
        "secured": terms.secured.fen,
        "pd_origin_bps": terms.probability_bps,
        "pd_bps": terms.probability_bps,
    }
    for name, value in values.items():
        getattr(book, name)[0] = value
    return book


def replay(terms: LoanTerms, events: Iterable[LoanEvent], to: date, market: Market) -> Replayed:
    """The books on `to` from the beginning. Raises `PeriodInvalid` for an event before signing, `InvalidState` for one
    that the loan as it then stood does not allow (a tranche after the end, a recovery before a write-off)."""
    done = Replayed(open_book(terms), Dues.none(), {})
    for event in in_order(event for event in events if event.value_on <= to):
        apply_event(done, event, market)
    done.dues = done.dues.and_(advance(done.book, day_of(to), market))
    oldest_unpaid(done.book, done.dues)
    return done


def in_order(events: Iterable[LoanEvent]) -> list[LoanEvent]:
    """Events that count, in the order in which they take effect."""
    counted = (event for event in events if not event.reversed)
    return sorted(counted, key=lambda event: (event.value_on, ORDER[event.what.kind], event.sequence))


def apply_event(done: Replayed, event: LoanEvent, market: Market) -> None:
    """Take the books to the event's day and let it happen. Raises as `replay`."""
    book, day = done.book, day_of(event.value_on)
    if day < int(book.accrued_to[0]):
        raise PeriodInvalid("this is before the loan, or before what is booked", on=str(event.value_on))
    done.dues = done.dues.and_(advance(book, day, market))
    if not book.active[0] and not isinstance(event.what, Recovery):
        raise InvalidState(f"the loan is {state_of(book)}", on=str(event.value_on), event=event.what.kind)
    amount = np.array([event.what.amount.fen], np.int64)
    match event.what:
        case Disbursement():
            disburse(book, amount, market)
        case RateChange(annual_rate_bps=rate):
            book.rate_bps[0] = rate.bps
            book.instalment[:] = level_instalment(book, np.zeros(1, np.int64))
        case Holiday(until=until, full=full):
            book.holiday_until[0], book.holiday_full[0] = day_of(until), int(full)
            book.instalment[:] = level_instalment(book, np.zeros(1, np.int64))
        case Restructuring():
            _restructure(book, event.what, market)
        case Freeze() | Unfreeze():
            book.frozen[0] = int(isinstance(event.what, Freeze))
        case WriteOff():
            write_off(book)
        case Recovery():
            if not book.written_off[0]:
                raise InvalidState("nothing was written off", on=str(event.value_on))
            done.splits[event.sequence] = allocation_of(recover(book, amount))
        case Repayment(shorten=shorten):
            done.splits[event.sequence] = _paid(done, amount, shorten=shorten)
        case Disposal():
            done.splits[event.sequence] = _paid(done, amount, from_sale=True)


def _paid(done: Replayed, amount: Ints, *, shorten: bool = True, from_sale: bool = False) -> Allocation:
    book = done.book
    oldest_unpaid(book, done.dues)
    split = pay(book, amount, shorten=shorten, from_sale=from_sale)
    oldest_unpaid(book, done.dues)
    return allocation_of(split)


def require_payable(book: LoanBook, amount: Money) -> None:
    """Raise `OverpaymentRefused` for more than the whole debt, `InvalidState` for a loan that is closed."""
    amount.require_positive()
    if not book.active[0]:
        raise InvalidState(f"the loan is {state_of(book)}")
    debt = int(book.debt[0])
    if amount.fen > debt:
        raise OverpaymentRefused("the payment is larger than the debt", debt_fen=debt, paid_fen=amount.fen)


def debt_of(book: LoanBook, row: int = 0) -> Debt:
    """What one loan of the book owes on the day it has been taken to; a closed one owes nothing."""
    part = book.take(np.array([row]))
    on = date_of(int(part.accrued_to[0]))
    if not part.active[0]:
        return Debt(on, NOTHING, NOTHING)
    return Debt(on, *(Money(int(each[0])) for each in (part.principal, part.interest_owed, part.penal_owed)))


def loan_of(terms: LoanTerms, book: LoanBook) -> Loan:
    """The loan whose terms and one-row book these are."""
    return Loan(
        loan_id=terms.loan_id,
        borrower=terms.borrower,
        lender=terms.lender,
        rate=Rate(int(book.rate_bps[0])),
        disbursed_on=terms.signed_on,
        matures_on=date_of(int(book.matures_on[0])),
        drawn=Money(int(book.disbursed[0])),
        principal=Money(int(book.principal[0])),
        state=state_of(book),
    )


def state_of(book: LoanBook, row: int = 0) -> LoanState:
    return STATES[State(int(book.state[row]))]


def projection(book: LoanBook, market: Market) -> Dues:
    """The instalments still to come if everything is paid on its day and rates stay: one loan, up to its maturity."""
    ahead = book.copy()
    ahead.next_reset_on[:] = NO_DAY
    due = Dues.none()
    last = int(market.payable(ahead.matures_on, ahead.shifted)[0])
    while ahead.active[0] and int(ahead.principal[0]) > 0 and int(ahead.next_due_on[0]) <= last:
        fell = advance(ahead, int(ahead.next_due_on[0]), market)
        due = due.and_(fell)
        owed = ahead.interest_due + ahead.principal_due + ahead.penal_owed
        pay(ahead, owed)
    return due


def reversal_of(events: Sequence[LoanEvent], sequence: int) -> tuple[LoanEvent, ...]:
    """The events with one marked as reversed. Raises `InvalidState` when there is none such, or it is reversed."""
    if not any(event.sequence == sequence and not event.reversed for event in events):
        raise InvalidState("there is no such event to reverse", sequence=sequence)
    return tuple(replace(event, reversed=True) if event.sequence == sequence else event for event in events)


def allocation_of(split: Split) -> Allocation:
    return Allocation(*(Money(int(each[0])) for each in (split.penal, split.interest, split.principal, split.refund)))


def _restructure(book: LoanBook, asked: Restructuring, market: Market) -> None:
    if asked.capitalised:
        capitalise(book)
    elif int(book.interest_due[0]) or int(book.penal_owed[0]):
        raise InvalidState("interest that is due is paid or capitalised before a restructuring")
    else:
        book.principal_due[:] = 0
        book.oldest_due_on[:] = NO_DAY
    if asked.annual_rate_bps is not None:
        book.rate_bps[0] = asked.annual_rate_bps.bps
    book.restructured[0] = 1
    scheme = SCHEMES[asked.scheme] if asked.scheme is not None else None
    reschedule(book, scheme, day_of(asked.until) if asked.until is not None else None, market)
