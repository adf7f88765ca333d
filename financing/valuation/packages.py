"""What a package's units are worth: what is behind them, at the mark of its class."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from financing.base.parameters import Parameters
from financing.base.quantities import Carbon, Money
from financing.market.prices.model import Unpriced
from financing.market.unit import MarketUnit
from financing.registry.packages.model import Breakdown, Package
from financing.valuation.marks import marks_of


def package_value(
    unit: MarketUnit, parameters: Parameters, package: Package, lines: Iterable[Breakdown], at: datetime
) -> Money | None:
    """Market value of what is behind the units; None while the class has no usable price."""
    mark = marks_of(unit, parameters, [package.asset_class], at)[package.asset_class]
    if isinstance(mark, Unpriced):
        return None
    return mark.price.value_of(sum((line.quantity for line in lines), Carbon(0)))
