"""Taking a loan book forward in time: interest accrues, rates reset, instalments fall due. Vectorised, exact, in place.

Up to a day means: interest of every night before it, resets and instalments of that day included. Rolling day by day or
in one go gives the same book.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from financing.base.errors import CalendarMissing, ParameterMissing, PeriodInvalid
from financing.base.quantities import Money
from financing.lending.loans.book import BPS, LoanBook, Scheme
from financing.lending.loans.days import NO_DAY, Flags, Ints, date_of, half_even, in_month, month_of, position


@dataclass(slots=True)
class Dues:
    """Instalments that fell due: what of each loan, with what had fallen due in all by then."""

    number: Ints
    due_on: Ints
    interest: Ints
    principal: Ints
    interest_total: Ints
    principal_total: Ints

    @classmethod
    def none(cls) -> Dues:
        return cls(*(np.zeros(0, np.int64) for _ in range(6)))

    def __len__(self) -> int:
        return len(self.number)

    def and_(self, later: Dues) -> Dues:
        return Dues(*(np.concatenate([getattr(self, n), getattr(later, n)]) for n in Dues.__slots__))

    def instalments(self) -> list[tuple[date, Money, Money]]:
        """Each as (day, interest, principal)."""
        columns = (self.due_on.tolist(), self.interest.tolist(), self.principal.tolist())
        return [(date_of(on), Money(interest), Money(part)) for on, interest, part in zip(*columns, strict=True)]


PRIME_TERMS = ("1Y", "5Y")


@dataclass(frozen=True, slots=True)
class PrimeTable:
    """Prime rates of one term by the day they hold from, ascending."""

    starts: Ints
    bps: Ints


@dataclass(frozen=True, slots=True)
class Market:
    """What the world gives a loan: prime rates by term (in the order of `PRIME_TERMS`), and the day on which a payment
    is made that would fall on each day (an array by day number, modified following)."""

    primes: tuple[PrimeTable, ...] = ()
    payable_on: Ints | None = None

    def prime_on(self, days: Ints, terms: Ints) -> Ints:
        """The prime rate in force on each day. Raises `ParameterMissing` before the first."""
        rates = np.full(len(days), NO_DAY, np.int64)
        for term, table in enumerate(self.primes):
            rows = np.flatnonzero(terms == term)
            at = np.searchsorted(table.starts, days[rows], side="right") - 1
            rates[rows] = np.where(at >= 0, table.bps[at], NO_DAY)
        if np.any(rates == NO_DAY):
            day = int(days[rates == NO_DAY][0])
            raise ParameterMissing("no prime rate holds on this day", on=str(date_of(day)))
        return rates

    def payable(self, days: Ints, shifted: Ints) -> Ints:
        """Each day, or the business day it moves to for the loans that shift. Raises `CalendarMissing`."""
        if not np.any(shifted):
            return days
        if self.payable_on is None:
            raise CalendarMissing("there is no calendar of business days", day=str(date_of(int(days.min()))))
        if len(days) and days.max() >= len(self.payable_on):
            raise CalendarMissing("the calendar of business days ends before", day=str(date_of(int(days.max()))))
        moved = self.payable_on[days]
        if np.any((shifted == 1) & (moved == NO_DAY)):
            day = int(days[(shifted == 1) & (moved == NO_DAY)][0])
            raise CalendarMissing("the business days of this year are not known", day=str(date_of(day)))
        return np.where(shifted == 1, moved, days)


def advance(book: LoanBook, to: int, market: Market) -> Dues:
    """Take every active loan forward to day `to`; those already later stay. Returns what fell due on the way.

    Raises `ParameterMissing` for a reset without a prime rate.
    """
    due = Dues.none()
    while True:
        ahead = np.flatnonzero(book.active & _unfinished(book, to))
        if not len(ahead):
            return due
        part = book.take(ahead)
        stop = np.full(len(part), to, np.int64)
        for boundary in (part.next_due_on, part.next_reset_on):
            stop = np.where((boundary != NO_DAY) & (boundary < stop), boundary, stop)
        stop = np.maximum(stop, part.accrued_to)
        accrue(part, stop)
        _reset(part, stop, market)
        due = due.and_(_fall_due(part, stop, market))
        book.put(ahead, part)


def accrue(book: LoanBook, to: Ints) -> None:
    """Add the interest of the nights up to each loan's `to`. Raises `PeriodInvalid` for a day already passed."""
    if np.any(to < book.accrued_to):
        raise PeriodInvalid("the books are already later than this date")
    days = position(book.basis, to) - position(book.basis, book.accrued_to)
    days = np.where(book.active & (book.frozen == 0), days, 0)
    penal_base = book.principal_due * book.penal_bps + book.interest_due * (book.rate_bps + book.penal_bps)
    book.interest_num += book.principal * book.rate_bps * days
    book.penal_num += np.where(book.penal_bps > 0, penal_base, 0) * days
    book.accrued_to = np.maximum(to, book.accrued_to)


def close_period(book: LoanBook, rows: Ints) -> Ints:
    """Round the running interest of the chosen loans and bill what is not billed yet; returns what was billed."""
    closed = book.interest_accrued[rows]
    billed = closed - book.interest_billed[rows]
    book.interest_closed[rows], book.interest_num[rows], book.interest_billed[rows] = closed, 0, closed
    return billed


def level_instalment(book: LoanBook, rows: Ints) -> Ints:
    """What of principal (equal parts) or of both (annuity) falls due a period, from what is not due yet.

    The annuity is P·i ÷ (1 − (1+i)^−n) with i = rate × months ÷ 12; the last instalment takes the remainder.
    """
    part = book.take(rows)
    left = part.principal - part.principal_due
    count = _principal_dates(part)
    rate = part.rate_bps * part.period_months / (12 * BPS)
    with np.errstate(divide="ignore", invalid="ignore"):
        annuity = np.where(rate > 0, left * rate / -np.expm1(-count * np.log1p(rate)), left / count)
    equal = half_even(left, count)
    level = np.where(part.scheme == Scheme.ANNUITY, np.rint(annuity).astype(np.int64), equal)
    return np.where(part.scheme >= Scheme.EQUAL_PRINCIPAL, level, 0)


def next_due(book: LoanBook, rows: Ints, after: Ints, market: Market) -> Ints:
    """The next due day of each chosen loan strictly after `after`: its day of a month, at the latest maturity; beyond
    maturity every month, for interest on what is overdue."""
    part = book.take(rows)
    beyond = after >= part.matures_on
    # Only the life of a bullet has no dates in it.
    quiet = (part.scheme == Scheme.BULLET) & ~beyond
    step = np.where(beyond, 1, part.period_months)
    candidate = in_month(month_of(after) + step, part.due_day)
    candidate = market.payable(candidate, part.shifted)
    last = market.payable(part.matures_on, part.shifted)
    return np.where(quiet | (~beyond & (candidate >= last)), np.maximum(last, after + 1), candidate)


def _unfinished(book: LoanBook, to: int) -> Flags:
    due = (book.next_due_on != NO_DAY) & (book.next_due_on <= to)
    reset = (book.next_reset_on != NO_DAY) & (book.next_reset_on <= to)
    unfinished: Flags = (book.accrued_to < to) | due | reset
    return unfinished


def _reset(book: LoanBook, on: Ints, market: Market) -> None:
    rows = np.flatnonzero(book.next_reset_on == on)
    if not len(rows):
        return
    book.rate_bps[rows] = market.prime_on(on[rows], book.prime_term[rows]) + book.spread_bps[rows]
    following = in_month(month_of(on[rows]) + book.reset_months[rows], book.due_day[rows])
    book.next_reset_on[rows] = np.where(following < book.matures_on[rows], following, NO_DAY)
    annuities = rows[book.scheme[rows] == Scheme.ANNUITY]
    book.instalment[annuities] = level_instalment(book, annuities)


def _fall_due(book: LoanBook, on: Ints, market: Market) -> Dues:
    rows = np.flatnonzero(book.next_due_on == on)
    if not len(rows):
        return Dues.none()
    day = on[rows]
    holiday = day <= book.holiday_until[rows]
    quiet = holiday & (book.holiday_full[rows] == 1)
    interest = np.zeros(len(rows), np.int64)
    billing = np.flatnonzero(~quiet)
    interest[billing] = close_period(book, rows[billing])
    principal = _principal_due(book, rows, day, interest, holiday, market)
    book.principal_due[rows] += principal
    book.principal_billed[rows] += principal
    book.next_due_on[rows] = next_due(book, rows, day, market)
    fell = (interest > 0) | (principal > 0)
    unset = rows[fell & (book.oldest_due_on[rows] == NO_DAY)]
    book.oldest_due_on[unset] = on[unset]
    chosen = rows[fell]
    return Dues(
        number=book.number[chosen],
        due_on=day[fell],
        interest=interest[fell],
        principal=principal[fell],
        interest_total=book.interest_billed[chosen],
        principal_total=book.principal_billed[chosen],
    )


def _principal_due(
    book: LoanBook,
    rows: Ints,
    day: Ints,
    interest: Ints,
    holiday: Flags,
    market: Market,
) -> Ints:
    left = book.principal[rows] - book.principal_due[rows]
    scheme = book.scheme[rows]
    part = np.where(scheme == Scheme.ANNUITY, np.maximum(book.instalment[rows] - interest, 0), book.instalment[rows])
    part = np.where(scheme >= Scheme.EQUAL_PRINCIPAL, np.minimum(part, left), 0)
    seasonal = (book.interest_only_months[rows] >> (month_of(day) % 12)) & 1
    part = np.where((seasonal == 1) | holiday, 0, part)
    return np.where(day >= market.payable(book.matures_on[rows], book.shifted[rows]), left, part)


def _principal_dates(book: LoanBook) -> Ints:
    """How many dates are left on which principal falls due, maturity included; at least one."""
    count = np.ones(len(book), np.int64)
    if not len(book):
        return count
    last = month_of(np.maximum(book.matures_on, 0))
    month = month_of(np.maximum(book.next_due_on, 0))
    while True:
        open_ = (in_month(month, book.due_day) < book.matures_on) & (month <= last)
        if not open_.any():
            return count
        free = ((book.interest_only_months >> (month % 12)) & 1) == 0
        spared = in_month(month, book.due_day) <= book.holiday_until
        count += open_ & free & ~spared
        month = month + book.period_months
