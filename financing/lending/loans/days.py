"""Days as integers, vectorised: month arithmetic, day-count positions, and business days as a table.

A day is its distance in days from 1970-01-01; the tables reach to the end of 2199. `NO_DAY` stands for no date.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from financing.base.errors import PeriodInvalid

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

NO_DAY = -1
EPOCH = date(1970, 1, 1)
_HORIZON = (date(2200, 1, 1) - EPOCH).days
_DAYS = np.arange(_HORIZON)
_MONTH: Ints = _DAYS.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
_FIRST: Ints = np.arange(_MONTH[-1] + 2).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
_THIRTY: Ints = _MONTH * 30 + np.minimum(_DAYS - _FIRST[_MONTH] + 1, 30)

ACT_360, ACT_365, THIRTY_360 = 0, 1, 2
BASES = {"ACT/360": ACT_360, "ACT/365": ACT_365, "30E/360": THIRTY_360}
DENOMINATORS: Ints = np.array([360, 365, 360], dtype=np.int64)


def day_of(on: date) -> int:
    """The day number of a date. Raises `PeriodInvalid` outside 1970–2199."""
    day = (on - EPOCH).days
    if not 0 <= day < _HORIZON:
        raise PeriodInvalid("dates run from 1970 to 2199", on=str(on))
    return day


def date_of(day: int) -> date:
    return EPOCH + timedelta(days=int(day))


def month_of(days: Ints) -> Ints:
    """Months since January 1970 of each day; the calendar month is this modulo 12 plus 1."""
    months: Ints = _MONTH[days]
    return months


def in_month(months: Ints, day_of_month: Ints) -> Ints:
    """The day of each month (since January 1970), or the month's last day where it is shorter."""
    days: Ints = np.minimum(_FIRST[months] + day_of_month - 1, _FIRST[months + 1] - 1)
    return days


def position(basis: Ints, days: Ints) -> Ints:
    """Where each day stands on its convention's clock; a difference of two is the number of interest days.

    ACT/360 and ACT/365 count calendar days; 30E/360 counts 30 a month, the 31st as the 30th (ISDA 2006, 4.16(g)).
    """
    positions: Ints = np.where(basis == THIRTY_360, _THIRTY[days], days)
    return positions


def half_even(numerator: Ints, denominator: Ints) -> Ints:
    """Exact division of integers, rounded half to even, element by element. The denominator is positive."""
    whole, rest = np.divmod(numerator, denominator)
    twice = 2 * rest
    rounded: Ints = whole + ((twice > denominator) | ((twice == denominator) & (whole % 2 != 0)))
    return rounded
