"""Store an event with all that follows from it, in one commit: journal, orders, holds, the settling entry, trades."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from financing.base.context import Context
from financing.base.quantities import KG_PER_TONNE, Carbon, business_date
from financing.ledger.accounts import AccountKey, Asset, cash, holding
from financing.ledger.entries import EntryKind, Posting
from financing.ledger.posting import Leg, post_entry
from financing.market.order_book.engine.admission import reserved_for
from financing.market.order_book.engine.events import Event, Listed
from financing.market.order_book.engine.matching_engine import Effects, MatchingEngine, Trade
from financing.market.order_book.engine.orders import Order, OrderState
from financing.market.order_book.store import Standing, arrived_as, standing_row
from financing.market.unit import MarketUnit

HOLD_ENDS = {
    OrderState.OPEN: "posted",
    OrderState.FILLED: "posted",
    OrderState.CANCELLED: "voided",
    OrderState.SELF_TRADE: "voided",
    OrderState.EXPIRED: "expired",
}


def record(
    unit: MarketUnit, context: Context, state: MatchingEngine, event: Event, *, order_type: str = "limit"
) -> Effects:
    """Apply `event` and store what it did. If that is refused (a frozen serial), an order is as if it never came.

    A state that another event has changed is for the caller to forget (`Books.changing` does).
    """
    before = state.numbers()
    effects = state.apply(event)
    try:
        _store(unit, context, state, event, effects, order_type)
    except BaseException:
        if effects.arrived is not None:
            state.undo_placed(before, effects)
        raise
    return effects


def _store(
    unit: MarketUnit, context: Context, state: MatchingEngine, event: Event, effects: Effects, order_type: str
) -> None:
    if isinstance(event, Listed):
        unit.orders.add_instrument(state, listed_by=context.actor.id, at=context.at)
    unit.journal.append(state.instrument, state.seq, event, state.chain, actor_id=context.actor.id, at=context.at)
    arrived = effects.arrived
    _restand(unit, context, state, effects, arrived)
    if arrived is not None:
        unit.orders.add_order(standing_of(context, state, arrived, effects, order_type))
    if effects.trades:
        _settle(unit, context, state, effects.trades)
    if arrived is not None and effects.orders[arrived.order_id][1] is OrderState.OPEN:
        _reserve(unit, context, state, arrived)
    if effects.closed is not None:
        unit.orders.add_close(state.instrument, state.seq, effects.closed)
    if arrived is None or effects.trades:
        unit.orders.set_instrument(state)


def standing_of(context: Context, state: MatchingEngine, order: Order, effects: Effects, order_type: str) -> Standing:
    """How an order stands after the event that brought it."""
    after = effects.orders[order.order_id][1]
    return arrived_as(
        state.instrument,
        order,
        after,
        order_type=order_type,
        filled=sum(trade.lots for trade in effects.trades),
        reserved=reserved_for(order, KG_PER_TONNE) if after is OrderState.OPEN else 0,
        at=context.at,
    )


def _restand(
    unit: MarketUnit, context: Context, state: MatchingEngine, effects: Effects, arrived: Order | None
) -> None:
    """Store how waiting orders stand now, and exchange their holds for ones of what is left."""
    touched = [(order, after) for order, after in effects.orders.values() if order is not arrived]
    if not touched:
        return
    traded: dict[str, int] = defaultdict(int)
    for trade in effects.trades:
        traded[trade.buy_order] += trade.lots
        traded[trade.sell_order] += trade.lots
    known = unit.orders.reserved(order.order_id for order, _ in touched)
    rows = []
    for order, after in touched:
        filled = known[order.order_id][1] + traded[order.order_id]
        unit.ledger.close_hold(order.order_id, HOLD_ENDS[after], at=context.at)
        reserved = _reserve(unit, context, state, order) if after is OrderState.OPEN else 0
        rows.append(standing_row(order, after, filled=filled, reserved=reserved, at=context.at))
    unit.orders.set_orders(rows)


def _reserve(unit: MarketUnit, context: Context, state: MatchingEngine, order: Order) -> int:
    amount = reserved_for(order, KG_PER_TONNE)
    unit.ledger.reserve(
        f"{order.order_id}.{state.seq}",
        account_of(order, state.instrument),
        amount,
        reference=order.order_id,
        at=context.at,
        expires_at=None,
    )
    return amount


def account_of(order: Order, instrument: str) -> AccountKey:
    """What an order's reservation is taken from: its buyer's cash, its seller's holding."""
    return cash(order.owner) if order.is_buy else holding(order.owner, Asset(instrument))


def _settle(unit: MarketUnit, context: Context, state: MatchingEngine, trades: Sequence[Trade]) -> None:
    """All trades of one event as one balanced entry: credits, money and fees; serial numbers follow."""
    asset = Asset(state.instrument)
    money: list[Posting] = []
    bought: dict[tuple[str, str], int] = defaultdict(int)
    for trade in trades:
        amount, kg = trade.price * trade.lots, trade.lots * KG_PER_TONNE
        money += (
            Posting(cash(trade.buyer), -amount - trade.buyer_fee),
            Posting(cash(trade.seller), amount - trade.seller_fee),
            Posting(cash(state.exchange), trade.buyer_fee + trade.seller_fee),
        )
        bought[trade.seller, trade.buyer] += kg
    legs = [Leg(holding(seller, asset), holding(buyer, asset), Carbon(kg)) for (seller, buyer), kg in bought.items()]
    posted = post_entry(unit, context, EntryKind.TRADE, f"{state.instrument}/{state.seq}", legs, changes=money)
    day = state.day or business_date(context.at)
    unit.orders.add_trades(state.instrument, state.seq, list(trades), day=day, entry_id=posted.entry_id, at=context.at)
