"""Reductions that are still to be generated, and what may be lent on them: volume at P90, price forward, discounted.

    V = Σ ER_t · F_t · p_deliver^t · e^{−(r + s)·t},   ER_t = capacity · hours · degradation_n · creditable share · EF

t is the end of each year, when its readings can be verified. A stream is a type of its own: it has no ledger asset,
so it is no `Lot`, and `pools.require_issued` refuses it where types are not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from math import exp

from financing.base.errors import RiskInputInvalid
from financing.base.parameters.risk import StreamRule
from financing.base.quantities import BPS_PER_UNIT, Carbon, EmissionFactor, Energy, Money, Rate, floor_div
from financing.valuation.price_models.forward_curve import Curve
from financing.valuation.streams.pv_yield import YieldModel

YEARS_MAX = 25


@dataclass(frozen=True, slots=True)
class FutureStream:
    """What a plant will generate in `years` whole years from `starts_on`; `creditable` is the share no one else claims.

    `starts_on` is at or after `connected_on`. Raises `RiskInputInvalid`.
    """

    plant: str
    capacity_w: int
    connected_on: date
    starts_on: date
    years: int
    creditable: Rate

    def __post_init__(self) -> None:
        if self.capacity_w <= 0 or not 1 <= self.years <= YEARS_MAX or self.starts_on < self.connected_on:
            raise RiskInputInvalid(
                "a stream is of a plant, from its connection on, for 1 to 25 years", plant=self.plant
            )
        if not 0 < self.creditable.bps <= BPS_PER_UNIT:
            raise RiskInputInvalid("the creditable share lies in (0, 1]", plant=self.plant)


@dataclass(frozen=True, slots=True)
class StreamYear:
    """One year of a stream: P50 and P90 energy and reduction, forward price (yuan/t), factors, and discounted value."""

    number: int
    energy_p50: Energy
    energy_p90: Energy
    reduction_p50: Carbon
    reduction_p90: Carbon
    forward: float
    delivery: float
    discount: float
    expected: Money
    at_p90: Money


@dataclass(frozen=True, slots=True)
class StreamValue:
    """A stream year by year. `lendable` is the P90 value after the rule's haircut."""

    stream: FutureStream
    factor: EmissionFactor
    rows: tuple[StreamYear, ...]
    haircut: Rate

    @property
    def expected(self) -> Money:
        return sum((row.expected for row in self.rows), Money(0))

    @property
    def at_p90(self) -> Money:
        return sum((row.at_p90 for row in self.rows), Money(0))

    @property
    def lendable(self) -> Money:
        return self.at_p90.scaled_floor(self.haircut.complement().fraction())

    @property
    def reduction_p90(self) -> Carbon:
        return sum((row.reduction_p90 for row in self.rows), Carbon(0))


def value_stream(
    stream: FutureStream, rule: StreamRule, yields: YieldModel, factor: EmissionFactor, curve: Curve
) -> StreamValue:
    """Value `stream` at its start. `curve` is the forward price of the stream's class, yuan a tonne."""
    rows = []
    first_year = age_in_years(stream.connected_on, stream.starts_on) + 1
    rate = (rule.risk_free_bps + rule.spread_bps) / BPS_PER_UNIT
    for number in range(1, stream.years + 1):
        left = degradation(rule, first_year + number - 1)
        median, low = (_energy(stream, hours, left) for hours in (yields.p50, yields.p90))
        forward = curve.at(float(number))
        delivery = (rule.delivery_bps / BPS_PER_UNIT) ** number
        discount = exp(-rate * number)
        rows.append(
            StreamYear(
                number=number,
                energy_p50=median,
                energy_p90=low,
                reduction_p50=factor.reduction_of(median),
                reduction_p90=factor.reduction_of(low),
                forward=forward,
                delivery=delivery,
                discount=discount,
                expected=_worth(factor.reduction_of(median), forward * delivery * discount),
                at_p90=_worth(factor.reduction_of(low), forward * delivery * discount),
            )
        )
    return StreamValue(stream, factor, tuple(rows), Rate(rule.haircut_bps))


def tonnes_lost(old: EmissionFactor, new: EmissionFactor) -> Rate:
    """The share of tonnes that a change of the grid's factor takes, bp rounded up; none where it rises."""
    old.require_positive()
    lost = max(old.amount - new.require_non_negative().amount, 0)
    return Rate(-(-lost * BPS_PER_UNIT // old.amount))


def degradation(rule: StreamRule, year: int) -> Fraction:
    """What is left of the yield in a plant's `year`-th year, from 1: (1 − first)·(1 − yearly)^(year − 1)."""
    if year < 1:
        raise RiskInputInvalid("a plant's years count from 1", year=year)
    first = Rate(rule.degradation_first_bps).complement().fraction()
    return first * Rate(rule.degradation_bps).complement().fraction() ** (year - 1)


def age_in_years(connected_on: date, on: date) -> int:
    """Whole years since connection; 0 in the first. Raises `RiskInputInvalid` before it."""
    if on < connected_on:
        raise RiskInputInvalid("a plant generates nothing before its connection", on=str(on))
    return on.year - connected_on.year - ((on.month, on.day) < (connected_on.month, connected_on.day))


def _energy(stream: FutureStream, hours: float, left: Fraction) -> Energy:
    creditable = stream.creditable.fraction()
    return Energy(floor_div(Fraction(stream.capacity_w) * Fraction(hours) * left * creditable))


def _worth(reduction: Carbon, yuan_per_tonne: float) -> Money:
    return Money(floor_div(Fraction(reduction.kg, 10) * Fraction(yuan_per_tonne)))
