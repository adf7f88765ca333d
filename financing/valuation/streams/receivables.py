"""What a plant will be paid for its electricity, month by month at P90: self-use and feed-in have different tariffs.

    V = Σ E_m · (share · tariff_self + (1 − share) · tariff_feed_in) · e^{−(r + s)·t_m}

The payers pay at the end of the month. Energy already generated is a claim on a customer and no matter of yield.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from math import exp

from financing.base.errors import RiskInputInvalid
from financing.base.parameters.risk import StreamRule
from financing.base.quantities import BPS_PER_UNIT, Energy, Money, Rate, floor_div
from financing.valuation.streams.income import age_in_years, degradation
from financing.valuation.streams.pv_yield import YieldModel

MONTHS_MAX = 300


@dataclass(frozen=True, slots=True)
class ElectricityReceivable:
    """The electricity of a plant in `months` whole months from the first of `starts_on`'s month.

    `self_use` is the share that the roof's owner uses. Raises `RiskInputInvalid`.
    """

    plant: str
    capacity_w: int
    connected_on: date
    starts_on: date
    months: int
    self_use: Rate

    def __post_init__(self) -> None:
        if self.capacity_w <= 0 or not 1 <= self.months <= MONTHS_MAX or self.starts_on.day != 1:
            raise RiskInputInvalid("a receivable is of a plant, for 1 to 300 whole months", plant=self.plant)
        if self.starts_on < self.connected_on or not 0 <= self.self_use.bps <= BPS_PER_UNIT:
            raise RiskInputInvalid("it starts after connection and its shares lie in [0, 1]", plant=self.plant)


@dataclass(frozen=True, slots=True)
class ReceivableMonth:
    """One month: P90 energy, what each payer pays for it, and both discounted."""

    starts_on: date
    energy_p90: Energy
    self_use: Money
    feed_in: Money
    present: Money


@dataclass(frozen=True, slots=True)
class ReceivableValue:
    """A receivable by month."""

    receivable: ElectricityReceivable
    rows: tuple[ReceivableMonth, ...]

    @property
    def at_p90(self) -> Money:
        return sum((row.present for row in self.rows), Money(0))


def value_receivable(receivable: ElectricityReceivable, rule: StreamRule, yields: YieldModel) -> ReceivableValue:
    """Value `receivable` at its start, rounded down at every step."""
    hours = yields.p90_months()
    rate = (rule.risk_free_bps + rule.spread_bps) / BPS_PER_UNIT
    share = receivable.self_use.fraction()
    rows = []
    for number in range(receivable.months):
        day = _months_on(receivable.starts_on, number)
        left = degradation(rule, age_in_years(receivable.connected_on, day) + 1)
        energy = Energy(floor_div(Fraction(receivable.capacity_w) * Fraction(float(hours[day.month - 1])) * left))
        kwh = Fraction(energy.wh, 1000)
        own = Money(floor_div(kwh * share * rule.self_use_fen_per_kwh))
        fed = Money(floor_div(kwh * (1 - share) * rule.feed_in_fen_per_kwh))
        present = (own + fed).scaled_floor(Fraction(exp(-rate * (number + 1) / 12)))
        rows.append(ReceivableMonth(day, energy, own, fed, present))
    return ReceivableValue(receivable, tuple(rows))


def _months_on(day: date, months: int) -> date:
    place = day.month - 1 + months
    return date(day.year + place // 12, place % 12 + 1, 1)
