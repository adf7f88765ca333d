"""Marks of collateral classes at a time, from what was observed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from financing.base.parameters import Parameters
from financing.base.quantities import business_date
from financing.market.prices.model import Mark, mark
from financing.market.unit import MarketUnit
from financing.valuation.pools import Lot, PoolValuation, value_pool


def marks_of(unit: MarketUnit, parameters: Parameters, asset_classes: Iterable[str], at: datetime) -> dict[str, Mark]:
    """The mark of each class: a price, or Unpriced with its reason. Raises `ParameterMissing` for an unknown class."""
    marks: dict[str, Mark] = {}
    for key in sorted(set(asset_classes)):
        policy = parameters.collateral_class(key, business_date(at))
        latest = unit.prices.latest_price(key, at)
        marks[key] = mark([latest] if latest else [], at, policy)
    return marks


def value_lots(unit: MarketUnit, parameters: Parameters, lots: Iterable[Lot], at: datetime) -> PoolValuation:
    """The value of a pool at the marks of `at`."""
    held = tuple(lots)
    marks = marks_of(unit, parameters, (lot.asset_class for lot in held), at)
    return value_pool(held, marks, parameters.classes_on(business_date(at)))
