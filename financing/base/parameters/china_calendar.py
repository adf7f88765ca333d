"""China's calendar, read from one dated file: the business days of banks and the trading days of the exchange.

A year is announced by the State Council in the November before, or provisional: the regulation's holidays and their
days in lieu, without the bridging holidays and working weekends that only a notice sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, Self

from pydantic import model_validator

from financing.base.errors import CalendarMissing, CorruptData
from financing.base.parameters.records import Record

SATURDAY = 5
# The notices for 2020 to 2026 came out 68 to 24 days before their year.
WARNING = timedelta(days=60)


class CalendarStatus(StrEnum):
    """How the holidays of a day's year are known."""

    ANNOUNCED = "announced"
    PROVISIONAL = "provisional"
    MISSING = "missing"


class CalendarYear(Record):
    """One calendar year. `off` are holidays from first to last day, weekends among them as a notice lists them;
    `working` are the weekend days that offices and banks make up on. The exchange is closed on every weekend, and on
    `exchange_closed` while banks work."""

    key: Literal["china"]
    status: Literal["announced", "provisional"]
    off: tuple[tuple[date, date], ...]
    working: tuple[date, ...]
    exchange_closed: tuple[date, ...]

    @model_validator(mode="after")
    def _is_one_year(self) -> Self:
        year = self.valid_from.year
        if (self.valid_from, self.valid_until) != (date(year, 1, 1), date(year + 1, 1, 1)):
            raise ValueError("a record is one calendar year")
        ends = [day for spell in self.off for day in spell]
        if ends != sorted(ends) or any(day.year != year for day in (*ends, *self.working, *self.exchange_closed)):
            raise ValueError("holidays are in order, and every day is of the record's year")
        if any(day.weekday() < SATURDAY or self.is_off(day) for day in self.working):
            raise ValueError("a working day is a weekend day that is no holiday")
        if any(day.weekday() >= SATURDAY or self.is_off(day) for day in self.exchange_closed):
            raise ValueError("the exchange is closed on weekends and holidays anyhow")
        return self

    def is_off(self, day: date) -> bool:
        return any(first <= day <= last for first, last in self.off)


@dataclass(frozen=True, slots=True, eq=False)
class ChinaCalendar:
    """Years without a gap, the first one announced.

    A day outside them is refused: a holiday nobody has written down cannot be guessed.
    """

    years: Mapping[int, CalendarYear]

    @classmethod
    def of(cls, records: Iterable[CalendarYear]) -> ChinaCalendar:
        """Raises `CorruptData` for years with a gap, or without an announced one to begin with."""
        years = {record.valid_from.year: record for record in sorted(records, key=lambda each: each.valid_from)}
        first = years[min(years)]
        if list(years) != list(range(min(years), max(years) + 1)) or first.status != "announced":
            raise CorruptData(
                f"{first.file}: years follow each other, from an announced one on", file=first.file, years=sorted(years)
            )
        return cls(MappingProxyType(years))

    @property
    def first(self) -> date:
        return date(min(self.years), 1, 1)

    @property
    def last(self) -> date:
        return date(max(self.years), 12, 31)

    def until(self, year: int) -> ChinaCalendar:
        """This calendar up to the end of `year`."""
        return ChinaCalendar(MappingProxyType({each: record for each, record in self.years.items() if each <= year}))

    def announced(self) -> ChinaCalendar:
        """This calendar up to the last year before the first provisional one."""
        provisional = [year for year, record in self.years.items() if record.status == "provisional"]
        return self.until(min(provisional) - 1) if provisional else self

    def status(self, day: date) -> CalendarStatus:
        year = self.years.get(day.year)
        return CalendarStatus.MISSING if year is None else CalendarStatus(year.status)

    def is_business_day(self, day: date) -> bool:
        """Whether banks work. Raises `CalendarMissing` for a day outside the calendar."""
        year = self._year(day)
        return day in year.working or (day.weekday() < SATURDAY and not year.is_off(day))

    def is_trading_day(self, day: date) -> bool:
        """Whether the exchange trades: on no weekend, worked or not. Raises `CalendarMissing`."""
        year = self._year(day)
        return day.weekday() < SATURDAY and not year.is_off(day) and day not in year.exchange_closed

    def warning(self, today: date) -> str | None:
        """What an operator is told when the notice for a year that has begun, or soon will, is not in the file."""
        for day in (today, today + WARNING):
            if self.status(day) is not CalendarStatus.ANNOUNCED:
                return (
                    f"the holidays of {day.year} are {self.status(day)}: enter the State Council's notice "
                    "in china_calendar.toml"
                )
        return None

    def _year(self, day: date) -> CalendarYear:
        year = self.years.get(day.year)
        if year is None:
            raise CalendarMissing(
                f"the calendar of China reaches from {self.first} to {self.last}; china_calendar.toml needs more years",
                day=str(day),
                first=str(self.first),
                last=str(self.last),
            )
        return year
