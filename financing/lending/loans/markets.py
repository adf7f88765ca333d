"""What the rules of a loan need of the world: prime rates by term, and business days."""

from __future__ import annotations

from datetime import date
from functools import cache

import numpy as np

from financing.base.business_days import modified_following
from financing.base.parameters import Parameters
from financing.base.parameters.china_calendar import ChinaCalendar
from financing.lending.loans.days import NO_DAY, Ints, date_of, day_of
from financing.lending.loans.rolling import PRIME_TERMS, Market, PrimeTable


def market_of(parameters: Parameters) -> Market:
    """The prime rates on file and the calendar that instalments follow."""
    tables = []
    for term in PRIME_TERMS:
        history = parameters.prime_history(term)
        starts = np.array([day_of(day) for day, _ in history], np.int64)
        tables.append(PrimeTable(starts, np.array([bps for _, bps in history], np.int64)))
    return Market(tuple(tables), _payable_days(parameters.china))


@cache
def _payable_days(china: ChinaCalendar) -> Ints:
    """The business day (modified following) on which a payment of each day is made, for the calendar's years but its
    last: a payment of December may be due in the next January. Provisional years are used as far as they are known."""
    first, end = day_of(china.first), day_of(date(china.last.year, 1, 1))
    table = np.full(end, NO_DAY, np.int64)
    for number in range(first, end):
        table[number] = day_of(modified_following(date_of(number), china.is_business_day))
    return table
