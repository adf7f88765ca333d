"""A mark with an interval: a volume-weighted average, blended with a related class as it grows stale.

    mark = w · VWAP + (1 − w) · β · P_reference,  w = 1 while fresh, then 2^(−days past fresh ÷ half-life)
    half-width = z · √(σ² · age/365 + dispersion² + w·(1 − w)·ln²(VWAP ÷ β·P_reference))

The three parts are what the price may have done since, how far the trades lay apart, and how far the two sources do.
What a lot is worth of it: V = q · P · (1 − d_vint)^age · (1 − d_liq) · λ_quality.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from math import exp, log, sqrt

from financing.base.errors import ParameterMissing, QuantityOutOfRange
from financing.base.parameters.records import CollateralClass
from financing.base.parameters.risk import ValuationRule
from financing.base.quantities import BPS_PER_UNIT, Carbon, Money, Price, floor_div, require_utc
from financing.market.prices.model import Mark, Marked, Unpriced
from financing.valuation.evidence import Screened, TradeObservation, WeightedAverage, screen, weighted_average

WEIGHT_PARTS = 1_000_000


@dataclass(frozen=True, slots=True)
class IntervalMark:
    """A mark with its 90 % interval and where it comes from. `own_weight_ppm` is w; 1,000,000 is all its own trades."""

    asset_class: str
    price: Price
    low: Price
    high: Price
    observed_at: datetime
    age: timedelta
    own_weight_ppm: int
    average: WeightedAverage
    suspects: int

    def as_mark(self) -> Marked:
        """The plain mark, for pools."""
        return Marked(self.asset_class, self.price, self.observed_at, self.age, self.source)

    @property
    def source(self) -> str:
        if self.own_weight_ppm == WEIGHT_PARTS:
            return f"VWAP of {self.average.trades} trades"
        return f"VWAP of {self.average.trades} trades, blended, own weight {self.own_weight_ppm / WEIGHT_PARTS:.2f}"


def interval_mark(
    seen: tuple[TradeObservation, ...],
    policy: CollateralClass,
    rule: ValuationRule,
    at: datetime,
    reference: Mark | None = None,
) -> IntervalMark | Unpriced:
    """The mark of `policy`'s class at `at` from what was `seen`, or `Unpriced` with the reason.

    missing: no trade with a volume, ever. implausible: the latest observation is an unconfirmed jump. stale: the latest
    trade is older than the class allows and there is no reference mark to blend with, or it is older than
    `blend_days_max`. A class without any trade of its own is never marked by another's price.
    """
    at = require_utc(at)
    screened = screen(seen, policy, at, reference, rule.reference_beta_bps or BPS_PER_UNIT, rule.anchor_ratio_max)
    average = _own(screened, rule)
    last_at = max((each.at for each in (*screened.accepted, *screened.suspects)), default=None)
    if screened.latest_is_suspect:
        return Unpriced(policy.key, "implausible", last_at)
    if average is None:
        return Unpriced(policy.key, "missing", last_at)
    age = at - average.latest_at
    past_fresh = age - timedelta(days=policy.price_stale_after_days)
    if past_fresh <= timedelta(0):
        return _mark(policy.key, average, age, Fraction(1), average.price, rule, len(screened.suspects))
    if not isinstance(reference, Marked) or not rule.reference_class or age > timedelta(days=rule.blend_days_max):
        return Unpriced(policy.key, "stale", average.latest_at)
    other = reference.price.scaled_floor(Fraction(rule.reference_beta_bps, BPS_PER_UNIT))
    if other <= Price(0):
        return Unpriced(policy.key, "implausible", average.latest_at)
    halvings = past_fresh / timedelta(days=rule.blend_half_life_days)
    weight = Fraction(int(0.5**halvings * WEIGHT_PARTS), WEIGHT_PARTS)
    return _mark(policy.key, average, age, weight, other, rule, len(screened.suspects))


def lot_value(
    quantity: Carbon, price: Price, rule: ValuationRule, vintage_age_years: int, grade: str, *, stressed: bool = False
) -> Money:
    """V = q · P · (1 − d_vint)^age · (1 − d_liq) · λ_quality, exact and rounded down to the fen once.

    Raises `ParameterMissing` for a grade that the class's file does not name, `QuantityOutOfRange` for a negative age.
    """
    if vintage_age_years < 0:
        raise QuantityOutOfRange("a vintage does not lie in the future", vintage_age_years=vintage_age_years)
    quality = next((row.factor_bps for row in rule.ratings if row.grade == grade), None)
    if quality is None:
        raise ParameterMissing(f"no rating '{grade}' for {rule.key}", key=grade, table="rating")
    discount = rule.liquidity_stress_bps if stressed else rule.liquidity_bps
    factor = (
        Fraction(BPS_PER_UNIT - rule.vintage_bps, BPS_PER_UNIT) ** vintage_age_years
        * Fraction(BPS_PER_UNIT - discount, BPS_PER_UNIT)
        * Fraction(quality, BPS_PER_UNIT)
    )
    return Money(floor_div(Fraction(price.amount * quantity.require_positive().kg, 1000) * factor))


def _own(screened: Screened, rule: ValuationRule) -> WeightedAverage | None:
    """The average of the window that ends with the latest trade that has a volume."""
    traded = [each.at for each in screened.accepted if each.quantity is not None and each.kind != "quote"]
    return weighted_average(screened.accepted, traded[-1], rule.vwap_days) if traded else None


def _mark(
    key: str,
    average: WeightedAverage,
    age: timedelta,
    weight: Fraction,
    other: Price,
    rule: ValuationRule,
    suspects: int,
) -> IntervalMark:
    price = floor_div(weight * average.price.amount + (1 - weight) * other.amount)
    since = rule.volatility**2 * (age / timedelta(days=365))
    apart = log(average.price.amount / other.amount) ** 2 * float(weight * (1 - weight))
    half = rule.interval_z * sqrt(since + average.dispersion**2 + apart)
    return IntervalMark(
        asset_class=key,
        price=Price(price),
        low=Price(int(price * exp(-half))),
        high=Price(int(-(-price * exp(half) // 1))),
        observed_at=average.latest_at,
        age=age,
        own_weight_ppm=int(weight * WEIGHT_PARTS),
        average=average,
        suspects=suspects,
    )
