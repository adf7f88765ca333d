"""The whole book revalued within a day, when a price arrives: margin calls made and closed, in columns.

The books themselves stay where they are: they are taken forward as a copy, and only the calls are stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from financing.base.commands import use_case
from financing.base.context import Context
from financing.base.quantities import business_date
from financing.lending.business_day.steps import call_margins
from financing.lending.business_day.work import DayWork
from financing.lending.collateral.marking import marked_book
from financing.lending.collateral.standing import LoanCoverage, loan_coverages
from financing.lending.loans.loan import LoanState
from financing.lending.loans.markets import market_of
from financing.lending.unit import UnitOfWork


@dataclass(frozen=True, slots=True)
class Revalued:
    """How many running loans were looked at, and how many calls were made and closed."""

    loans: int
    called: int
    cured: int


@dataclass(slots=True)
class NowWork(DayWork):
    """A day's work at a moment of the day: prices are those known by then."""

    moment: datetime | None = None

    @property
    def at(self) -> datetime:
        assert self.moment is not None
        return self.moment


@use_case
def revalue_loans(unit: UnitOfWork, context: Context) -> tuple[LoanCoverage, ...]:
    """Revalue the issuer's book now, and show every running loan as it stands after that."""
    revalue_now(unit, context, bank_id=context.actor.id)
    loans = unit.loans.of(organisation_id=context.actor.id, state=LoanState.ACTIVE)
    return loan_coverages(unit, context.parameters, loans, context.at)


def revalue_now(unit: UnitOfWork, context: Context, *, bank_id: str | None = None) -> Revalued:
    """Mark the running loans of a bank, or of every bank, at this moment; make the calls that are due and close those
    that are cured. An unpriced loan keeps its call: an unknown value never cures and never calls."""
    portfolios = unit.loans.portfolios()
    banks = sorted({each.bank_id for each in portfolios.values()} if bank_id is None else {bank_id})
    loans = called = cured = 0
    for bank in banks:
        mine = {number: each for number, each in portfolios.items() if each.bank_id == bank}
        book, broken = marked_book(unit, context.parameters, context.at, bank_id=bank)
        if not len(book):
            continue
        work = NowWork(
            bank_id=bank,
            day=business_date(context.at),
            portfolios=mine,
            before=book,
            book=book,
            market=market_of(context.parameters),
            faults=broken,
            moment=context.at,
        )
        call_margins(unit, context, work)
        unit.calls.add(work.new_calls)
        unit.calls.close(work.cured, "cured", context.at)
        loans += int(np.count_nonzero(book.active))
        called, cured = called + len(work.new_calls), cured + len(work.cured)
    return Revalued(loans, called, cured)
