"""When a venue trades: its phase by its rules, its calendar and the time; and the edges of its price band."""

from __future__ import annotations

from datetime import date, datetime, time
from enum import StrEnum
from typing import Protocol

from financing.base.errors import OrderRefused, OutsideBand
from financing.base.parameters.china_calendar import CalendarStatus
from financing.base.parameters.market import MarketRules
from financing.base.quantities import BPS_PER_UNIT, CHINA_TIME, require_utc


class Phase(StrEnum):
    CLOSED = "closed"
    CALL = "call"
    CONTINUOUS = "continuous"
    BREAK = "break"


class Calendar(Protocol):
    """Which days a venue trades, and how well that is known."""

    def status(self, day: date) -> CalendarStatus: ...

    def is_trading_day(self, day: date) -> bool:
        """Raises `CalendarMissing` for a day whose status is missing."""


def scheduled_phase(rules: MarketRules, calendar: Calendar, at: datetime) -> Phase:
    """The phase that rules and calendar give to `at`. Raises `CalendarMissing` beyond the calendar's horizon."""
    if rules.always_open:
        return Phase.CONTINUOUS
    local = require_utc(at).astimezone(CHINA_TIME)
    if not calendar.is_trading_day(local.date()):
        return Phase.CLOSED
    now = local.time()
    if rules.call_from <= now < rules.call_until:
        return Phase.CALL
    if any(first <= now < last for first, last in rules.sessions):
        return Phase.CONTINUOUS
    return Phase.BREAK if _within(rules, now) else Phase.CLOSED


def _within(rules: MarketRules, now: time) -> bool:
    return rules.sessions[0][1] <= now < rules.sessions[-1][0]


def is_over(rules: MarketRules, at: datetime) -> bool:
    """Whether the last session of `at`'s day has ended."""
    return not rules.always_open and require_utc(at).astimezone(CHINA_TIME).time() >= rules.sessions[-1][1]


def band(reference: int, width_bps: int) -> tuple[int, int]:
    """Lowest and highest price, fen per tonne, within `width_bps` of the previous close: whole ticks inside it."""
    low = -(-reference * (BPS_PER_UNIT - width_bps) // BPS_PER_UNIT)
    return low, reference * (BPS_PER_UNIT + width_bps) // BPS_PER_UNIT


def require_within_band(price: int, reference: int, width_bps: int) -> None:
    """Raises `OutsideBand` naming the edges."""
    low, high = band(reference, width_bps)
    if not low <= price <= high:
        raise OutsideBand(
            "the price lies outside the day's band",
            asked_fen_per_tonne=price,
            lowest_fen_per_tonne=low,
            highest_fen_per_tonne=high,
        )


def lots_of(rules: MarketRules, quantity_kg: int) -> int:
    """Whole lots. Raises `OrderRefused` for a quantity off the lot."""
    lots, rest = divmod(quantity_kg, rules.lot_kg)
    if rest or lots <= 0:
        raise OrderRefused("the quantity is not in whole lots", quantity_kg=quantity_kg, lot_kg=rules.lot_kg)
    return lots


def require_on_tick(rules: MarketRules, price: int) -> None:
    """Raises `OrderRefused` for a price between two ticks, or none at all."""
    if price <= 0 or price % rules.tick_fen:
        raise OrderRefused("the price is not on a tick", asked_fen_per_tonne=price, tick_fen=rules.tick_fen)
