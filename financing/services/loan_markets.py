"""What the rules of a loan need of the world: prime rates by term, and business days."""

from __future__ import annotations

import numpy as np

from financing.lending.days import day_of
from financing.lending.rolling import PRIME_TERMS, Market, PrimeTable
from financing.parameters import Parameters


def market_of(parameters: Parameters) -> Market:
    """The prime rates on file and the calendar that instalments follow."""
    tables = []
    for term in PRIME_TERMS:
        history = parameters.prime_history(term)
        starts = np.array([day_of(day) for day, _ in history], np.int64)
        tables.append(PrimeTable(starts, np.array([bps for _, bps in history], np.int64)))
    return Market(tuple(tables), None)
