"""Place, preview and cancel orders. What an order can cost is reserved before it is acknowledged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pydantic import BaseModel

from financing.base.commands import AssetCode, Command, FenPerTonne, Kilograms, use_case
from financing.base.context import Context
from financing.base.errors import InvalidState, MarketClosed, NotPermitted, SameDayResale
from financing.base.parameters.china_calendar import CalendarStatus
from financing.base.parameters.market import MarketRules
from financing.base.quantities import KG_PER_TONNE
from financing.ledger.accounts import Asset, cash, holding
from financing.market.order_book.cache import OrderBooks, status_of, venue_of
from financing.market.order_book.engine.admission import OrderRequest, Reservation, admit, reservation
from financing.market.order_book.engine.events import Cancelled, Placed
from financing.market.order_book.engine.matching_engine import MatchingEngine, Trade
from financing.market.order_book.engine.orders import SelfTrade, Side, TimeInForce
from financing.market.order_book.engine.schedule import due
from financing.market.order_book.recording import record, standing_of
from financing.market.order_book.store import Standing
from financing.market.unit import MarketUnit


class OrderConditions(BaseModel):
    """On which side of which book an order stands, how long, and what it may not do."""

    instrument: AssetCode
    side: Side
    time_in_force: TimeInForce = TimeInForce.DAY
    all_or_none: bool = False
    post_only: bool = False
    self_trade: SelfTrade = SelfTrade.CANCEL_NEWEST
    until: date | None = None


class PlaceOrder(OrderConditions, Command):
    """An order. Without a price it is a market order. `until` is the last day of a `gtd` order."""

    quantity_kg: Kilograms
    price_fen_per_tonne: FenPerTonne | None = None

    def request(self) -> OrderRequest:
        """What the engine is asked for."""
        return OrderRequest(
            side=self.side,
            quantity=self.quantity_kg,
            price=self.price_fen_per_tonne,
            tif=self.time_in_force,
            all_or_none=self.all_or_none,
            post_only=self.post_only,
            self_trade=self.self_trade,
            until=self.until,
        )


@dataclass(frozen=True, slots=True)
class OrderPlaced:
    """How an order stands after it arrived, and what it traded at once."""

    order: Standing
    trades: tuple[Trade, ...]


@dataclass(frozen=True, slots=True)
class Previewed:
    """What an order would reserve, with the price it would carry, on which kind of day; nothing is stored."""

    placed: Placed
    reservation: Reservation
    rules: MarketRules
    calendar_status: CalendarStatus | None


def advance(unit: MarketUnit, context: Context, books: OrderBooks, instrument: str) -> int:
    """Bring an instrument to `context.at`: days end and begin, calls open and uncross. Returns how many events."""
    with books.changing(unit, instrument) as state:
        return _advance(unit, context, state)


@use_case
def place_order(unit: MarketUnit, context: Context, books: OrderBooks, command: PlaceOrder) -> OrderPlaced:
    """Take an order: match it, settle what it trades in one entry, reserve what is left.

    Raises what `admit` and the engine refuse, `InsufficientBalance`, `CreditsPledged`, `SameDayResale`, `NotPermitted`
    and whatever forbids a serial to move. Nothing has moved then.
    """
    request = command.request()
    with books.changing(unit, command.instrument) as state:
        _advance(unit, context, state)
        placed = _admitted(unit, context, state, request, context.new_id("ord"))[0]
        effects = record(unit, context, state, placed, order_type=request.order_type)
        assert effects.arrived is not None
        standing = standing_of(context, state, effects.arrived, effects, request.order_type)
        return OrderPlaced(standing, tuple(effects.trades))


@use_case
def preview_order(unit: MarketUnit, context: Context, books: OrderBooks, command: PlaceOrder) -> Previewed:
    """What `place_order` would reserve and at most charge now. Raises as it does, but for what the engine refuses."""
    instrument, request = command.instrument, command.request()
    state = books.current(unit, instrument)
    rules, calendar = venue_of(state, context.parameters, context.at)
    if due(state, rules, calendar, context.at) is not None:
        raise MarketClosed("the market's day has to be brought up to date first", instrument=instrument)
    placed, rules = _admitted(unit, context, state, request, "preview")
    known = status_of(rules, context.parameters, context.at)
    return Previewed(placed, reservation(placed, rules.lot_kg), rules, known)


@use_case
def cancel_order(unit: MarketUnit, context: Context, books: OrderBooks, order_id: str) -> Standing:
    """Take a waiting order back as its owner, at any hour and in a halt; what it reserved is free again.

    Raises `NotFound`, `NotPermitted`, `InvalidState` when it waits no more.
    """
    standing = unit.orders.order(order_id)
    if standing.owner != context.actor.id:
        raise NotPermitted("only its owner can cancel an order", order_id=order_id)
    with books.changing(unit, standing.instrument) as state:
        if order_id not in state.book.orders:
            raise InvalidState(f"the order is {standing.state}", order_id=order_id)
        record(unit, context, state, Cancelled(order_id))
    return unit.orders.order(order_id)


def _advance(unit: MarketUnit, context: Context, state: MatchingEngine) -> int:
    rules, calendar = venue_of(state, context.parameters, context.at)
    count = 0
    while (event := due(state, rules, calendar, context.at)) is not None:
        record(unit, context, state, event)
        count += 1
    return count


def _admitted(
    unit: MarketUnit, context: Context, state: MatchingEngine, request: OrderRequest, order_id: str
) -> tuple[Placed, MarketRules]:
    rules, calendar = venue_of(state, context.parameters, context.at)
    placed = admit(state, rules, calendar, context.at, request, order_id=order_id, owner=context.actor.id)
    need = reservation(placed, rules.lot_kg)
    if placed.is_buy:
        unit.ledger.require_available(cash(placed.owner), need.money_fen)
    else:
        require_sellable(unit, state, rules, placed.owner, need.quantity_kg)
    return placed, rules


def require_sellable(
    unit: MarketUnit, state: MatchingEngine, rules: MarketRules, seller: str, quantity_kg: int
) -> None:
    """Raise unless the seller has `quantity_kg` free, beyond what it bought today where that may not be resold."""
    balance = unit.ledger.require_available(holding(seller, Asset(state.instrument)), quantity_kg)
    bought_kg = state.bought_today(seller) * KG_PER_TONNE
    if rules.resale_blocked and quantity_kg > balance.available - bought_kg:
        raise SameDayResale(
            "what was bought today cannot be sold today",
            bought_today_kg=bought_kg,
            sellable_kg=max(balance.available - bought_kg, 0),
            asked_kg=quantity_kg,
        )
