"""Cycles such as P3ML1 and the schedules of moments they make (ACTUS 3.1 to 3.3)."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta

from financing.base.errors import ContractInvalid

_CYCLE = re.compile(r"P(\d+)([DWMQHY])(?:L([01]))?")
_MONTHS = {"M": 1, "Q": 3, "H": 6, "Y": 12}
EVENTS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Cycle:
    """A period that repeats: `count` × `months` months or `days` days; a last stub is `long` or short."""

    count: int
    months: int
    days: int
    long: bool

    def after(self, anchor: datetime, times: int, *, month_end: bool) -> datetime:
        """The moment `times` periods from `anchor`; months keep the anchor's day or, with `month_end`, their last.

        Raises `ContractInvalid` beyond the calendar.
        """
        try:
            return self._after(anchor, times, month_end=month_end)
        except (OverflowError, ValueError) as error:
            raise ContractInvalid("a cycle runs beyond the year 9999", anchor=str(anchor), periods=times) from error

    def _after(self, anchor: datetime, times: int, *, month_end: bool) -> datetime:
        if self.days:
            return anchor + timedelta(days=self.days * self.count * times)
        total = anchor.year * 12 + anchor.month - 1 + self.months * self.count * times
        year, month = divmod(total, 12)
        last = monthrange(year, month + 1)[1]
        day = last if month_end else min(anchor.day, last)
        return anchor.replace(year=year, month=month + 1, day=day)


def cycle_of(text: str) -> Cycle:
    """A cycle from its ACTUS text. Raises `ContractInvalid`."""
    parts = _CYCLE.fullmatch(text.strip())
    if parts is None or int(parts[1]) == 0:
        raise ContractInvalid("a cycle is P, a number, D W M Q H or Y, and L0 or L1", cycle=text)
    days = {"D": 1, "W": 7}.get(parts[2], 0)
    return Cycle(int(parts[1]), _MONTHS.get(parts[2], 0), days, parts[3] == "0")


def is_month_end(moment: datetime) -> bool:
    return (moment + timedelta(days=1)).day == 1


def schedule(
    anchor: datetime | None, cycle: Cycle | None, end: datetime, *, end_of_month: bool, with_end: bool
) -> list[datetime]:
    """The moments from `anchor` on, one a cycle, before `end`; and `end` itself if asked for.

    A long last stub leaves out the last moment before `end` unless that is a whole cycle away.
    """
    if anchor is None:
        return [end] if with_end else []
    if cycle is None:
        moments = [anchor] if anchor < end else []
    else:
        month_end = end_of_month and not cycle.days and is_month_end(anchor)
        moments, times = [], 0
        while (moment := cycle.after(anchor, times, month_end=month_end)) < end:
            moments.append(moment)
            times += 1
            if times > EVENTS_MAX:
                raise ContractInvalid("the cycle makes more events than a contract has", events_max=EVENTS_MAX)
        if cycle.long and moment != end and len(moments) > 1:
            moments.pop()
    if with_end:
        moments.append(end)
    return moments
