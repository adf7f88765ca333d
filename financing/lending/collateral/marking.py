"""Running loans marked at a moment, in columns: debts of that day against their pledges at its prices."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from financing.base.parameters import Parameters
from financing.base.quantities import Money, Rate, business_date
from financing.lending.collateral.coverage import (
    NO_PRICE,
    ClassTable,
    CoverageStatus,
    Ints,
    PoolColumns,
    statuses,
    value_pledges,
)
from financing.lending.loans.book import LoanBook, faults
from financing.lending.loans.days import day_of
from financing.lending.loans.markets import market_of
from financing.lending.loans.rolling import advance
from financing.lending.unit import UnitOfWork
from financing.market.prices.model import Marked
from financing.valuation.marks import marks_of

# What a person looks at first: the worst, then what nobody can value.
URGENCY = (
    CoverageStatus.LIQUIDATE,
    CoverageStatus.CALL,
    CoverageStatus.UNPRICED,
    CoverageStatus.WARN,
    CoverageStatus.HEALTHY,
    CoverageStatus.UNVALUED,
)


@dataclass(frozen=True, slots=True)
class BookTotals:
    """A book of running loans in sums. `market` is None when the collateral of one of them has no price."""

    loans: int
    debt: Money
    market: Money | None
    by_status: dict[CoverageStatus, int]

    @property
    def ltv(self) -> Rate | None:
        """Debt over value, rounded up; None without a value."""
        return Rate.ratio_up(self.debt, self.market) if self.market else None


def class_table(unit: UnitOfWork, parameters: Parameters, at: datetime) -> ClassTable:
    """Prices and lines by class at a moment; the row after the last stands for a class nobody knows."""
    policies = parameters.classes_on(business_date(at))
    keys = tuple(sorted(policies))
    marks = marks_of(unit, parameters, keys, at)
    price = [mark.price.amount if isinstance(mark := marks[key], Marked) else NO_PRICE for key in keys]

    def column(name: str) -> Ints:
        return np.array([*(getattr(policies[key], name) for key in keys), 0], np.int64)

    return ClassTable(
        keys=keys,
        price=np.array([*price, NO_PRICE], np.int64),
        haircut_bps=column("haircut_bps"),
        advance_bps=column("advance_bps"),
        warn_bps=column("warn_bps"),
        call_bps=column("call_bps"),
        liquidate_bps=column("liquidate_bps"),
    )


def pooled(
    unit: UnitOfWork, portfolios: Collection[int], book: LoanBook, classes: ClassTable
) -> tuple[PoolColumns, Ints]:
    """The pledges behind a book's loans, summed by row of the book; and the classes that are pledged, by index."""
    numbers, asset_class, quantity = unit.days.pledged(list(portfolios), classes.keys)
    rows = np.searchsorted(book.number, numbers)
    known = rows < len(book)
    known[known] = book.number[rows[known]] == numbers[known]
    pool = value_pledges(rows[known], asset_class[known], quantity[known], classes, len(book))
    return pool, np.unique(asset_class[known])


def uncovered(book: LoanBook) -> Ints:
    """What credits have to cover of each debt: all but what other security supports."""
    rest: Ints = np.maximum(book.debt - book.secured, 0)
    return rest


def marked_book(
    unit: UnitOfWork, parameters: Parameters, at: datetime, *, bank_id: str | None = None
) -> tuple[LoanBook, Ints]:
    """The running loans of a bank, or of all, as they stand at `at`, and the rows that could not be taken forward.

    Nothing is stored: the columns are the caller's own.
    """
    portfolios = [
        number for number, each in unit.loans.portfolios().items() if bank_id is None or each.bank_id == bank_id
    ]
    book = unit.loans.read(running_in=portfolios)
    broken = faults(book)
    going = np.flatnonzero(broken == 0)
    part = book.take(going)
    advance(part, day_of(business_date(at)), market_of(parameters))
    book.put(going, part)
    pool, _ = pooled(unit, portfolios, book, class_table(unit, parameters, at))
    book.lendable[:], book.market[:] = pool.advance, pool.market
    book.coverage[:] = statuses(uncovered(book), pool)
    return book, broken


def totals_of(book: LoanBook) -> BookTotals:
    """A marked book in sums."""
    active = np.flatnonzero(book.active)
    status = book.coverage[active]
    counted = {each: int(np.count_nonzero(status == each)) for each in CoverageStatus}
    unpriced = counted[CoverageStatus.UNPRICED] + counted[CoverageStatus.UNVALUED]
    market = None if unpriced else Money(int(book.market[active].sum()))
    held = {each: count for each, count in counted.items() if count}
    return BookTotals(len(active), Money(int(book.debt[active].sum())), market, held)


def most_urgent(book: LoanBook, most: int) -> list[int]:
    """The numbers of the loans to look at first, at most so many: by status, then by how far debt exceeds the line."""
    rank = np.array([URGENCY.index(CoverageStatus(status)) for status in range(len(CoverageStatus))])
    active = np.flatnonzero(book.active)
    room = book.lendable[active] - uncovered(book)[active]
    order = np.lexsort((book.number[active], room, rank[book.coverage[active]]))
    return [int(number) for number in book.number[active][order[:most]]]
