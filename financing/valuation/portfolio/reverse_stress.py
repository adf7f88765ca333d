"""Reverse stress: not what a fall does, but the smallest fall that does it, to the basis point.

Whether a covenant is broken comes from a callable over debt and pool, the exact integer rules of the collateral room. A
lower price never mends a broken covenant, so bisection finds the first fall that breaks it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from financing.base.errors import RiskInputInvalid
from financing.base.parameters.records import CollateralClass
from financing.base.quantities import BPS_PER_UNIT, Money, Rate
from financing.market.prices.model import Mark
from financing.valuation.pools import PoolValuation, require_priced, value_pool
from financing.valuation.portfolio.stress import SecuredLoan, fallen_marks

Broken = Callable[[Money, PoolValuation], bool]


def smallest_fall(breaks: Callable[[Rate], bool]) -> Rate | None:
    """The smallest fall in [0, 100 %] at which `breaks` is true, or None when even losing everything does not.

    `breaks` must not become false again as the fall grows.
    """
    if breaks(Rate(0)):
        return Rate(0)
    if not breaks(Rate(BPS_PER_UNIT)):
        return None
    holds, broken = 0, BPS_PER_UNIT
    while broken - holds > 1:
        middle = (holds + broken) // 2
        if breaks(Rate(middle)):
            broken = middle
        else:
            holds = middle
    return Rate(broken)


def breaking_fall(
    loan: SecuredLoan, marks: Mapping[str, Mark], classes: Mapping[str, CollateralClass], broken: Broken
) -> Rate | None:
    """The smallest common fall of all prices that breaks `loan`'s covenant; None when none does.

    Raises `PriceMissing`, `PriceStale` or `PriceImplausible` for an unpriced pool: unknown distance is not distance.
    """
    require_priced(value_pool(loan.lots, marks, classes))
    return smallest_fall(lambda fall: broken(loan.debt, value_pool(loan.lots, fallen_marks(marks, fall), classes)))


@dataclass(frozen=True, slots=True)
class BreakCurve:
    """Loans by the fall that breaks them, ascending; loans that nothing breaks are last, with None."""

    loans: tuple[tuple[str, Rate | None, Money], ...]

    @property
    def debt(self) -> Money:
        return sum((debt for _, _, debt in self.loans), Money(0))

    def broken_at(self, fall: Rate) -> Money:
        """Debt whose covenants are broken by a fall."""
        return sum((debt for _, needed, debt in self.loans if needed is not None and needed <= fall), Money(0))

    def fall_breaking(self, share: Rate) -> Rate | None:
        """The smallest fall that breaks the covenants of at least `share` of the debt. Raises `RiskInputInvalid`."""
        if not 0 < share.bps <= BPS_PER_UNIT:
            raise RiskInputInvalid("a share of the debt lies in (0, 1]", share_bps=share.bps)
        wanted = Fraction(self.debt.fen) * share.fraction()
        reached = Money(0)
        for _, needed, debt in self.loans:
            if needed is None:
                return None
            reached += debt
            if reached.fen >= wanted:
                return needed
        return None


def break_curve(
    loans: Sequence[SecuredLoan], marks: Mapping[str, Mark], classes: Mapping[str, CollateralClass], broken: Broken
) -> BreakCurve:
    """Every loan with the fall that breaks it. Raises as `breaking_fall` for the first unpriced pool."""
    breaks = [(loan.loan_id, breaking_fall(loan, marks, classes, broken), loan.debt) for loan in loans]
    breaks.sort(key=lambda row: (row[1] is None, row[1].bps if row[1] is not None else 0, row[0]))
    return BreakCurve(tuple(breaks))
