"""What the rules of a loan need of the world: prime rates by term, and business days."""

from __future__ import annotations

from datetime import date
from functools import cache

import numpy as np

from financing.base.business_days import china_expected, modified_following
from financing.base.parameters import Parameters
from financing.lending.loans.days import (
    NO_DAY,
    Ints,
    date_of,
    day_of,
)
from financing.lending.loans.rolling import PRIME_TERMS, Market, PrimeTable

FIRST_YEAR, LAST_YEAR = 2020, 2045


def market_of(parameters: Parameters) -> Market:
    """The prime rates on file and the calendar that instalments follow."""
    tables = []
    for term in PRIME_TERMS:
        history = parameters.prime_history(term)
        starts = np.array([day_of(day) for day, _ in history], np.int64)
        tables.append(PrimeTable(starts, np.array([bps for _, bps in history], np.int64)))
    return Market(tuple(tables), _payable_days())


@cache
def _payable_days() -> Ints:
    """The business day (modified following, China) on which a payment of each day is made, for the years of loans."""
    table = np.full(day_of(date(LAST_YEAR + 1, 1, 1)), NO_DAY, np.int64)
    for number in range(day_of(date(FIRST_YEAR, 1, 1)), len(table)):
        table[number] = day_of(modified_following(date_of(number), china_expected))
    return table
