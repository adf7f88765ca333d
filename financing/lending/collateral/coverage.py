"""Coverage: how debts stand to the lines of their collateral, in columns. One loan is a book of one row.

In a mixed pool every lot has its own lines. A line of the pool is the sum over lots of value × the lot's line, each
rounded down to the fen; the debt stands on the highest line that it reaches (debt ≥ line). An unpriced pool is
unpriced: never zero, never healthy. A priced pool without value (nothing pledged) under a debt stands on the
liquidation line. Sums stay below 2^53, which doubles hold exactly, or the whole valuation is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from financing.base.errors import CoverageInsufficient, QuantityOutOfRange
from financing.base.quantities import BPS_PER_UNIT, KG_PER_TONNE, Money, Rate
from financing.valuation.pools import Lot, PoolUnpriced, PoolValuation, PoolValue, ValuedLot, require_priced

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
NO_PRICE = -1
EXACT = 2**53


class CoverageStatus(IntEnum):
    """Where a debt stands, in order of severity; `UNVALUED` until the first revaluation."""

    UNVALUED = 0
    HEALTHY = 1
    WARN = 2
    CALL = 3
    LIQUIDATE = 4
    UNPRICED = 5

    @property
    def label(self) -> str:
        """Its name as answers and pages have it."""
        return self.name.lower()

    def __str__(self) -> str:
        return self.label

    def __format__(self, form: str) -> str:
        return format(self.label, form)


CALLED = (CoverageStatus.CALL, CoverageStatus.LIQUIDATE)


@dataclass(frozen=True, slots=True)
class ClassTable:
    """Prices (fen a tonne, `NO_PRICE` for none) and lines (basis points) by class index."""

    keys: tuple[str, ...]
    price: Ints
    haircut_bps: Ints
    advance_bps: Ints
    warn_bps: Ints
    call_bps: Ints
    liquidate_bps: Ints


@dataclass(frozen=True, slots=True)
class PoolColumns:
    """By loan: market value, value after haircut, the sums of its lots' lines, and whether any lot has no price."""

    market: Ints
    after_haircut: Ints
    advance: Ints
    warn: Ints
    call: Ints
    liquidate: Ints
    unpriced: NDArray[np.bool_]


def value_pledges(loan: Ints, asset_class: Ints, quantity_kg: Ints, classes: ClassTable, loans: int) -> PoolColumns:
    """Value pledges, each of `loan` (row number), class index and kg outstanding; sums by loan, `loans` long.

    Raises `QuantityOutOfRange` when a value does not fit, or a quantity is negative.
    """
    if len(quantity_kg) and quantity_kg.min() < 0:
        raise QuantityOutOfRange("a pledge holds no negative quantity", quantity_kg=int(quantity_kg.min()))
    price = classes.price[asset_class]
    priced = price != NO_PRICE
    known = np.where(priced, price, 0)
    if len(known) and (known.astype(float) * quantity_kg).max() >= 2.0**62:
        raise QuantityOutOfRange("a pledge's value does not fit", quantity_kg=int(quantity_kg.max()))
    market = known * quantity_kg // KG_PER_TONNE

    def summed(lots: Ints) -> Ints:
        total = np.bincount(loan, weights=lots, minlength=loans)
        if len(total) and total.max() >= EXACT:
            raise QuantityOutOfRange("a pool's value does not fit", total=float(total.max()))
        return total.astype(np.int64)

    def line(bps: Ints) -> Ints:
        return summed(market * bps[asset_class] // BPS_PER_UNIT)

    if len(market) and int(market.max()) >= 2**63 // BPS_PER_UNIT:
        raise QuantityOutOfRange("a pledge's value does not fit", market_fen=int(market.max()))
    return PoolColumns(
        market=summed(market),
        after_haircut=line(BPS_PER_UNIT - classes.haircut_bps),
        advance=line(classes.advance_bps),
        warn=line(classes.warn_bps),
        call=line(classes.call_bps),
        liquidate=line(classes.liquidate_bps),
        unpriced=np.bincount(loan[~priced], minlength=loans) > 0,
    )


def statuses(debt: Ints, pool: PoolColumns) -> Ints:
    """The `CoverageStatus` of each debt (fen, not negative) against its pool; unpriced stays so, whatever is owed."""
    reached = np.full(len(debt), CoverageStatus.HEALTHY, np.int64)
    for line, status in (
        (pool.warn, CoverageStatus.WARN),
        (pool.call, CoverageStatus.CALL),
        (pool.liquidate, CoverageStatus.LIQUIDATE),
    ):
        reached[(debt > 0) & (debt >= line)] = status
    reached[pool.unpriced] = CoverageStatus.UNPRICED
    return reached


def cured(debt: Ints, advance: Ints, unpriced: Bools) -> Bools:
    """Whether each debt is back at or below its advance line. An unpriced pool cures nothing but a debt of zero."""
    is_cured: Bools = (debt == 0) | (~unpriced & (debt <= advance))
    return is_cured


def columns_of(pools: Sequence[PoolValuation]) -> PoolColumns:
    """Valued pools as columns, a row each: their lots by their own marks and policies."""
    rows: list[int] = []
    lots: list[ValuedLot | Lot] = []
    for row, pool in enumerate(pools):
        held: Iterable[ValuedLot | Lot] = pool.lots if isinstance(pool, PoolUnpriced) else pool.lines
        for lot in held:
            rows.append(row)
            lots.append(lot)

    def policy(name: str) -> Ints:
        return np.array([getattr(lot.policy, name) if isinstance(lot, ValuedLot) else 0 for lot in lots], np.int64)

    table = ClassTable(
        keys=(),
        price=np.array([lot.mark.price.amount if isinstance(lot, ValuedLot) else NO_PRICE for lot in lots], np.int64),
        haircut_bps=policy("haircut_bps"),
        advance_bps=policy("advance_bps"),
        warn_bps=policy("warn_bps"),
        call_bps=policy("call_bps"),
        liquidate_bps=policy("liquidate_bps"),
    )
    quantity = np.array([(lot.lot if isinstance(lot, ValuedLot) else lot).quantity.kg for lot in lots], np.int64)
    return value_pledges(np.array(rows, np.int64), np.arange(len(lots)), quantity, table, len(pools))


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


def coverages(debts: Sequence[Money], pools: Sequence[PoolValuation]) -> list[Coverage]:
    """Each debt against its pool, as a person reads it: rows of the columns."""
    columns = columns_of(pools)
    owed = np.array([debt.require_non_negative().fen for debt in debts], np.int64)
    reached = statuses(owed, columns)
    return [_row(columns, row, debt, CoverageStatus(int(reached[row]))) for row, debt in enumerate(debts)]


def coverage(debt: Money, pool: PoolValuation) -> Coverage:
    """Coverage of one debt. Reads only; a preview is this function on a pool that is not stored."""
    return coverages([debt], [pool])[0]


def lines_of(pool: PoolValue) -> Lines:
    """The pool's lines: per lot, summed."""
    return _lines(columns_of([pool]), 0)


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


def _lines(columns: PoolColumns, row: int) -> Lines:
    named = (columns.advance, columns.warn, columns.call, columns.liquidate)
    return Lines(*(Money(int(line[row])) for line in named))


def _row(columns: PoolColumns, row: int, debt: Money, status: CoverageStatus) -> Coverage:
    if status is CoverageStatus.UNPRICED:
        return Coverage(debt, None, None, None, status)
    market = Money(int(columns.market[row]))
    ltv = Rate(0) if not debt else Rate.ratio_up(debt, market) if market else None
    return Coverage(debt, market, _lines(columns, row), ltv, status)
