"""Money into and out of a loan: tranches, payments and what they pay off, write-off and recovery. Exact, in place.

A payment goes to penal interest, interest fallen due and principal fallen due, in this order; to principal first once a
loan is more than 90 days past due, where its product says so. What is left pays the running interest and then principal
early. Two payments of a day do what their sum does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from financing.lending.loans.book import LoanBook, Scheme, State
from financing.lending.loans.days import NO_DAY, Ints
from financing.lending.loans.rolling import Dues, Market, close_period, level_instalment, next_due

PRINCIPAL_FIRST_AFTER_DAYS = 90


@dataclass(slots=True)
class Split:
    """Where payments went: penal + interest + principal + refund = amount, a loan."""

    penal: Ints
    interest: Ints
    principal: Ints
    refund: Ints

    @property
    def kept(self) -> Ints:
        return self.penal + self.interest + self.principal


def disburse(book: LoanBook, amount: Ints, market: Market) -> None:
    """Pay out a tranche to each loan on its `accrued_to`, and set the instalments anew."""
    first = np.flatnonzero(book.disbursed == 0)
    book.disbursed += amount
    book.principal += amount
    fresh = first[book.next_due_on[first] == NO_DAY]
    book.next_due_on[fresh] = next_due(book, fresh, book.accrued_to[fresh], market)
    everyone = np.arange(len(book))
    book.instalment[:] = level_instalment(book, everyone)


def pay(book: LoanBook, amount: Ints, *, shorten: bool = True, from_sale: bool = False) -> Split:
    """Allocate a payment of `amount` to each active loan on its `accrued_to`.

    An early repayment keeps the instalment and ends the loan sooner (`shorten`), or keeps the term and lowers the
    instalment. Proceeds of a sale (`from_sale`) never go to principal first. More than the whole debt comes back.
    """
    left = np.where(book.active, amount, 0)
    late = book.days_past_due(book.accrued_to) > PRINCIPAL_FIRST_AFTER_DAYS
    principal_first = (book.principal_first == 1) & late & (not from_sale)
    ahead = np.where(principal_first, np.minimum(left, book.principal_due), 0)
    left = left - ahead
    penal = np.minimum(left, book.penal_owed)
    left = left - penal
    interest = np.minimum(left, book.interest_due)
    left = left - interest
    fallen = ahead + np.minimum(left, book.principal_due - ahead)
    left = left - (fallen - ahead)
    book.penal_paid += penal
    book.interest_paid += interest
    book.principal_due -= fallen
    book.principal -= fallen

    running = np.minimum(left, np.where(book.active, book.interest_owed, 0))
    # Billed on the spot, but the period and its numerator run on: nothing is lost to rounding.
    book.interest_billed += running
    book.interest_paid += running
    left = left - running
    early = np.minimum(left, np.where(book.active, book.principal, 0))
    book.principal -= early
    left = left - early
    if not shorten:
        rows = np.flatnonzero((early > 0) & (book.principal > 0))
        book.instalment[rows] = level_instalment(book, rows)
    kept = penal + interest + running + fallen + early
    book.received += kept
    _close_paid(book)
    return Split(penal, interest + running, fallen + early, amount - kept)


def write_off(book: LoanBook) -> Ints:
    """Give up every loan of the book; returns the loss: principal and all interest, penal interest included."""
    interest, penal, principal = book.interest_owed, book.penal_owed, book.principal.copy()
    book.written_principal += principal
    book.written_interest += interest + penal
    book.principal[:] = 0
    book.principal_due[:] = 0
    book.state[:] = State.WRITTEN_OFF
    book.oldest_due_on[:] = NO_DAY
    return principal + interest + penal


def recover(book: LoanBook, amount: Ints) -> Split:
    """Money on loans that were written off, up to what was lost."""
    lost = book.written_principal + book.written_interest - book.recovered
    kept = np.minimum(amount, lost)
    book.recovered += kept
    book.received += kept
    nothing = np.zeros(len(book), np.int64)
    return Split(nothing, nothing, kept, amount - kept)


def capitalise(book: LoanBook) -> None:
    """Turn all that is owed into principal that is not due, as a restructuring does."""
    rows = np.arange(len(book))
    close_period(book, rows)
    owed = book.interest_due + book.penal_owed
    book.penal_paid += book.penal_owed
    book.interest_paid += book.interest_due
    book.principal += owed
    book.principal_due[:] = 0
    book.oldest_due_on[:] = NO_DAY


def oldest_unpaid(book: LoanBook, dues: Dues) -> None:
    """Set `oldest_due_on` of the loans from their instalments, the oldest paid first. `dues` are in order of date."""
    paid_principal = dict(zip(book.number.tolist(), (book.principal_billed - book.principal_due).tolist(), strict=True))
    paid_interest = dict(zip(book.number.tolist(), book.interest_paid.tolist(), strict=True))
    oldest: dict[int, int] = {}
    for number, due_on, interest, principal in zip(
        dues.number.tolist(),
        dues.due_on.tolist(),
        dues.interest_total.tolist(),
        dues.principal_total.tolist(),
        strict=True,
    ):
        if number in oldest or number not in paid_interest:
            continue
        if interest > paid_interest[number] or principal > paid_principal[number]:
            oldest[number] = due_on
    oldest_due_on = np.array([oldest.get(number, NO_DAY) for number in book.number.tolist()], np.int64)
    book.oldest_due_on[:] = np.where(book.active, oldest_due_on, NO_DAY)


def _close_paid(book: LoanBook) -> None:
    done = book.active & (book.disbursed > 0) & (book.debt == 0)
    book.state[done] = State.REPAID
    book.next_due_on[done] = NO_DAY
    book.next_reset_on[done] = NO_DAY
    book.oldest_due_on[done] = NO_DAY


def reschedule(book: LoanBook, scheme: Scheme | None, matures_on: int | None, market: Market) -> None:
    """New terms from the day of the book on: scheme and maturity, the instalments set anew."""
    if scheme is not None:
        book.scheme[:] = scheme
    if matures_on is not None:
        book.matures_on[:] = matures_on
    rows = np.arange(len(book))
    book.next_due_on[:] = next_due(book, rows, book.accrued_to, market)
    book.instalment[:] = level_instalment(book, rows)
