"""Trading days of an exchange, from the maintained `exchange_calendars`; beyond what it knows there is no answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache

from financing.base.errors import CalendarMissing

FIRST_YEAR = 2021


@dataclass(frozen=True, slots=True)
class TradingCalendar:
    """The trading days from `first` to `last`, both included."""

    name: str
    first: date
    last: date
    days: frozenset[date]

    def is_trading_day(self, day: date) -> bool:
        """Raises `CalendarMissing` for a day outside the calendar: a holiday nobody has announced cannot be guessed."""
        if not self.first <= day <= self.last:
            raise CalendarMissing(
                f"the calendar {self.name} reaches from {self.first} to {self.last}; update exchange_calendars",
                calendar=self.name,
                day=str(day),
                last=str(self.last),
            )
        return day in self.days


@cache
def trading_calendar(name: str) -> TradingCalendar:
    """The calendar of an exchange by its market identifier code (XSHG). Raises `CalendarMissing` if there is none.

    The library is told only the years whose holidays it has on record; what it extrapolates is not used.
    """
    if name != "XSHG":
        raise CalendarMissing("there is no such calendar", calendar=name)
    # Pandas and the calendars take half a second to load; a service that trades nothing does not pay for them.
    from exchange_calendars.exchange_calendar_xshg import XSHGExchangeCalendar  # noqa: PLC0415

    horizon = XSHGExchangeCalendar.bound_max()
    if horizon is None:
        raise CalendarMissing("the calendar states no horizon up to which its holidays are known", calendar=name)
    known = XSHGExchangeCalendar(start=f"{FIRST_YEAR}-01-01", end=horizon)
    days = frozenset(session.date() for session in known.sessions)
    return TradingCalendar(name, date(FIRST_YEAR, 1, 1), horizon.date(), days)
