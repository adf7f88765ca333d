"""Coverage: how a debt stands to the lines of its collateral.

In a mixed pool every lot has its own lines. A line of the pool is the sum over lots of value × the lot's line, each
rounded down; the debt stands on the highest line that it reaches (debt ≥ line). For one class this is debt ÷ value
against the class's percentages. An unpriced pool is unpriced: never zero, never healthy. A priced pool without value
(nothing pledged) under a debt stands on the liquidation line.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from financing.base.errors import CoverageInsufficient
from financing.base.quantities import Money, Rate
from financing.valuation.pools import PoolUnpriced, PoolValuation, PoolValue, require_priced


class CoverageStatus(StrEnum):
    HEALTHY = "healthy"
    WARN = "warn"
    CALL = "call"
    LIQUIDATE = "liquidate"
    UNPRICED = "unpriced"


@dataclass(frozen=True, slots=True)
class Lines:
    """The debts, in money, at which a pool stands on each line; `advance` is what may be lent on it."""

    advance: Money
    warn: Money
    call: Money
    liquidate: Money


@dataclass(frozen=True, slots=True)
class Coverage:
    """Where a debt stands. `ltv` (rounded up) and `market` are None when unknown, `ltv` also without any value."""

    debt: Money
    market: Money | None
    lines: Lines | None
    ltv: Rate | None
    status: CoverageStatus

    @property
    def shortfall(self) -> Money | None:
        """What the debt exceeds the advance line by; None when unpriced."""
        return None if self.lines is None else max(self.debt - self.lines.advance, Money(0))


def lines_of(pool: PoolValue) -> Lines:
    """The pool's lines: per lot, summed."""
    zero = Money(0)
    return Lines(
        advance=pool.lendable,
        warn=sum((line.at_line(line.policy.warn_bps) for line in pool.lines), zero),
        call=sum((line.at_line(line.policy.call_bps) for line in pool.lines), zero),
        liquidate=sum((line.at_line(line.policy.liquidate_bps) for line in pool.lines), zero),
    )


def coverage(debt: Money, pool: PoolValuation) -> Coverage:
    """Coverage of `debt` by `pool`. Reads only; a preview is this function on a pool that is not stored."""
    debt.require_non_negative()
    if isinstance(pool, PoolUnpriced):
        return Coverage(debt, None, None, None, CoverageStatus.UNPRICED)
    lines, market = lines_of(pool), pool.market
    if not debt:
        return Coverage(debt, market, lines, Rate(0), CoverageStatus.HEALTHY)
    ltv = Rate.ratio_up(debt, market) if market else None
    return Coverage(debt, market, lines, ltv, _status(debt, lines))


def require_releasable(debt: Money, remaining: PoolValuation) -> None:
    """Raise unless what remains after a release still covers the debt at the advance line.

    With no debt everything may go, priced or not. Otherwise `PriceMissing`, `PriceStale` or `PriceImplausible` for an
    unpriced remainder, `CoverageInsufficient` when the debt is above its advance line.
    """
    if not debt.require_non_negative():
        return
    lendable = require_priced(remaining).lendable
    if debt > lendable:
        raise CoverageInsufficient(
            "the remaining collateral does not cover the debt at the advance line",
            debt_fen=debt.fen,
            lendable_fen=lendable.fen,
        )


def _status(debt: Money, lines: Lines) -> CoverageStatus:
    if debt >= lines.liquidate:
        return CoverageStatus.LIQUIDATE
    if debt >= lines.call:
        return CoverageStatus.CALL
    return CoverageStatus.WARN if debt >= lines.warn else CoverageStatus.HEALTHY
