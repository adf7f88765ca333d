"""Many schedules at once: integer fen, columns of N loans × n instalments; the same figures as one by one.

Interest of a period is balance × rate × months ÷ 12 (30/360), half even to the fen; an annuity's level instalment is
the exact one, half even to the fen; the last instalment takes the remainder. Products stay within 64 bits for amounts
up to 10^12 fen, rates up to 36 % and instalments up to ten years apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from financing.base.errors import ContractInvalid
from financing.base.quantities import half_even

Ints = NDArray[np.int64]
Kind = Literal["bullet", "equal_principal", "annuity"]
AMOUNT_MAX, RATE_MAX, INSTALMENTS_MAX, MONTHS_MAX = 10**12, 3_600, 1_200, 120
KINDS = ("bullet", "equal_principal", "annuity")
YEAR = 120_000  # basis points in a whole × months in a year


@dataclass(frozen=True, slots=True)
class Schedules:
    """Interest and principal that fall due: both N × n, fen, one row a loan. Beyond a loan's instalments all is 0."""

    interest: Ints
    principal: Ints


def schedules(kind: Kind, amount: Ints, rate_bps: Ints, instalments: Ints, months: Ints) -> Schedules:
    """Schedules of N loans: amount (fen), annual rate (bp), number of instalments and months between them, each (N,).

    Raises `ContractInvalid` for columns of another shape or type, and for amounts (0 to 10^12 fen), rates (0 to 3,600
    bp), instalments (1 to 1,200) or months (1 to 120) beyond the limits.
    """
    if kind not in KINDS:
        raise ContractInvalid("no such kind of schedule", kind=kind, known=list(KINDS))
    loans = len(np.atleast_1d(amount))
    amount = _column("amount", amount, loans, 0, AMOUNT_MAX)
    rate_bps = _column("rate_bps", rate_bps, loans, 0, RATE_MAX)
    instalments = _column("instalments", instalments, loans, 1, INSTALMENTS_MAX)
    months = _column("months", months, loans, 1, MONTHS_MAX)
    periods = int(instalments.max()) if loans else 0
    interest, principal = np.zeros((periods, loans), np.int64), np.zeros((periods, loans), np.int64)
    level = _level(kind, amount, rate_bps * months, instalments)
    left = amount.copy()
    for place in range(periods):
        due = _half_even(left * rate_bps * months, YEAR)
        part = np.maximum(level - due, 0) if kind == "annuity" else level
        part = np.where(instalments == place + 1, left, np.minimum(part, left))
        part = np.where(instalments > place, part, 0)
        interest[place], principal[place] = due, part
        left = left - part
    return Schedules(interest.T, principal.T)


def _column(name: str, values: Ints, loans: int, low: int, high: int) -> Ints:
    column = np.asarray(values)
    if column.shape != (loans,) or not (np.issubdtype(column.dtype, np.integer) or not loans):
        raise ContractInvalid("columns are whole numbers, one a loan", column=name, shape=column.shape)
    if loans and (column.min() < low or column.max() > high):
        raise ContractInvalid("a column is beyond its limits", column=name, least=low, most=high)
    return column.astype(np.int64)


def _level(kind: Kind, amount: Ints, period_rate: Ints, instalments: Ints) -> Ints:
    if kind == "bullet":
        return np.zeros_like(amount)
    plain = _half_even(amount, instalments)
    if kind == "equal_principal":
        return plain
    rate = period_rate / YEAR
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = amount * rate / -np.expm1(-instalments * np.log1p(rate))
    bearing = period_rate > 0
    estimate = np.where(bearing, estimate, 0.0)
    level: Ints = np.where(bearing, np.rint(estimate), plain).astype(np.int64)
    # Floats settle all but the few that lie on the edge between two fen, wider than their error of some units in the
    # last place; those are worked out in whole numbers.
    edge = np.abs(np.abs(estimate - np.floor(estimate)) - 0.5) <= 1e-6 + estimate * 1e-14
    for loan in np.flatnonzero(bearing & edge):
        level[loan] = half_even(exact_level(int(amount[loan]), int(period_rate[loan]), int(instalments[loan])))
    return level


def exact_level(amount: int, period_rate: int, instalments: int) -> Fraction:
    """The level instalment (fen) of an annuity: A·r ÷ (1 − (1 + r)^−n), r = `period_rate` ÷ 120,000, above 0."""
    grown = (YEAR + period_rate) ** instalments
    return Fraction(amount * period_rate * grown, YEAR * (grown - YEAR**instalments))


def _half_even(numerator: Ints, denominator: Ints | int) -> Ints:
    whole, rest = np.divmod(numerator, denominator)
    twice = 2 * rest
    rounded: Ints = whole + ((twice > denominator) | ((twice == denominator) & (whole % 2 != 0)))
    return rounded
