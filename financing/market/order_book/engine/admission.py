"""From what somebody asks for to an order the engine takes: every rule that needs no balance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from financing.base.errors import OrderRefused
from financing.base.parameters.market import MarketRules
from financing.base.quantities import Carbon, Price, business_date
from financing.market.order_book.engine.events import Placed
from financing.market.order_book.engine.matching_engine import MatchingEngine
from financing.market.order_book.engine.orders import Order, SelfTrade, Side, TimeInForce, fee_on, set_aside
from financing.market.order_book.engine.schedule import require_taking_orders
from financing.market.order_book.engine.sessions import (
    Calendar,
    Phase,
    band,
    lots_of,
    require_on_tick,
    require_within_band,
)


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What is asked for. Without a price it is a market order: any price within the band, at once, the rest ends.

    `until` is the last day of an order that is good till a date.
    """

    side: Side
    quantity: Carbon
    price: Price | None
    tif: TimeInForce = TimeInForce.DAY
    all_or_none: bool = False
    post_only: bool = False
    self_trade: SelfTrade = SelfTrade.CANCEL_NEWEST
    until: date | None = None

    @property
    def order_type(self) -> str:
        return "limit" if self.price is not None else "market"


@dataclass(frozen=True, slots=True)
class Reservation:
    """What an order sets aside at most: kg of credits, or fen of money of which `fee_fen` is the highest fee."""

    quantity_kg: int
    money_fen: int
    fee_fen: int


def admit(
    state: MatchingEngine,
    rules: MarketRules,
    calendar: Calendar,
    at: datetime,
    request: OrderRequest,
    *,
    order_id: str,
    owner: str,
) -> Placed:
    """The event that `request` becomes. Raises `OrderRefused` and its kinds, `MarketClosed`, `MarketHalted`."""
    require_taking_orders(state, rules, calendar, at)
    lots = lots_of(rules, request.quantity.kg)
    if lots > rules.listed_lots_max:
        raise OrderRefused("larger than a listed order may be; report a block", lots=lots, most=rules.listed_lots_max)
    _require_consistent(request)
    at_once = request.price is None or request.tif in (TimeInForce.IOC, TimeInForce.FOK)
    if at_once and state.phase is Phase.CALL:
        raise OrderRefused("the call auction takes only limit orders that can wait", phase=str(state.phase))
    _require_date(request, rules, business_date(at))
    is_buy = request.side is Side.BUY
    return Placed(
        order_id=order_id,
        owner=owner,
        is_buy=is_buy,
        price=_price(request, state, rules),
        lots=lots,
        fee_ppm=rules.buyer_fee_ppm if is_buy else rules.seller_fee_ppm,
        waits=not at_once,
        whole=request.all_or_none or request.tif is TimeInForce.FOK,
        post_only=request.post_only,
        tif=request.tif.value,
        self_trade=request.self_trade.value,
        until=request.until,
        levels_max=rules.levels_max,
    )


def reservation(placed: Placed, lot_kg: int) -> Reservation:
    """What must be available before the order is taken."""
    amount = placed.price * placed.lots
    fee = fee_on(amount, placed.fee_ppm)
    if not placed.is_buy:
        return Reservation(placed.lots * lot_kg, 0, fee)
    return Reservation(0, amount + fee, fee)


def reserved_for(order: Order, lot_kg: int) -> int:
    """What a waiting order sets aside now, in the unit of its account: kg or fen."""
    return set_aside(order) if order.is_buy else set_aside(order) * lot_kg


def _price(request: OrderRequest, state: MatchingEngine, rules: MarketRules) -> int:
    if request.price is None:
        low, high = band(state.reference, rules.band_bps)
        return high if request.side is Side.BUY else low
    require_on_tick(rules, request.price.amount)
    require_within_band(request.price.amount, state.reference, rules.band_bps)
    return request.price.amount


def _require_consistent(request: OrderRequest) -> None:
    at_once = request.price is None or request.tif in (TimeInForce.IOC, TimeInForce.FOK)
    if request.post_only and (at_once or request.all_or_none):
        raise OrderRefused("a post-only order waits; it cannot also have to trade at once or in full")
    if request.price is None and request.tif is TimeInForce.GTD:
        raise OrderRefused("a market order does not wait for a date")


def _require_date(request: OrderRequest, rules: MarketRules, today: date) -> None:
    if (request.until is not None) is not (request.tif is TimeInForce.GTD):
        raise OrderRefused("an order good till a date names it, and no other does", tif=request.tif.value)
    if request.until is None:
        return
    last = today + timedelta(days=rules.dated_days_max)
    if not today <= request.until <= last:
        raise OrderRefused("the date lies outside what the venue takes", until=str(request.until), last=str(last))
