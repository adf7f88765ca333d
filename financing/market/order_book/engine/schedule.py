"""Which events are due by the clock before a command is taken: days that end and begin, calls that open and uncross."""

from __future__ import annotations

from datetime import datetime

from financing.base.errors import MarketClosed, MarketHalted
from financing.base.parameters.china_calendar import CalendarStatus
from financing.base.parameters.market import MarketRules
from financing.base.quantities import business_date
from financing.market.order_book.engine.events import CallOpened, Continued, DatesPassed, DayClosed, DayOpened, Event
from financing.market.order_book.engine.matching_engine import MatchingEngine
from financing.market.order_book.engine.sessions import Calendar, Phase, is_over, scheduled_phase


def due(state: MatchingEngine, rules: MarketRules, calendar: Calendar, at: datetime) -> Event | None:
    """The next event that rules, calendar and time demand; apply it and ask again until there is none.

    Where the calendar does not reach `at` nothing begins, but what has begun ends: no order's money or credits wait for
    a calendar.
    """
    today = business_date(at)
    if state.day is not None and not state.day_over and (state.day < today or is_over(rules, at)):
        return DayClosed(state.day)
    if calendar.status(today) is CalendarStatus.MISSING:
        return DatesPassed(today) if state.dated_before(today) else None
    phase = scheduled_phase(rules, calendar, at)
    if state.day is None or state.day < today:
        opens = phase is not Phase.CLOSED
        return DayOpened(today, state.reference) if opens else None
    return None if state.day_over or state.halted else _next_phase(state, phase)


def _next_phase(state: MatchingEngine, phase: Phase) -> Event | None:
    if phase is Phase.CALL and state.phase is Phase.CLOSED:
        return CallOpened(manual=False)
    if phase is Phase.CONTINUOUS and (state.phase is Phase.CLOSED or (state.phase is Phase.CALL and not state.manual)):
        return Continued()
    return None


def require_taking_orders(state: MatchingEngine, rules: MarketRules, calendar: Calendar, at: datetime) -> None:
    """Raise `MarketHalted`, `MarketClosed` or `CalendarMissing` unless orders are taken at `at`."""
    if state.halted:
        raise MarketHalted("the instrument is halted", instrument=state.instrument)
    scheduled = scheduled_phase(rules, calendar, at)
    if state.day_over or state.phase is Phase.CLOSED or scheduled in (Phase.CLOSED, Phase.BREAK):
        raise MarketClosed(
            "the market takes no orders now", instrument=state.instrument, phase=str(scheduled), venue=rules.key
        )
