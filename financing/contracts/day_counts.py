"""Year fractions between two moments by the ACTUS day-count conventions (ACTUS Technical Specification 1.1, 3.6)."""

from __future__ import annotations

from calendar import isleap
from collections.abc import Callable
from datetime import date, datetime, timedelta

from financing.errors import ContractInvalid

END_OF_DAY = (23, 59, 59)


def day_at(moment: datetime) -> date:
    """The day a moment counts as: one second before midnight is the next day's beginning."""
    if (moment.hour, moment.minute, moment.second) == END_OF_DAY:
        return (moment + timedelta(seconds=1)).date()
    return moment.date()


def _actual_actual(start: date, end: date) -> float:
    """Actual/Actual ISDA: days in leap years over 366, the others over 365."""
    if start.year == end.year:
        return (end - start).days / (366 if isleap(start.year) else 365)
    first = (date(start.year + 1, 1, 1) - start).days / (366 if isleap(start.year) else 365)
    last = (end - date(end.year, 1, 1)).days / (366 if isleap(end.year) else 365)
    return first + (end.year - start.year - 1) + last


def _thirty(start: date, end: date, first_day: int, last_day: int) -> float:
    return ((end.year - start.year) * 360 + (end.month - start.month) * 30 + (last_day - first_day)) / 360


def _thirty_e(start: date, end: date) -> float:
    return _thirty(start, end, min(start.day, 30), min(end.day, 30))


def _is_month_end(day: date) -> bool:
    return (day + timedelta(days=1)).day == 1


def _thirty_e_isda(start: date, end: date) -> float:
    """30E/360 ISDA: the last day of a month is the 30th; the last of February is not, when it ends the term."""
    first = 30 if _is_month_end(start) else start.day
    last = 30 if _is_month_end(end) and end.month != 2 else min(end.day, 30)
    return _thirty(start, end, first, last)


def _twenty_eight(start: date, end: date) -> float:
    """28E/336: months of 28 days."""
    first, last = min(start.day, 28), min(end.day, 28)
    return ((end.year - start.year) * 336 + (end.month - start.month) * 28 + (last - first)) / 336


CONVENTIONS: dict[str, Callable[[date, date], float]] = {
    "AA": _actual_actual,
    "A360": lambda start, end: (end - start).days / 360,
    "A365": lambda start, end: (end - start).days / 365,
    "30E360": _thirty_e,
    "30E360ISDA": _thirty_e_isda,
    "28E336": _twenty_eight,
}


def year_fraction(convention: str, start: datetime, end: datetime) -> float:
    """Years from `start` to `end`. Raises `ContractInvalid` for a convention that is not known."""
    rule = CONVENTIONS.get(convention)
    if rule is None:
        raise ContractInvalid("no such day-count convention", convention=convention, known=sorted(CONVENTIONS))
    return rule(day_at(start), day_at(end))
