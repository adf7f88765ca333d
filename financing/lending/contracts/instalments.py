"""Equal instalments rounded to the cent, period by period: what an annuity is in a loan book that people pay.

Decimal arithmetic of twelve significant digits, half even, as the progressive schedules of Apache Fineract: the rate
factor of a period is rate × days ÷ days in the year, to twelve decimals; interest is balance × factor, rounded; the
last instalment takes the remainder, and the instalment is moved by its share of that if that makes the last one more
equal.
"""

from __future__ import annotations

from calendar import isleap, monthrange
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from itertools import pairwise

from financing.base.errors import ContractInvalid

CALCULATED = Context(prec=12, rounding=ROUND_HALF_EVEN)
CENT, FACTOR = Decimal("0.01"), Decimal("1e-12")
ZERO = Decimal(0)
YEARS = {"DAYS_360": 360, "DAYS_364": 364, "DAYS_365": 365, "ACTUAL": 0}


@dataclass(frozen=True, slots=True)
class Basis:
    """Days in the year (0: as they are), whether a month counts 30 days, and what an instalment period is made of."""

    year_days: int
    months_of_thirty: bool
    frequency: str
    every: int

    @classmethod
    def of(cls, year: str, month: str, frequency: str, every: int) -> Basis:
        """From the names of the vectors. Raises `ContractInvalid`."""
        if year not in YEARS or frequency not in {"DAYS", "WEEKS", "MONTHS"} or every < 1:
            raise ContractInvalid("no such basis", days_in_year=year, frequency=frequency, repay_every=every)
        if frequency == "MONTHS" and month not in {"DAYS_30", "ACTUAL"}:
            raise ContractInvalid("a month counts 30 days or as many as it has", days_in_month=month)
        return cls(YEARS[year], frequency == "MONTHS" and month == "DAYS_30", frequency, every)

    def days(self, start: date) -> int:
        """How many days an instalment period counts that starts on `start`."""
        if self.frequency == "MONTHS":
            return self.every * (30 if self.months_of_thirty else monthrange(start.year, start.month)[1])
        return self.every * (7 if self.frequency == "WEEKS" else 1)


@dataclass(frozen=True, slots=True)
class Period:
    """One instalment period, `start` to `due`: its rate factor, and what is due. Amounts in units of money."""

    start: date
    due: date
    factor: Decimal = ZERO
    instalment: Decimal = ZERO
    interest: Decimal = ZERO
    principal: Decimal = ZERO
    balance: Decimal = ZERO


@dataclass(slots=True)
class Progress:
    """A loan with instalments to come: tranches and rate changes by date."""

    periods: tuple[tuple[date, date], ...]
    rate: Decimal
    basis: Basis
    disbursed: list[tuple[date, Decimal]] = field(default_factory=list)
    rates: list[tuple[date, Decimal]] = field(default_factory=list)
    schedule: list[Period] = field(default_factory=list)

    def disburse(self, on: date, amount: Decimal) -> None:
        """Pay out a tranche; the instalments from its period on are set anew. Raises `ContractInvalid`."""
        if not self.periods or not self.periods[0][0] <= on < self.periods[-1][1] or amount <= 0:
            raise ContractInvalid("a tranche lies within the loan's periods", on=str(on), amount=str(amount))
        self.disbursed.append((on, amount))
        self._set_from(self._period_of(on))

    def change_rate(self, on: date, rate: Decimal) -> None:
        """Another annual rate (a fraction) from the day before `on` has passed; instalments are set anew."""
        if rate < 0:
            raise ContractInvalid("a rate is not negative", rate=str(rate))
        self.rates.append((on - timedelta(days=1), rate))
        self._set_from(self._period_of(on))

    def _period_of(self, on: date) -> int:
        return next(place for place, (start, due) in enumerate(self.periods) if start <= on < due)

    def _set_from(self, first: int) -> None:
        kept = self.schedule[:first]
        opening = kept[-1].balance if kept else ZERO
        factors = [self._factor(start, due, start, due) for start, due in self.periods[first:]]
        base = opening + sum((amount for on, amount in self.disbursed if self._period_of(on) == first), ZERO)
        level = _level(base, factors)
        chosen = self._filled(kept, first, level)
        adjusted = _adjusted(chosen[first:], level)
        if adjusted is not None:
            other = self._filled(kept, first, adjusted)
            if _unevenness(other[first:]) < _unevenness(chosen[first:]):
                chosen = other
        self.schedule = chosen

    def _filled(self, kept: Sequence[Period], first: int, level: Decimal) -> list[Period]:
        filled = list(kept)
        balance = filled[-1].balance if filled else ZERO
        for place, (start, due) in enumerate(self.periods[first:], start=first):
            interest, balance = self._interest(start, due, balance)
            instalment = level if place < len(self.periods) - 1 else balance + interest
            instalment = min(instalment, balance + interest)
            principal = max(instalment - interest, ZERO)
            balance -= principal
            factor = self._factor(start, due, start, due)
            filled.append(Period(start, due, factor, instalment, interest, principal, balance))
        return filled

    def _interest(self, start: date, due: date, balance: Decimal) -> tuple[Decimal, Decimal]:
        """Interest of a period, rounded once, and the balance with the tranches paid out in it."""
        exact, since = ZERO, start
        for on, amount in sorted(each for each in self.disbursed if start <= each[0] < due):
            exact += CALCULATED.multiply(balance, self._factor(since, on, start, due))
            balance, since = balance + amount, on
        exact += CALCULATED.multiply(balance, self._factor(since, due, start, due))
        return exact.quantize(CENT, ROUND_HALF_EVEN), balance

    def _factor(self, since: date, until: date, start: date, due: date) -> Decimal:
        """Rate factor of a part of a period, split where the rate changes."""
        cuts = sorted({since, until, *(on for on, _ in self.rates if since < on < until)})
        total = ZERO
        for one, two in pairwise(cuts):
            rate = self.rate
            for on, changed in sorted(self.rates):
                rate = changed if on <= one else rate
            total += self._part(rate, one, two, start, due)
        return total

    def _part(self, rate: Decimal, since: date, until: date, start: date, due: date) -> Decimal:
        """Rate factor from `since` to `until`, within the period `start` to `due`, to twelve decimals.

        A period of months counts the days of the month in which the part begins, times the months; one that crosses the
        end of a year whose length counts is split at 31 December.
        """
        basis, days, whole = self.basis, Decimal((until - since).days), Decimal((due - start).days)
        if not basis.year_days and since.year != until.year:
            return CALCULATED.multiply(rate, self._split_by_years(since, until)).quantize(FACTOR, ROUND_HALF_EVEN)
        year = Decimal(basis.year_days or _year_length(since.year))
        whole_period = CALCULATED.multiply(rate, CALCULATED.divide(Decimal(basis.days(since)), year))
        part = CALCULATED.divide(CALCULATED.multiply(whole_period, days), whole)
        return part.quantize(FACTOR, ROUND_HALF_EVEN)

    def _split_by_years(self, since: date, until: date) -> Decimal:
        total, one = ZERO, since
        for year in range(since.year, until.year + 1):
            end = min(date(year, 12, 31), until)
            total += CALCULATED.divide(Decimal((end - one).days), Decimal(_year_length(year)))
            one = end
        return CALCULATED.plus(total)


def _year_length(year: int) -> int:
    return 366 if isleap(year) else 365


def _level(base: Decimal, factors: Sequence[Decimal]) -> Decimal:
    """The instalment that pays `base` back over periods with these factors, rounded to the cent."""
    growth, worth = Decimal(1), ZERO
    for factor in factors:
        growth = CALCULATED.multiply(growth, 1 + factor)
        worth = CALCULATED.plus(CALCULATED.multiply(worth, 1 + factor) + 1) if worth else Decimal(1)
    return CALCULATED.divide(CALCULATED.multiply(base, growth), worth).quantize(CENT, ROUND_HALF_EVEN)


def _unevenness(periods: Sequence[Period]) -> Decimal:
    return abs(periods[-1].instalment - periods[-2].instalment) if len(periods) > 1 else ZERO


def _adjusted(periods: Sequence[Period], level: Decimal) -> Decimal | None:
    """The instalment moved by its share of what makes the last one different, if that is worth a cent a half period."""
    count = len(periods)
    if count < 2:
        return None
    difference = periods[-1].instalment - periods[-2].instalment
    if not difference or abs(difference) * 100 <= count // 2:
        return None
    moved = (level + CALCULATED.divide(difference, Decimal(count))).quantize(CENT, ROUND_HALF_EVEN)
    return None if moved == level else moved
