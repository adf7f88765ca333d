"""Price histories as charts: the price itself, and what a loan's collateral was worth at each price."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from credit_api.console import formats
from credit_api.console.charts import NARROW, WIDE, LineChart, Zone, line_chart
from credit_api.console.pages import Page
from financing.base.quantities import Money, Price
from financing.lending.collateral.standing import LoanCoverage
from financing.lending.unit import UnitOfWork
from financing.market.prices.model import PriceObservation

PRICED = "PHCER"
HISTORY = 250


def price_charts(history: Sequence[PriceObservation]) -> tuple[LineChart, ...]:
    """The price over time, wide and narrow; none without an observation."""
    points = [(seen.observed_at, float(seen.price.amount)) for seen in history]
    if not points:
        return ()
    return tuple(line_chart(frame, points, lambda fen: formats.price(Price(round(fen)))) for frame in (WIDE, NARROW))


def collateral_charts(page: Page, unit: UnitOfWork, standing: LoanCoverage) -> tuple[LineChart, ...]:
    """What today's collateral was worth at each recorded price, against today's debt and the lines it stands on.

    A line is drawn where it matters to the eye: the collateral value at which today's debt would reach it.
    """
    points = _values(unit, standing)
    seen = standing.coverage
    if not points or seen.lines is None or not seen.market or not standing.debt.total:
        return ()
    debt = standing.debt.total.fen

    def value_at(line: Money) -> float:
        return debt * seen.market.fen / line.fen if seen.market and line.fen else 0.0

    zones = (
        Zone("warn", "zone.warn", value_at(seen.lines.warn)),
        Zone("call", "zone.call", value_at(seen.lines.call)),
        Zone("liquidate", "zone.liquidate", value_at(seen.lines.liquidate)),
    )
    rule = (float(debt), page.t("loan.debt"))
    return tuple(
        line_chart(frame, points, _yuan, zones=zones, rule=rule, zone_label=page.t) for frame in (WIDE, NARROW)
    )


def _yuan(fen: float) -> str:
    return formats.money(Money(round(fen / 100) * 100)).removesuffix(".00")


def _values(unit: UnitOfWork, standing: LoanCoverage) -> list[tuple[datetime, float]]:
    """(time, fen) of the pledged quantities at every recorded price; from when every class of the pool had one."""
    held: dict[str, int] = {}
    for stored in standing.pledges:
        lot = stored.pledge.remaining_lot()
        if lot is not None:
            held[lot.asset_class] = held.get(lot.asset_class, 0) + lot.quantity.kg
    seen = sorted(
        (observed for key in held for observed in unit.prices.prices(key, HISTORY)), key=lambda each: each.observed_at
    )
    latest: dict[str, int] = {}
    points: list[tuple[datetime, float]] = []
    for observed in seen:
        latest[observed.asset_class] = observed.price.amount
        if len(latest) == len(held):
            points.append((observed.observed_at, sum(latest[key] * kg / 1000 for key, kg in held.items())))
    return points
