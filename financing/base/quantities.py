"""Exact quantities. Everything that is booked is an integer of one of these types; all rounding lives here.

Money is in fen (0.01 CNY), Carbon in kg CO2e, Energy in Wh, EmissionFactor in mg CO2e per kWh, Price in fen per tonne,
Rate in basis points. Period is a stretch of time in UTC; a vintage or business date is the calendar of China.
Mixing two types is a type error and a `TypeError` at run time. Every value fits a signed 64-bit column.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Self

from financing.base.errors import PeriodInvalid, QuantityOutOfRange

INT64_MAX = 2**63 - 1
KG_PER_TONNE = 1_000
BPS_PER_UNIT = 10_000
MG_WH_PER_KG_KWH = 1_000_000_000
CHINA_TIME = timezone(timedelta(hours=8), "Asia/Shanghai")


def checked_int64(value: int, name: str) -> int:
    """Return `value` unchanged if it is a true integer within ±(2^63 − 1); raise `QuantityOutOfRange` otherwise."""
    if type(value) is not int:
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not -INT64_MAX <= value <= INT64_MAX:
        raise QuantityOutOfRange(f"{name} does not fit 64 bits", value=str(value))
    return value


def floor_div(amount: Fraction | int) -> int:
    return amount.__floor__()


def ceil_div(amount: Fraction | int) -> int:
    return amount.__ceil__()


def half_even(amount: Fraction | int) -> int:
    """Round half to even, the accounting default of IEEE 754 and ISO 80000-1 B.3."""
    return round(Fraction(amount))


@dataclass(frozen=True, order=True, slots=True)
class _Quantity:
    """An integer amount of one unit. Subclasses differ only in unit, so that they cannot be mixed."""

    amount: int

    def __post_init__(self) -> None:
        checked_int64(self.amount, type(self).__name__)

    def _same(self, other: object) -> int:
        if type(other) is not type(self):
            raise TypeError(f"cannot combine {type(self).__name__} with {type(other).__name__}")
        return other.amount

    def __add__(self, other: Self) -> Self:
        return type(self)(self.amount + self._same(other))

    def __sub__(self, other: Self) -> Self:
        return type(self)(self.amount - self._same(other))

    def __neg__(self) -> Self:
        return type(self)(-self.amount)

    def __bool__(self) -> bool:
        return self.amount != 0

    def require_positive(self) -> Self:
        """Return self; raise `QuantityOutOfRange` unless the amount is above zero."""
        if self.amount <= 0:
            raise QuantityOutOfRange(f"{type(self).__name__} must be positive", amount=self.amount)
        return self

    def require_non_negative(self) -> Self:
        """Return self; raise `QuantityOutOfRange` if the amount is below zero."""
        if self.amount < 0:
            raise QuantityOutOfRange(f"{type(self).__name__} must not be negative", amount=self.amount)
        return self


@dataclass(frozen=True, order=True, slots=True)
class Money(_Quantity):
    """CNY in fen."""

    @property
    def fen(self) -> int:
        return self.amount

    @classmethod
    def from_yuan(cls, text: str) -> Money:
        """Parse a decimal yuan amount with at most two decimals; anything finer is refused, not rounded."""
        fen = Decimal(text) * 100
        if not fen.is_finite() or fen != fen.to_integral_value():
            raise QuantityOutOfRange("an amount in yuan has at most two decimals", text=text)
        return cls(int(fen))

    def yuan(self) -> Decimal:
        return Decimal(self.amount).scaleb(-2)

    def scaled_floor(self, factor: Fraction) -> Money:
        """Multiply and round down: what we credit to ourselves as cover."""
        return Money(floor_div(self.amount * factor))

    def scaled_ceil(self, factor: Fraction) -> Money:
        """Multiply and round up: what must at least be paid to cover."""
        return Money(ceil_div(self.amount * factor))

    def scaled_half_even(self, factor: Fraction) -> Money:
        """Multiply and round half to even: what is booked (interest, fees)."""
        return Money(half_even(self.amount * factor))


@dataclass(frozen=True, order=True, slots=True)
class Carbon(_Quantity):
    """kg CO2 equivalent."""

    @property
    def kg(self) -> int:
        return self.amount

    @classmethod
    def from_tonnes(cls, tonnes: int) -> Carbon:
        return cls(checked_int64(tonnes, "tonnes") * KG_PER_TONNE)

    def tonnes(self) -> Decimal:
        return Decimal(self.amount).scaleb(-3)

    def whole_tonnes(self) -> Carbon:
        """The part that fills whole 1 t lots, rounded towards zero."""
        return Carbon(self.amount - self.amount % KG_PER_TONNE if self.amount >= 0 else 0)


@dataclass(frozen=True, order=True, slots=True)
class Energy(_Quantity):
    """Watt-hours."""

    @property
    def wh(self) -> int:
        return self.amount

    @classmethod
    def from_kwh(cls, kwh: Decimal) -> Energy:
        """Nearest Wh (half to even); meters report kWh with up to four decimals."""
        return cls(int((kwh * 1000).to_integral_value(ROUND_HALF_EVEN)))

    def kwh(self) -> Decimal:
        return Decimal(self.amount).scaleb(-3)


@dataclass(frozen=True, order=True, slots=True)
class EmissionFactor(_Quantity):
    """Milligrams CO2e per kWh (0.5978 kg/kWh is 597,800), so that published four-decimal factors are exact."""

    def reduction_of(self, energy: Energy) -> Carbon:
        """Emissions avoided by `energy`, rounded down to the kg: issuance is never above the calculation."""
        return Carbon(floor_div(Fraction(self.amount * energy.wh, MG_WH_PER_KG_KWH)))


@dataclass(frozen=True, order=True, slots=True)
class Price(_Quantity):
    """Fen per tonne CO2e; the exchange's tick is 0.01 CNY/t, one unit."""

    @classmethod
    def from_yuan_per_tonne(cls, text: str) -> Price:
        return cls(Money.from_yuan(text).fen)

    def yuan_per_tonne(self) -> Decimal:
        return Decimal(self.amount).scaleb(-2)

    def value_of(self, quantity: Carbon) -> Money:
        """Value of `quantity`, rounded down to the fen (a holder never gains a fen by splitting)."""
        return Money(floor_div(Fraction(self.amount * quantity.kg, KG_PER_TONNE)))

    def cost_of(self, quantity: Carbon) -> Money:
        """What a buyer pays for `quantity`, rounded half to even."""
        return Money(half_even(Fraction(self.amount * quantity.kg, KG_PER_TONNE)))

    def quantity_worth(self, value: Money) -> Carbon:
        """Smallest quantity whose `value_of` is at least `value`. Raises `QuantityOutOfRange` at a zero price."""
        self.require_positive()
        return Carbon(ceil_div(Fraction(value.fen * KG_PER_TONNE, self.amount)))

    def scaled_floor(self, factor: Fraction) -> Price:
        return Price(floor_div(self.amount * factor))


@dataclass(frozen=True, order=True, slots=True)
class Rate(_Quantity):
    """A ratio or an annual interest rate in basis points (1 bp = 0.01 %)."""

    @property
    def bps(self) -> int:
        return self.amount

    def fraction(self) -> Fraction:
        return Fraction(self.amount, BPS_PER_UNIT)

    def complement(self) -> Rate:
        """1 − rate, e.g. the advance rate of a haircut."""
        return Rate(BPS_PER_UNIT - self.amount)

    @classmethod
    def ratio_up(cls, part: Money, whole: Money) -> Rate:
        """`part` ÷ `whole` in bp, rounded up: a loan-to-value is never understated."""
        whole.require_positive()
        return cls(ceil_div(Fraction(part.fen * BPS_PER_UNIT, whole.fen)))

    def percent(self) -> Decimal:
        return Decimal(self.amount).scaleb(-2)


def money_from_estimate_up(fen: float) -> Money:
    """Book an estimated loss or reserve: rounded up to the fen."""
    return Money(int(Decimal(fen).to_integral_value(ROUND_CEILING)))


def rate_from_estimate_up(ratio: float) -> Rate:
    """Book an estimated probability or loss rate in basis points, rounded up: risk is never understated."""
    return Rate(int((Decimal(repr(float(ratio))) * BPS_PER_UNIT).to_integral_value(ROUND_CEILING)))


def require_utc(at: datetime) -> datetime:
    """`at` in UTC; raise `PeriodInvalid` if it carries no time zone."""
    if at.tzinfo is None or at.utcoffset() is None:
        raise PeriodInvalid("a time must carry its zone", at=at.isoformat())
    return at.astimezone(UTC)


def business_date(at: datetime) -> date:
    """The calendar date in China at `at`. China has kept UTC+8 without daylight saving since 1991-09-15."""
    return require_utc(at).astimezone(CHINA_TIME).date()


@dataclass(frozen=True, order=True, slots=True)
class Period:
    """A half-open stretch of time [start, end), both in UTC. Raises `PeriodInvalid` unless start < end."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", require_utc(self.start))
        object.__setattr__(self, "end", require_utc(self.end))
        if not self.start < self.end:
            raise PeriodInvalid("a period ends after it starts", start=str(self.start), end=str(self.end))

    @property
    def seconds(self) -> int:
        return round((self.end - self.start).total_seconds())

    def first_day(self) -> date:
        """The first calendar date in China that the period touches."""
        return business_date(self.start)

    def last_day(self) -> date:
        """The last calendar date in China that the period touches (its end is exclusive)."""
        return business_date(self.end - timedelta(microseconds=1))

    def vintage(self) -> int:
        """The one calendar year (China time) of the period; raise `PeriodInvalid` if it touches two."""
        first, last = self.first_day().year, self.last_day().year
        if first != last:
            raise PeriodInvalid("a monitoring period lies in one calendar year", first=first, last=last)
        return first

    def overlaps(self, other: Period) -> bool:
        return self.start < other.end and other.start < self.end

    def contains(self, other: Period) -> bool:
        return self.start <= other.start and other.end <= self.end
