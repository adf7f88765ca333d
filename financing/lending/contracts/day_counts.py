"""Year fractions between two moments by the ACTUS day-count conventions (ACTUS Technical Specification 1.1, 3.6).

Each rule counts exactly, as a numerator over a denominator: what is booked takes the fraction, an estimate the float.
"""

from __future__ import annotations

from calendar import isleap, monthrange
from collections.abc import Callable
from datetime import date, datetime, timedelta
from fractions import Fraction

from financing.base.errors import ContractInvalid

END_OF_DAY = (23, 59, 59)
Ratio = tuple[int, int]


def day_at(moment: datetime) -> date:
    """The day a moment counts as: one second before midnight is the next day's beginning."""
    if (moment.hour, moment.minute, moment.second) == END_OF_DAY:
        return (moment + timedelta(seconds=1)).date()
    return moment.date()


def _actual_actual(start: date, end: date, _: date | None) -> Ratio:
    """Actual/Actual ISDA: days in leap years over 366, the others over 365 (ISDA 2006, 4.16(b))."""
    days = (end - start).days
    if start.year == end.year:
        return days, 366 if isleap(start.year) else 365
    in_leap_years = sum(_overlap(year, start, end) for year in range(start.year, end.year + 1) if isleap(year))
    return in_leap_years * 365 + (days - in_leap_years) * 366, 365 * 366


def _overlap(year: int, start: date, end: date) -> int:
    return (min(end, date(year + 1, 1, 1)) - max(start, date(year, 1, 1))).days


def _actual_over(days_in_year: int) -> Callable[[date, date, date | None], Ratio]:
    def rule(start: date, end: date, _: date | None) -> Ratio:
        return (end - start).days, days_in_year

    return rule


def _months_of(days_in_month: int, start: date, end: date, first: int, last: int) -> Ratio:
    months = (end.year - start.year) * 12 + end.month - start.month
    return months * days_in_month + last - first, 12 * days_in_month


def _thirty_e(start: date, end: date, _: date | None) -> Ratio:
    """30E/360: the 31st counts as the 30th (ISDA 2006, 4.16(g))."""
    return _months_of(30, start, end, min(start.day, 30), min(end.day, 30))


def _thirty_e_isda(start: date, end: date, matures: date | None) -> Ratio:
    """30E/360 ISDA: the last day of a month is the 30th, but not a last day of February that ends the contract
    (ISDA 2006, 4.16(h))."""
    first = 30 if _is_month_end(start) else start.day
    keeps_february = end.month == 2 and end == matures
    last = 30 if _is_month_end(end) and not keeps_february else end.day
    return _months_of(30, start, end, first, last)


def _is_month_end(day: date) -> bool:
    return day.day == monthrange(day.year, day.month)[1]


def _twenty_eight(start: date, end: date, _: date | None) -> Ratio:
    """28E/336: months of 28 days."""
    return _months_of(28, start, end, min(start.day, 28), min(end.day, 28))


CONVENTIONS: dict[str, Callable[[date, date, date | None], Ratio]] = {
    "AA": _actual_actual,
    "A360": _actual_over(360),
    "A365": _actual_over(365),
    "30E360": _thirty_e,
    "30E360ISDA": _thirty_e_isda,
    "28E336": _twenty_eight,
}


def year_fraction(convention: str, start: datetime, end: datetime, matures: datetime | None = None) -> float:
    """Years from `start` to `end`, not before it; `matures` is the contract's end, which 30E360ISDA asks for.

    Raises `ContractInvalid` for a convention that is not known.
    """
    numerator, denominator = _ratio(convention, start, end, matures)
    return numerator / denominator


def exact_year_fraction(convention: str, start: datetime, end: datetime, matures: datetime | None = None) -> Fraction:
    """As `year_fraction`, exact."""
    return Fraction(*_ratio(convention, start, end, matures))


def _ratio(convention: str, start: datetime, end: datetime, matures: datetime | None) -> Ratio:
    rule = CONVENTIONS.get(convention)
    if rule is None:
        raise ContractInvalid("no such day-count convention", convention=convention, known=sorted(CONVENTIONS))
    return rule(day_at(start), day_at(end), None if matures is None else day_at(matures))
