"""How every loan stands to its collateral now; margin calls are made and closed here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from financing.collateral.coverage import Coverage, CoverageStatus, coverage
from financing.collateral.margin import CollateralCure, cash_cure, collateral_cure, is_cured, make_call
from financing.lending.book import LoanBook
from financing.lending.days import day_of
from financing.lending.loan import Debt, debt_of
from financing.lending.rolling import advance
from financing.parameters import Parameters
from financing.persistence.lending_store import StoredCall, StoredLoan, StoredPledge
from financing.persistence.unit_of_work import UnitOfWork
from financing.quantities import Money, business_date
from financing.services.context import Context
from financing.services.loan_markets import market_of
from financing.services.marks import marks_of
from financing.valuation.pools import Lot, PoolValuation, PoolValue, value_pool
from financing.valuation.prices import Marked

CALLED = frozenset({CoverageStatus.CALL, CoverageStatus.LIQUIDATE})


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


def look_at(
    unit: UnitOfWork, parameters: Parameters, loans: Sequence[StoredLoan], at: datetime
) -> tuple[LoanCoverage, ...]:
    """Coverage of each loan at `at`. Reads only: one query for pledges, one for calls, one a class for marks."""
    ids = [stored.loan.loan_id for stored in loans]
    pledges, calls = unit.lending.posted_pledges(ids), unit.lending.open_calls(ids)
    classes = parameters.classes_on(business_date(at))
    marks = marks_of(unit, parameters, (p.pledge.lot.asset_class for held in pledges.values() for p in held), at)
    book = LoanBook.joined([stored.book for stored in loans])
    advance(book, day_of(business_date(at)), market_of(parameters))
    late = book.days_past_due(day_of(business_date(at)))
    looked = []
    for row, stored in enumerate(loans):
        held = tuple(pledges.get(stored.loan.loan_id, ()))
        pool = value_pool(_lots(held), marks, classes)
        debt = debt_of(book, row)
        uncovered = exposed(debt.total, stored)
        standing = coverage(uncovered, pool)
        cash: Money | None = None
        cures: tuple[CollateralCure, ...] = ()
        if isinstance(pool, PoolValue) and standing.shortfall:
            cash = cash_cure(uncovered, pool)
            offered = sorted({lot.asset_class for lot in _lots(held)})
            cures = tuple(
                collateral_cure(uncovered, pool, marks[key], classes[key])
                for key in offered
                if isinstance(marks[key], Marked)
            )
        call = calls.get(stored.loan.loan_id)
        looked.append(LoanCoverage(stored, debt, held, pool, standing, call, cash, cures, int(late[row])))
    return tuple(looked)


def settle_call(unit: UnitOfWork, context: Context, standing: LoanCoverage) -> None:
    """Make or close the margin call of one loan according to how it stands."""
    if standing.call is not None:
        if is_cured(standing.exposed, standing.pool):
            unit.lending.close_call(standing.call.call_id, "cured", context.at)
        return
    if standing.coverage.status in CALLED and isinstance(standing.pool, PoolValue):
        loan = standing.stored.loan
        product = context.parameters.running_product(standing.stored.product, business_date(context.at))
        call = make_call(loan.loan_id, standing.exposed, standing.pool, product, context.at, context.parameters.china)
        unit.lending.add_call(context.new_id("mcl"), call, standing.pool.market)


def exposed(debt: Money, stored: StoredLoan) -> Money:
    """The part of a debt that no other security supports."""
    return max(debt - stored.terms.secured, Money(0))


def stand(unit: UnitOfWork, context: Context, loan_id: str) -> LoanCoverage:
    """How one loan stands now."""
    return look_at(unit, context.parameters, [unit.lending.loan(loan_id)], context.at)[0]


def _lots(pledges: Sequence[StoredPledge]) -> tuple[Lot, ...]:
    lots = (stored.pledge.remaining_lot() for stored in pledges)
    return tuple(lot for lot in lots if lot is not None)
