"""The state of one instrument: its book, phase, day and what the day has traded; and how events change it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any

from financing.base.errors import InvalidState
from financing.base.quantities import half_even
from financing.market.order_book.engine import events
from financing.market.order_book.engine.call_auction import uncross
from financing.market.order_book.engine.matching import OrderBook
from financing.market.order_book.engine.matching import Placed as Outcome
from financing.market.order_book.engine.orders import Order, OrderState, fee_on
from financing.market.order_book.engine.sessions import Phase

START = "0" * 64


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade: who, which orders ("" for a block), fen per tonne, lots, and the fee in fen of either side.

    `taker` is the side whose order arrived last; an auction or a block has none.
    """

    buyer: str
    seller: str
    buy_order: str
    sell_order: str
    price: int
    lots: int
    buyer_fee: int
    seller_fee: int
    taker: str


@dataclass(slots=True)
class Effects:
    """What an event did: trades in order, and every order it touched with its state now."""

    trades: list[Trade] = field(default_factory=list)
    orders: dict[str, tuple[Order, OrderState]] = field(default_factory=dict)
    closed: tuple[date, int, int, int] | None = None  # day, close, lots, fen
    arrived: Order | None = None
    outcome: Outcome | None = None


class MatchingEngine:
    """State of one instrument. `seq` and `chain` name the last event that it has seen."""

    def __init__(self, instrument: str) -> None:
        self.instrument = instrument
        self.seq = 0
        self.chain = START
        self.rules = ""
        self.exchange = ""
        self.book = OrderBook()
        self.phase = Phase.CLOSED
        self.manual = False
        self.halted = False
        self.day: date | None = None
        self.day_over = True
        self.reference = 0
        self.traded_lots = 0
        self.traded_fen = 0
        self.last = 0
        self.bought: dict[str, int] = {}

    def apply(self, event: events.Event) -> Effects:
        """Change the state by the next event. Raises what the engine refuses; the state is as before then."""
        handler = _HANDLERS[type(event)]
        effects: Effects = handler(self, event)
        self.seq += 1
        self.chain = _link(self.chain, self.seq, event, effects)
        return effects

    def close_price(self) -> int:
        """The volume-weighted average of the day's listed trades, half to even; without any, the previous close."""
        if not self.traded_lots:
            return self.reference
        return half_even(Fraction(self.traded_fen, self.traded_lots))

    def bought_today(self, owner: str) -> int:
        return self.bought.get(owner, 0)

    def state_hash(self) -> str:
        """SHA-256 over everything that later events depend on, in a canonical form."""
        sides = [
            [order.canonical() for _, queue in side for order in queue] for side in (self.book.bids(), self.book.asks())
        ]
        body = [
            self.instrument, self.seq, self.chain, self.rules, self.exchange, self.phase, self.manual, self.halted,
            self.day.isoformat() if self.day else "", self.day_over, self.reference, self.traded_lots, self.traded_fen,
            self.last, sorted(self.bought.items()), sides,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(body, separators=(",", ":")).encode()).hexdigest()

    def _listed(self, event: events.Listed) -> Effects:
        if self.seq:
            raise InvalidState("the instrument is listed already", instrument=self.instrument)
        self.rules, self.exchange = event.rules, event.exchange
        self.reference = self.last = event.reference
        return Effects()

    def _day_opened(self, event: events.DayOpened) -> Effects:
        self.day, self.day_over, self.reference = event.day, False, event.reference
        self.traded_lots = self.traded_fen = 0
        self.bought = {}
        self.phase, self.manual = Phase.CLOSED, False
        # A date that was no trading day was not reached by any close.
        return self._expired(event.day)

    def _call_opened(self, event: events.CallOpened) -> Effects:
        self.phase, self.manual = Phase.CALL, event.manual
        return Effects()

    def _continued(self, _event: events.Continued) -> Effects:
        effects = self._uncrossed() if self.phase is Phase.CALL else Effects()
        self.phase, self.manual = Phase.CONTINUOUS, False
        return effects

    def _day_closed(self, event: events.DayClosed) -> Effects:
        effects = Effects(closed=(event.day, self.close_price(), self.traded_lots, self.traded_fen))
        for order in list(self.book.orders.values()):
            if order.until is None or order.until <= event.day:
                self.book.cancel(order.order_id)
                effects.orders[order.order_id] = (order, OrderState.EXPIRED)
        self.reference = self.close_price()
        self.phase, self.manual, self.day_over = Phase.CLOSED, False, True
        return effects

    def _dates_passed(self, event: events.DatesPassed) -> Effects:
        return self._expired(event.day)

    def dated_before(self, day: date) -> list[Order]:
        """The waiting orders that were good till a date before `day`."""
        return [order for order in self.book.orders.values() if order.until is not None and order.until < day]

    def _expired(self, day: date) -> Effects:
        effects = Effects()
        for order in self.dated_before(day):
            self.book.cancel(order.order_id)
            effects.orders[order.order_id] = (order, OrderState.EXPIRED)
        return effects

    def _halted(self, _event: events.Halted) -> Effects:
        if self.halted:
            raise InvalidState("it is halted already", instrument=self.instrument)
        self.halted = True
        return Effects()

    def _resumed(self, _event: events.Resumed) -> Effects:
        if not self.halted:
            raise InvalidState("it is not halted", instrument=self.instrument)
        self.halted = False
        return Effects()

    def _placed(self, event: events.Placed) -> Effects:
        order = Order(
            event.order_id, event.owner, event.is_buy, event.price, event.lots, self.seq + 1, event.fee_ppm,
            event.waits, event.whole, event.post_only, event.tif, event.self_trade, event.until,
        )  # fmt: skip
        collecting = self.phase is Phase.CALL
        outcome = self.book.collect(order) if collecting else self.book.place(order, event.levels_max)
        effects = Effects(arrived=order, outcome=outcome)
        self._count(order, outcome, effects)
        for maker, _ in outcome.shrunk:
            effects.orders[maker.order_id] = (maker, OrderState.OPEN if maker.left else OrderState.SELF_TRADE)
        for maker, _ in outcome.fills:
            effects.orders[maker.order_id] = (maker, OrderState.OPEN if maker.left else OrderState.FILLED)
        state = outcome.ended or (OrderState.OPEN if order.left else OrderState.FILLED)
        effects.orders[order.order_id] = (order, state)
        return effects

    def _count(self, order: Order, outcome: Outcome, effects: Effects) -> None:
        spent = 0
        for maker, lots in outcome.fills:
            amount = lots * maker.price
            fee = fee_on(spent + amount, order.fee_ppm) - fee_on(spent, order.fee_ppm)
            other = fee_on(maker.spent, maker.fee_ppm) - fee_on(maker.spent - amount, maker.fee_ppm)
            spent += amount
            if order.is_buy:
                trade = Trade(
                    order.owner, maker.owner, order.order_id, maker.order_id, maker.price, lots, fee, other, "buy"
                )
            else:
                trade = Trade(
                    maker.owner, order.owner, maker.order_id, order.order_id, maker.price, lots, other, fee, "sell"
                )
            self._record(trade, effects)

    def _record(self, trade: Trade, effects: Effects) -> None:
        effects.trades.append(trade)
        self.traded_lots += trade.lots
        self.traded_fen += trade.lots * trade.price
        self.last = trade.price
        self.bought[trade.buyer] = self.bought.get(trade.buyer, 0) + trade.lots

    def numbers(self) -> tuple[int, str, int, int, int]:
        """What `undo_placed` needs to be told to restore."""
        return self.seq, self.chain, self.traded_lots, self.traded_fen, self.last

    def undo_placed(self, before: tuple[int, str, int, int, int], effects: Effects) -> None:
        """Take back the last event, an order whose effects could not be stored."""
        assert effects.arrived is not None
        assert effects.outcome is not None
        self.book.undo(effects.arrived, effects.outcome)
        self.seq, self.chain, self.traded_lots, self.traded_fen, self.last = before
        for trade in effects.trades:
            self.bought[trade.buyer] -= trade.lots
            if not self.bought[trade.buyer]:
                del self.bought[trade.buyer]

    def _cancelled(self, event: events.Cancelled) -> Effects:
        order = self.book.cancel(event.order_id)
        return Effects(orders={order.order_id: (order, OrderState.CANCELLED)})

    def _block_traded(self, event: events.BlockTraded) -> Effects:
        trade = Trade(
            event.buyer, event.seller, "", "", event.price, event.lots, event.buyer_fee, event.seller_fee, "block"
        )
        self.bought[event.buyer] = self.bought.get(event.buyer, 0) + event.lots
        return Effects(trades=[trade])

    def _uncrossed(self) -> Effects:
        crossing, unfilled = uncross(self.book, self.reference)
        effects = Effects()
        for buy, sell, lots in crossing.pairs if crossing else ():
            fees = []
            for order in (buy, sell):
                amount = lots * crossing.price if crossing else 0
                fees.append(fee_on(order.spent + amount, order.fee_ppm) - fee_on(order.spent, order.fee_ppm))
                order.spent += amount
                order.left -= lots
                effects.orders[order.order_id] = (order, OrderState.OPEN if order.left else OrderState.FILLED)
                if not order.left:
                    self.book.drop_filled(order)
            price = crossing.price if crossing else 0
            self._record(
                Trade(buy.owner, sell.owner, buy.order_id, sell.order_id, price, lots, fees[0], fees[1], "auction"),
                effects,
            )
        for order in unfilled:
            self.book.cancel(order.order_id)
            effects.orders[order.order_id] = (order, OrderState.EXPIRED)
        return effects


_HANDLERS: dict[type, Any] = {
    events.Listed: MatchingEngine._listed,
    events.DayOpened: MatchingEngine._day_opened,
    events.CallOpened: MatchingEngine._call_opened,
    events.Continued: MatchingEngine._continued,
    events.DayClosed: MatchingEngine._day_closed,
    events.DatesPassed: MatchingEngine._dates_passed,
    events.Halted: MatchingEngine._halted,
    events.Resumed: MatchingEngine._resumed,
    events.Placed: MatchingEngine._placed,
    events.Cancelled: MatchingEngine._cancelled,
    events.BlockTraded: MatchingEngine._block_traded,
}


def _link(previous: str, seq: int, event: events.Event, effects: Effects) -> str:
    """Each link covers the event, what it did and the link before it."""
    done = [
        [[t.buy_order, t.sell_order, t.price, t.lots, t.buyer_fee, t.seller_fee] for t in effects.trades],
        [[name, order.left, order.spent, state] for name, (order, state) in effects.orders.items()],
        [str(part) for part in effects.closed or ()],
    ]
    body = [previous, seq, event.kind, events.to_plain(event), done]
    return hashlib.sha256(json.dumps(body, separators=(",", ":"), ensure_ascii=True).encode()).hexdigest()
