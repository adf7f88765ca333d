"""What a rooftop plant may be paid for its generation: an estimate between a low and a high yield, never booked.

Generation of year n is capacity × yield × (1 − first-year loss) × (1 − yearly loss)^(n − 1); the low estimate uses the
low yield, the high one the high yield. Rounded down to the kWh and the fen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from financing.base.errors import NotEligible
from financing.base.parameters.records import PvSubsidy
from financing.base.quantities import Money, Rate, floor_div


@dataclass(frozen=True, slots=True)
class SubsidyYear:
    """The nth year after grid connection: kWh and fen, low and high."""

    number: int
    starts_on: date
    kwh_low: int
    kwh_high: int
    low: Money
    high: Money


def estimate(programme: PvSubsidy, capacity_w: int, connected_on: date) -> tuple[SubsidyYear, ...]:
    """Year by year what the programme pays. Raises `NotEligible` for a capacity outside it."""
    if not programme.capacity_w_min <= capacity_w <= programme.capacity_w_max:
        raise NotEligible(
            "the programme does not take plants of this size",
            capacity_w=capacity_w,
            capacity_w_min=programme.capacity_w_min,
            capacity_w_max=programme.capacity_w_max,
        )
    years = []
    for number in range(1, programme.years + 1):
        low, high = (
            _kwh(programme, capacity_w, hours, number) for hours in (programme.yield_h_min, programme.yield_h_max)
        )
        years.append(
            SubsidyYear(
                number,
                _after(connected_on, number - 1),
                low,
                high,
                Money(low * programme.fen_per_kwh),
                Money(high * programme.fen_per_kwh),
            )
        )
    return tuple(years)


def _kwh(programme: PvSubsidy, capacity_w: int, hours: int, number: int) -> int:
    first = Rate(programme.degradation_first_bps).complement().fraction()
    later = Rate(programme.degradation_bps).complement().fraction() ** (number - 1)
    return floor_div(Fraction(capacity_w * hours, 1000) * first * later)


def _after(day: date, years: int) -> date:
    """The same day some years on; 29 February becomes 1 March where there is none."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)
