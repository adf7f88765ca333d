"""How every loan stands to its collateral now; margin calls are made and closed here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from financing.base.context import Context
from financing.base.parameters import Parameters
from financing.base.parameters.records import CollateralClass
from financing.base.quantities import Money, business_date
from financing.lending.collateral.coverage import Coverage, coverages
from financing.lending.collateral.margin import CollateralCure, StoredCall, cash_cure, collateral_cure, judge, make_call
from financing.lending.collateral.pledge import StoredPledge
from financing.lending.loans.book import LoanBook
from financing.lending.loans.days import day_of
from financing.lending.loans.loan import Debt, StoredLoan, debt_of
from financing.lending.loans.markets import market_of
from financing.lending.loans.rolling import advance
from financing.lending.unit import UnitOfWork
from financing.market.prices.model import Mark, Marked
from financing.valuation.marks import marks_of
from financing.valuation.pools import Lot, PoolValuation, PoolValue, require_priced, value_pool


@dataclass(frozen=True, slots=True)
class LoanCoverage:
    """A loan as it stands: debt of the day, collateral, coverage, the open margin call and what cures it.

    `cash_cure` and `credit_cures` (one a class of the pool) are None and empty while nothing needs curing or the pool
    is unpriced: an unknown value has no quoted cure.
    """

    stored: StoredLoan
    debt: Debt
    pledges: tuple[StoredPledge, ...]
    pool: PoolValuation
    coverage: Coverage
    call: StoredCall | None
    cash_cure: Money | None
    credit_cures: tuple[CollateralCure, ...]
    days_past_due: int

    @property
    def exposed(self) -> Money:
        """What the credits have to cover: the debt less what other security supports."""
        return exposed(self.debt.total, self.stored)


def loan_coverages(
    unit: UnitOfWork, parameters: Parameters, loans: Sequence[StoredLoan], at: datetime
) -> tuple[LoanCoverage, ...]:
    """Coverage of each loan at `at`. Reads only: one query for pledges, one for calls, one a class for marks."""
    ids = [stored.loan.loan_id for stored in loans]
    pledges, calls = unit.pledges.posted(ids), unit.calls.open_of(ids)
    classes = parameters.classes_on(business_date(at))
    marks = marks_of(unit, parameters, (p.pledge.lot.asset_class for held in pledges.values() for p in held), at)
    book = LoanBook.joined([stored.book for stored in loans])
    advance(book, day_of(business_date(at)), market_of(parameters))
    late = book.days_past_due(day_of(business_date(at)))
    held = [tuple(pledges.get(stored.loan.loan_id, ())) for stored in loans]
    pools = [value_pool(_lots(each), marks, classes) for each in held]
    debts = [debt_of(book, row) for row in range(len(loans))]
    covered = coverages([exposed(debt.total, stored) for debt, stored in zip(debts, loans, strict=True)], pools)
    looked = []
    for row, stored in enumerate(loans):
        cash, cures = _cures(covered[row], pools[row], marks, classes)
        call = calls.get(stored.loan.loan_id)
        looked.append(
            LoanCoverage(stored, debts[row], held[row], pools[row], covered[row], call, cash, cures, int(late[row]))
        )
    return tuple(looked)


def _cures(
    seen: Coverage, pool: PoolValuation, marks: Mapping[str, Mark], classes: Mapping[str, CollateralClass]
) -> tuple[Money | None, tuple[CollateralCure, ...]]:
    """What cures in cash, and in each class of the pool; nothing while nothing needs curing or the value is unknown."""
    if not isinstance(pool, PoolValue) or not seen.shortfall:
        return None, ()
    offered = sorted({line.lot.asset_class for line in pool.lines})
    return cash_cure(seen.debt, pool), tuple(
        collateral_cure(seen.debt, pool, marks[key], classes[key]) for key in offered if isinstance(marks[key], Marked)
    )


def settle_call(unit: UnitOfWork, context: Context, standing: LoanCoverage) -> None:
    """Make or close the margin call of one loan according to how it stands."""
    lines, called = standing.coverage.lines, standing.call
    verdict = judge(
        np.array([standing.exposed.fen]),
        np.array([lines.advance.fen if lines else 0]),
        np.array([int(standing.coverage.status)]),
        np.array([called is not None]),
    )
    if called is not None and verdict.cure[0]:
        unit.calls.close([called.call_id], "cured", context.at)
    if verdict.call[0]:
        pool, loan = require_priced(standing.pool), standing.stored.loan
        product = context.parameters.running_product(standing.stored.product, business_date(context.at))
        call = make_call(loan.loan_id, standing.exposed, pool, product, context.at, context.parameters.china)
        unit.calls.add([StoredCall(context.new_id("mcl"), call, pool.market)])


def exposed(debt: Money, stored: StoredLoan) -> Money:
    """The part of a debt that no other security supports."""
    return max(debt - stored.terms.secured, Money(0))


def loan_coverage(unit: UnitOfWork, context: Context, loan_id: str) -> LoanCoverage:
    """How one loan stands now."""
    return loan_coverages(unit, context.parameters, [unit.loans.get(loan_id)], context.at)[0]


def _lots(pledges: Sequence[StoredPledge]) -> tuple[Lot, ...]:
    lots = (stored.pledge.remaining_lot() for stored in pledges)
    return tuple(lot for lot in lots if lot is not None)
