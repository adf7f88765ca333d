"""A million pledges over a book of loans: values, lines and coverage, as columns. The same figures as `coverage`.

Every lot's value and lines are rounded down to the fen and summed by loan, exactly: sums stay below 2^53, which doubles
hold exactly, or the whole revaluation is refused. A lot without a price makes its loan unpriced, never healthy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from financing.base.errors import QuantityOutOfRange
from financing.base.quantities import BPS_PER_UNIT, KG_PER_TONNE

Ints = NDArray[np.int64]
NO_PRICE = -1
EXACT = 2**53


class Standing(IntEnum):
    """Coverage as a number, in order of severity; `UNVALUED` until the first revaluation."""

    UNVALUED = 0
    HEALTHY = 1
    WARN = 2
    CALL = 3
    LIQUIDATE = 4
    UNPRICED = 5


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
    if len(known) and float(known.max()) * float(quantity_kg.max()) >= 2.0**62:
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


def standings(debt: Ints, pool: PoolColumns) -> Ints:
    """The `Standing` of each debt (fen, not negative) against its pool. Unpriced stays unpriced, whatever is owed."""
    found = np.full(len(debt), Standing.HEALTHY, np.int64)
    for line, standing in (
        (pool.warn, Standing.WARN),
        (pool.call, Standing.CALL),
        (pool.liquidate, Standing.LIQUIDATE),
    ):
        found[(debt > 0) & (debt >= line)] = standing
    found[pool.unpriced] = Standing.UNPRICED
    return found
