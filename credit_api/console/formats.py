"""How booked quantities are shown: ¥ with two decimals, tonnes with three, prices in ¥/t, times in China."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from federated.governance.cards.card import SMALL_CHANCE
from financing.base.quantities import CHINA_TIME, Carbon, Energy, Money, Price, Rate
from financing.registry.methodology.reduction import shown

NOTHING = "—"
MINUS = "−"
WH_PER_MWH = 1_000_000


def _signed(amount: Decimal, decimals: int, prefix: str = "") -> str:
    return f"{MINUS if amount < 0 else ''}{prefix}{abs(amount):,.{decimals}f}"


def money(amount: Money | None) -> str:
    """¥1,234.56."""
    return NOTHING if amount is None else _signed(amount.yuan(), 2, "¥")


def tonnes(quantity: Carbon | None) -> str:
    """1,234.567 t."""
    return NOTHING if quantity is None else f"{_signed(quantity.tonnes(), 3)} t"


def price(unit_price: Price | None) -> str:
    """¥30.00/t."""
    return NOTHING if unit_price is None else f"{_signed(unit_price.yuan_per_tonne(), 2, '¥')}/t"


def percent(rate: Rate | None) -> str:
    """45.00 %."""
    return NOTHING if rate is None else f"{_signed(rate.percent(), 2)} %"


def share(ratio: float | None, decimals: int = 2) -> str:
    """An estimated ratio as a percentage."""
    return NOTHING if ratio is None else f"{ratio * 100:.{decimals}f} %"


def kwh(energy: Energy | None) -> str:
    """1,234.567 kWh."""
    return NOTHING if energy is None else f"{_signed(energy.kwh(), 3)} kWh"


def mwh(energy: Energy | None) -> str:
    """1,234.567 MWh."""
    return NOTHING if energy is None else f"{_signed(Decimal(energy.wh) / WH_PER_MWH, 3)} MWh"


def exact(value: str) -> str:
    """An exact value of a formula: all its digits where it ends, six decimals where it does not."""
    return shown(value)


def unit(text: str) -> str:
    """A unit as it is read; a plain number has none."""
    return "" if text == "1" else text


def capacity(watts: int | None) -> str:
    """Nameplate power in kW; a project without has none to show."""
    return NOTHING if watts is None else f"{Decimal(watts) / 1000:,.0f} kW"


def count(number: int) -> str:
    return f"{number:,}"


def figure(number: float) -> str:
    """A metric with four decimals."""
    return f"{number:.4f}"


def chance(p_value: float) -> str:
    """A p-value: a small one is not a zero."""
    return f"{p_value:.4f}" if p_value >= SMALL_CHANCE else f"< {SMALL_CHANCE:.4f}"


def moment(at: datetime | None) -> str:
    """A time in China, to the minute."""
    return NOTHING if at is None else at.astimezone(CHINA_TIME).strftime("%Y-%m-%d %H:%M")


def day(on: date | datetime | None) -> str:
    """A calendar day, in China for a time."""
    if on is None:
        return NOTHING
    return (on.astimezone(CHINA_TIME) if isinstance(on, datetime) else on).strftime("%Y-%m-%d")


def brief(identifier: str, length: int = 10) -> str:
    """The end of a long id, enough to tell two apart on one page; the whole id stays in a title."""
    head, _, tail = identifier.rpartition("_")
    return f"{head}…{tail[-length:]}" if len(tail) > length else identifier


def plain_tonnes(quantity: Carbon) -> str:
    """As a form field takes it: 1234.567."""
    return f"{quantity.tonnes():f}"


def plain_yuan(amount: Money) -> str:
    """As a form field takes it: 1234.56."""
    return f"{amount.yuan():f}"


def fact(name: str, value: Any) -> str:
    """A fact about a refusal, shown in the unit that its name ends with."""
    if isinstance(value, int) and not isinstance(value, bool):
        if name.endswith("_fen_per_tonne"):
            return price(Price(value))
        if name.endswith("_fen"):
            return money(Money(value))
        if name.endswith("_kg"):
            return tonnes(Carbon(value))
        if "_bps" in name:
            return percent(Rate(value))
    return ", ".join(str(item) for item in value) if isinstance(value, list | tuple) else str(value)


FILTERS = {
    each.__name__: each
    for each in (
        money,
        tonnes,
        price,
        percent,
        share,
        kwh,
        mwh,
        capacity,
        exact,
        unit,
        count,
        figure,
        chance,
        moment,
        day,
        brief,
        plain_tonnes,
        plain_yuan,
    )
}
