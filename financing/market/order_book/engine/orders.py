"""Orders as the engine keeps them, and what is set aside for one. Prices are fen per lot, quantities whole lots."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

PPM = 1_000_000


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class TimeInForce(StrEnum):
    """How long an order may wait: until the day's close, at all, only in full, or until its date."""

    DAY = "day"
    IOC = "ioc"
    FOK = "fok"
    GTD = "gtd"


class SelfTrade(StrEnum):
    """What happens when an order would meet one of the same owner."""

    CANCEL_NEWEST = "cancel_newest"
    CANCEL_OLDEST = "cancel_oldest"
    DECREMENT = "decrement"


class OrderState(StrEnum):
    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"  # by its owner or the exchange
    EXPIRED = "expired"  # its day or date is over, or what could not trade at once may not wait
    SELF_TRADE = "self_trade"  # ended rather than trading with its own owner


class Order:
    """One order. Mutable and with slots, because the engine touches millions; nothing outside the engine changes it.

    `left` lots wait or trade, `spent` is fen traded so far. A market order is priced at the edge of the band. `whole`
    orders (fill or kill, all or none) trade in full or not at all.
    """

    __slots__ = (
        "fee_ppm",
        "is_buy",
        "left",
        "lots",
        "order_id",
        "owner",
        "post_only",
        "price",
        "self_trade",
        "seq",
        "spent",
        "tif",
        "until",
        "waits",
        "whole",
    )

    def __init__(
        self,
        order_id: str,
        owner: str,
        is_buy: bool,
        price: int,
        lots: int,
        seq: int,
        fee_ppm: int = 0,
        waits: bool = True,
        whole: bool = False,
        post_only: bool = False,
        tif: str = "day",
        self_trade: str = "cancel_newest",
        until: date | None = None,
    ) -> None:
        self.order_id = order_id
        self.owner = owner
        self.is_buy = is_buy
        self.price = price
        self.lots = lots
        self.left = lots
        self.seq = seq
        self.spent = 0
        self.fee_ppm = fee_ppm
        self.waits = waits
        self.whole = whole
        self.post_only = post_only
        self.tif = tif
        self.self_trade = self_trade
        self.until = until

    def canonical(self) -> list[object]:
        """All that tells one order from another, for the hash of a book's state."""
        until = self.until.isoformat() if self.until else ""
        return [
            self.order_id,
            self.owner,
            self.is_buy,
            self.price,
            self.lots,
            self.left,
            self.seq,
            self.spent,
            self.fee_ppm,
            self.whole,
            self.tif,
            self.self_trade,
            until,
        ]


def fee_on(spent: int, fee_ppm: int) -> int:
    """Fee in fen on `spent` fen of one order, rounded up once for the order and not for each of its trades."""
    return -(-spent * fee_ppm // PPM)


def set_aside(order: Order) -> int:
    """What stays reserved for what is left of an order: lots of a seller, fen of a buyer with the fees to come.

    Fees are on all that an order spends, so what is reserved covers every way in which the rest may trade, exactly.
    """
    if not order.is_buy:
        return order.left
    rest = order.price * order.left
    return rest + fee_on(order.spent + rest, order.fee_ppm) - fee_on(order.spent, order.fee_ppm)
