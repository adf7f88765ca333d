"""The loan book as columns: one array a field, one element a loan. The same rules work on one loan and on a million.

Amounts are integer fen, rates basis points a year, dates day numbers (`days.NO_DAY` for none). `interest_num` and
`penal_num` are exact numerators, fen × basis points × days; divided by 10,000 × the basis' denominator and rounded half
to even once, they are interest. So booking daily or in one jump, in one payment or in two, gives the same fen.

Limits that keep every product within 64 bits: principal at most 10^12 fen (10 thousand million yuan), rates at most
36 % a year, a period at most 400 days, penal interest at most 20 years: `faults` names the loans beyond them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from functools import cache
from typing import Self

import numpy as np

from financing.lending.loans.days import BASES, DENOMINATORS, NO_DAY, Flags, Ints, half_even

PRINCIPAL_MAX = 10**12
RATE_BPS_MAX = 3_600
BPS = 10_000


class Scheme(IntEnum):
    """How principal falls due: all at maturity without or with periodic interest, in equal parts, or as an annuity."""

    BULLET = 0
    INTEREST_ONLY = 1
    EQUAL_PRINCIPAL = 2
    ANNUITY = 3


class State(IntEnum):
    ACTIVE = 0
    REPAID = 1
    WRITTEN_OFF = 2


class Fault(IntEnum):
    """Why a loan cannot be taken forward; it is parked, and the others go on."""

    NONE = 0
    AMOUNT = 1
    RATE = 2
    TERMS = 3
    DATES = 4
    ACCRUED = 5


@dataclass(slots=True)
class LoanBook:
    """Arrays of equal length. Functions of `rolling` and `payments` change them in place; `copy` first to preview."""

    number: Ints
    portfolio: Ints
    # Terms
    scheme: Ints
    basis: Ints
    period_months: Ints
    due_day: Ints
    interest_only_months: Ints  # bit m−1 set: no principal falls due in calendar month m
    rate_bps: Ints
    spread_bps: Ints  # over the prime rate, at resets
    prime_term: Ints  # which prime rate: an index into the market's terms
    shifted: Ints  # 1: a due day that is no business day moves to the next one within its month
    reset_months: Ints  # 0: the rate is fixed
    penal_bps: Ints  # on overdue principal, on top of the rate
    principal_first: Ints  # 1: from 91 days past due, payments go to principal before interest
    matures_on: Ints
    next_reset_on: Ints
    holiday_until: Ints  # no principal falls due up to this day
    holiday_full: Ints  # 1: no interest either; it accrues and falls due after the holiday
    frozen: Ints  # 1: nothing accrues
    restructured: Ints
    secured: Ints  # debt that other security than credits supports
    # What happened so far
    disbursed: Ints
    received: Ints
    principal: Ints
    principal_due: Ints  # fallen due, unpaid; part of principal
    principal_billed: Ints
    instalment: Ints
    accrued_to: Ints
    next_due_on: Ints
    interest_num: Ints
    interest_closed: Ints  # interest of the periods that are closed
    interest_billed: Ints
    interest_paid: Ints
    penal_num: Ints
    penal_paid: Ints
    written_principal: Ints
    written_interest: Ints
    recovered: Ints
    oldest_due_on: Ints
    state: Ints
    # What the end of day finds
    pd_origin_bps: Ints
    pd_bps: Ints
    risk_class: Ints
    stage: Ints
    allowance: Ints
    coverage: Ints
    market: Ints
    lendable: Ints
    after_haircut: Ints

    def __len__(self) -> int:
        return len(self.number)

    @classmethod
    @cache
    def names(cls) -> tuple[str, ...]:
        """The columns, in their order."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def zeros(cls, count: int) -> Self:
        """`count` loans of nothing: active, fixed rate, ACT/360, bullet, undated."""
        undated = {"next_reset_on", "holiday_until", "oldest_due_on", "next_due_on"}
        return cls(**{name: np.full(count, NO_DAY if name in undated else 0, np.int64) for name in cls.names()})

    def take(self, rows: Ints | Flags) -> Self:
        """The chosen loans, as a book of their own."""
        return type(self)(**{name: getattr(self, name)[rows] for name in self.names()})

    def put(self, rows: Ints, part: LoanBook) -> None:
        """Write `part` back over the chosen loans."""
        for name in self.names():
            getattr(self, name)[rows] = getattr(part, name)

    def copy(self) -> Self:
        return type(self)(**{name: getattr(self, name).copy() for name in self.names()})

    @classmethod
    def joined(cls, books: Sequence[LoanBook]) -> Self:
        """Several books as one, in their order."""
        if not books:
            return cls.zeros(0)
        return cls(**{name: np.concatenate([getattr(book, name) for book in books]) for name in cls.names()})

    @property
    def denominator(self) -> Ints:
        return BPS * DENOMINATORS[self.basis]

    @property
    def interest_accrued(self) -> Ints:
        """All contract interest earned up to `accrued_to`, in whole fen."""
        return self.interest_closed + half_even(self.interest_num, self.denominator)

    @property
    def interest_due(self) -> Ints:
        return self.interest_billed - self.interest_paid

    @property
    def interest_owed(self) -> Ints:
        """Contract interest earned and unpaid, fallen due or not; nothing once written off."""
        return np.where(self.written_off, 0, self.interest_accrued - self.interest_paid)

    @property
    def penal_accrued(self) -> Ints:
        return half_even(self.penal_num, self.denominator)

    @property
    def penal_owed(self) -> Ints:
        return np.where(self.written_off, 0, self.penal_accrued - self.penal_paid)

    @property
    def debt(self) -> Ints:
        return self.principal + self.interest_owed + self.penal_owed

    @property
    def active(self) -> Flags:
        active: Flags = self.state == State.ACTIVE
        return active

    @property
    def written_off(self) -> Flags:
        written_off: Flags = self.state == State.WRITTEN_OFF
        return written_off

    def days_past_due(self, on: int | Ints) -> Ints:
        """Days since the oldest unpaid instalment fell due; 0 where nothing is overdue."""
        return np.where(self.oldest_due_on == NO_DAY, 0, np.maximum(on - self.oldest_due_on, 0))


def faults(book: LoanBook) -> Ints:
    """A `Fault` a loan: what makes it unfit to be taken forward."""
    marked = np.zeros(len(book), np.int64)

    def mark(bad: Flags, fault: Fault) -> None:
        marked[(marked == Fault.NONE) & bad] = fault

    mark((book.principal < 0) | (book.principal > PRINCIPAL_MAX), Fault.AMOUNT)
    mark((book.principal_due < 0) | (book.principal_due > book.principal), Fault.AMOUNT)
    mark((book.rate_bps < 0) | (book.rate_bps > RATE_BPS_MAX) | (book.penal_bps < 0), Fault.RATE)
    mark(book.penal_bps > RATE_BPS_MAX, Fault.RATE)
    mark(~np.isin(book.scheme, list(Scheme)) | ~np.isin(book.basis, list(BASES.values())), Fault.TERMS)
    mark((book.due_day < 1) | (book.due_day > 31) | (book.period_months < 1), Fault.TERMS)
    mark((book.accrued_to <= 0) | (book.matures_on <= 0), Fault.DATES)
    mark(book.active & (book.disbursed > 0) & (book.next_due_on <= book.accrued_to), Fault.DATES)
    mark((book.interest_num < 0) | (book.penal_num < 0) | (book.interest_billed < book.interest_paid), Fault.ACCRUED)
    return marked
