"""Many schedules at once: integer fen, columns of N loans × n instalments; the same figures as one by one.

Interest of a period is balance × rate × months ÷ 12 (30/360), half even to the fen; an annuity's level instalment is
rounded to the fen; the last instalment takes the remainder. Products stay within 64 bits for amounts up to 10^12 fen
and rates up to 36 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from financing.errors import ContractInvalid

Ints = NDArray[np.int64]
Kind = Literal["bullet", "equal_principal", "annuity"]
AMOUNT_MAX, RATE_MAX = 10**12, 3_600


@dataclass(frozen=True, slots=True)
class Schedules:
    """Interest and principal that fall due: both N × n, fen, one row a loan. Beyond a loan's instalments all is 0."""

    interest: Ints
    principal: Ints


def schedules(kind: Kind, amount: Ints, rate_bps: Ints, instalments: Ints, months: Ints) -> Schedules:
    """Schedules of N loans: amount (fen), annual rate (bp), number of instalments and months between them, each (N,).

    Raises `ContractInvalid` for amounts, rates or counts that are negative or beyond the limits.
    """
    if len(amount) and (amount.min() < 0 or amount.max() > AMOUNT_MAX or rate_bps.min() < 0):
        raise ContractInvalid("amounts run from 0 to 10^12 fen, rates are not negative", amount_max=AMOUNT_MAX)
    if len(amount) and (rate_bps.max() > RATE_MAX or instalments.min() < 1 or months.min() < 1):
        raise ContractInvalid("rates run to 36 %, with at least one instalment of at least a month")
    periods = int(instalments.max()) if len(amount) else 0
    interest, principal = np.zeros((periods, len(amount)), np.int64), np.zeros((periods, len(amount)), np.int64)
    level = _level(kind, amount, rate_bps, instalments, months)
    left = amount.copy()
    for place in range(periods):
        due = _half_even(left * rate_bps * months, 120_000)
        part = np.maximum(level - due, 0) if kind == "annuity" else level
        part = np.where(instalments == place + 1, left, np.minimum(part, left))
        part = np.where(instalments > place, part, 0)
        interest[place], principal[place] = due, part
        left = left - part
    return Schedules(interest.T, principal.T)


def _level(kind: Kind, amount: Ints, rate_bps: Ints, instalments: Ints, months: Ints) -> Ints:
    if kind == "bullet":
        return np.zeros_like(amount)
    if kind == "equal_principal":
        return _half_even(amount, instalments)
    rate = rate_bps * months / 120_000
    with np.errstate(divide="ignore", invalid="ignore"):
        level = np.where(rate > 0, amount * rate / -np.expm1(-instalments * np.log1p(rate)), amount / instalments)
    return np.rint(level).astype(np.int64)


def _half_even(numerator: Ints, denominator: Ints | int) -> Ints:
    whole, rest = np.divmod(numerator, denominator)
    twice = 2 * rest
    rounded: Ints = whole + ((twice > denominator) | ((twice == denominator) & (whole % 2 != 0)))
    return rounded
