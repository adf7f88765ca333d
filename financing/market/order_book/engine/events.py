"""What happened to an instrument, as its journal keeps it: the whole state follows from these, in their order.

Everything that decides what an event does stands in it or in the state before it; rules that change later (fees,
bands, hours) were applied when it was accepted.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date
from typing import Any, ClassVar

from financing.base.errors import CorruptData


@dataclass(frozen=True, slots=True)
class Listed:
    """The first event of every instrument. `reference` is the first previous close, fen per tonne; fees go to
    `exchange`."""

    kind: ClassVar[str] = "listed"
    exchange: str
    rules: str
    reference: int


@dataclass(frozen=True, slots=True)
class DayOpened:
    """A trading day begins; its band stands around `reference`."""

    kind: ClassVar[str] = "day_opened"
    day: date
    reference: int


@dataclass(frozen=True, slots=True)
class CallOpened:
    """Orders are collected for a call auction. `manual`: by the exchange, which also ends it."""

    kind: ClassVar[str] = "call_opened"
    manual: bool


@dataclass(frozen=True, slots=True)
class Continued:
    """Continuous trading begins; what a call auction has collected is traded first."""

    kind: ClassVar[str] = "continued"


@dataclass(frozen=True, slots=True)
class DayClosed:
    """The day ends: its close is settled, and orders that were good for it or until it expire."""

    kind: ClassVar[str] = "day_closed"
    day: date


@dataclass(frozen=True, slots=True)
class DatesPassed:
    """Orders good till a date before `day` expire although no day begins, because no calendar says when one does."""

    kind: ClassVar[str] = "dates_passed"
    day: date


@dataclass(frozen=True, slots=True)
class Halted:
    kind: ClassVar[str] = "halted"
    reason: str


@dataclass(frozen=True, slots=True)
class Resumed:
    kind: ClassVar[str] = "resumed"


@dataclass(frozen=True, slots=True)
class Placed:
    """An accepted order. A market order carries the price at the edge of the band and does not wait."""

    kind: ClassVar[str] = "placed"
    order_id: str
    owner: str
    is_buy: bool
    price: int
    lots: int
    fee_ppm: int
    waits: bool
    whole: bool
    post_only: bool
    tif: str
    self_trade: str
    until: date | None
    levels_max: int


@dataclass(frozen=True, slots=True)
class Cancelled:
    kind: ClassVar[str] = "cancelled"
    order_id: str


@dataclass(frozen=True, slots=True)
class BlockTraded:
    """A bilateral trade outside the book."""

    kind: ClassVar[str] = "block_traded"
    block_id: str
    buyer: str
    seller: str
    price: int
    lots: int
    buyer_fee: int
    seller_fee: int


Event = (
    Listed | DayOpened | CallOpened | Continued | DayClosed | DatesPassed | Halted | Resumed | Placed | Cancelled
    | BlockTraded
)  # fmt: skip
KINDS: dict[str, type[Any]] = {
    each.kind: each
    for each in (
        Listed, DayOpened, CallOpened, Continued, DayClosed, DatesPassed, Halted, Resumed, Placed, Cancelled,
        BlockTraded,
    )
}  # fmt: skip
DAYS = frozenset({"day", "until"})


def to_plain(event: Event) -> dict[str, Any]:
    """The event's fields as JSON takes them."""
    plain = {each.name: getattr(event, each.name) for each in fields(event)}
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in plain.items()}


def from_plain(kind: str, plain: dict[str, Any]) -> Event:
    """The event that was stored. Raises `CorruptData` if it is not one."""
    try:
        values = {
            name: date.fromisoformat(value) if name in DAYS and value is not None else value
            for name, value in plain.items()
        }
        event: Event = KINDS[kind](**values)
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptData(f"a journal entry of kind {kind!r} cannot be read", kind=kind) from error
    return event
