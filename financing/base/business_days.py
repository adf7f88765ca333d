"""Business days: weekdays, or those of banks in China; conventions that move a day to one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from financing.base.errors import ContractInvalid
from financing.base.parameters import load_parameters
from financing.base.parameters.china_calendar import SATURDAY

IsBusinessDay = Callable[[date], bool]


def every_day(day: date) -> bool:  # noqa: ARG001
    return True


def weekdays(day: date) -> bool:
    return day.weekday() < SATURDAY


def china(day: date) -> bool:
    """Whether banks in China work on a day, by the calendar file; a contract is exact, so only announced years count.

    Raises `CalendarMissing` for a year whose holidays nobody announced.
    """
    return load_parameters().china.announced().is_business_day(day)


def add_business_days(day: date, count: int, is_business_day: IsBusinessDay) -> date:
    """The `count`-th business day after `day`; `day` itself for 0."""
    while count > 0:
        day += timedelta(days=1)
        count -= is_business_day(day)
    return day


def following(day: date, is_business_day: IsBusinessDay) -> date:
    while not is_business_day(day):
        day += timedelta(days=1)
    return day


def preceding(day: date, is_business_day: IsBusinessDay) -> date:
    while not is_business_day(day):
        day -= timedelta(days=1)
    return day


def modified_following(day: date, is_business_day: IsBusinessDay) -> date:
    """The next business day, or the last one of the month when that would be in the next."""
    moved = following(day, is_business_day)
    return moved if moved.month == day.month else preceding(day, is_business_day)


def modified_preceding(day: date, is_business_day: IsBusinessDay) -> date:
    moved = preceding(day, is_business_day)
    return moved if moved.month == day.month else following(day, is_business_day)


_MOVES = {"F": following, "MF": modified_following, "P": preceding, "MP": modified_preceding}


@dataclass(frozen=True, slots=True)
class Shift:
    """A business-day convention: how a day moves, and whether interest is calculated for the moved day (S…) or for the
    day as scheduled (CS…)."""

    move: Callable[[date, IsBusinessDay], date] | None
    calculate_first: bool
    is_business_day: IsBusinessDay

    def shifted(self, moment: datetime) -> datetime:
        """The moment at which it happens."""
        if self.move is None:
            return moment
        day = self.move(moment.date(), self.is_business_day)
        return moment.replace(year=day.year, month=day.month, day=day.day)

    def calculated(self, moment: datetime) -> datetime:
        """The moment for which it is calculated."""
        return moment if self.calculate_first else self.shifted(moment)


def shift_of(convention: str, calendar: str) -> Shift:
    """The convention by its ACTUS name: NULL, SCF, SCMF, SCP, SCMP, CSF, CSMF, CSP, CSMP. Raises `ContractInvalid`."""
    calendars: dict[str, IsBusinessDay] = {"": every_day, "NC": every_day, "MF": weekdays, "CN": china}
    if calendar not in calendars:
        raise ContractInvalid("no such calendar", calendar=calendar, known=sorted(calendars))
    if convention in {"", "NULL", "NOS"}:
        return Shift(None, False, calendars[calendar])
    kind, move = convention[:2], convention[2:]
    if kind not in {"SC", "CS"} or move not in _MOVES:
        raise ContractInvalid("no such business-day convention", convention=convention)
    return Shift(_MOVES[move], kind == "CS", calendars[calendar])
