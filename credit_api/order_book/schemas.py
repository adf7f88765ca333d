"""Requests and answers of the order book. Prices in fen per tonne, money in fen, quantities in kg."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Self

from pydantic import BeforeValidator, ConfigDict

from credit_api.http.fields import ResponseModel, read
from financing.base.commands import FenPerTonne, Kilograms
from financing.base.parameters.china_calendar import CalendarStatus
from financing.base.quantities import KG_PER_TONNE
from financing.market.order_book.commands import OrderConditions, OrderPlaced, PlaceOrder, Previewed
from financing.market.order_book.engine.matching_engine import Trade
from financing.market.order_book.engine.orders import fee_on
from financing.market.order_book.store import BlockReport, Standing, TradeRecord


def _whole(value: object) -> object:
    """In the query of an address every number is text."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class OrderQuery(PlaceOrder):
    """An order in the query of an address."""

    quantity_kg: Annotated[Kilograms, BeforeValidator(_whole)]
    price_fen_per_tonne: Annotated[FenPerTonne, BeforeValidator(_whole)] | None = None


class OrderOut(OrderConditions, ResponseModel):
    """An order as it stands. `reserved` is kg for a seller and fen for a buyer, fees to come included."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    order_id: str
    seq: int
    owner_id: str
    order_type: str
    price_fen_per_tonne: int
    quantity_kg: int
    left_kg: int
    filled_kg: int
    spent_fen: int
    fee_fen: int
    reserved: int
    state: str
    placed_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, order: Standing) -> Self:
        return cls.joined(
            order,
            time_in_force=order.tif,
            all_or_none="all_or_none" in order.flags,
            post_only="post_only" in order.flags,
            quantity_kg=order.lots * KG_PER_TONNE,
            left_kg=order.left * KG_PER_TONNE,
            filled_kg=order.filled * KG_PER_TONNE,
            fee_fen=fee_on(order.spent, order.fee_ppm),
        )


class FillOut(ResponseModel):
    price_fen_per_tonne: int
    quantity_kg: int
    fee_fen: int


class OrderPlacedOut(OrderOut):
    """The order, and what it traded at once."""

    fills: list[FillOut]

    @classmethod
    def placed(cls, done: OrderPlaced) -> Self:
        fills = [_fill(trade, done.order.side) for trade in done.trades]
        return cls.joined(OrderOut.of(done.order), fills=fills)


class PreviewOut(ResponseModel):
    """What an order would reserve now, and the highest fee it can be charged; how today's holidays are known."""

    instrument: str
    side: str
    order_type: str
    price_fen_per_tonne: int
    quantity_kg: int
    reserved_kg: int = read("reservation.quantity_kg")
    reserved_fen: int = read("reservation.money_fen")
    fee_ppm: int
    fee_fen_max: int = read("reservation.fee_fen")
    calendar_status: CalendarStatus | None

    @classmethod
    def previewed(cls, asked: OrderQuery, seen: Previewed) -> Self:
        placed = seen.placed
        side, quantity = "buy" if placed.is_buy else "sell", placed.lots * KG_PER_TONNE
        return cls.joined(seen, placed, asked.request(), instrument=asked.instrument, side=side, quantity_kg=quantity)


class InstrumentOut(ResponseModel):
    """An instrument's session. `calendar_status` says how today's holidays are known; null where it is always open."""

    instrument: str = read("id")
    rules: str
    phase: str
    halted: bool
    always_open: bool
    calendar_status: CalendarStatus | None
    day: date | None
    reference_fen_per_tonne: int
    lowest_fen_per_tonne: int
    highest_fen_per_tonne: int
    last_fen_per_tonne: int


class LevelOut(ResponseModel):
    price_fen_per_tonne: int
    quantity_kg: int
    orders: int


class BookOut(ResponseModel):
    """The best five prices of either side, after event `seq`."""

    instrument: str
    seq: int
    bids: list[LevelOut]
    asks: list[LevelOut]


class TradeOut(ResponseModel):
    """A trade without its parties, as everyone sees it. `taker` is buy, sell, auction or block."""

    seq: int
    number: int
    price_fen_per_tonne: int
    quantity_kg: int
    taker: str
    at: datetime

    @classmethod
    def of(cls, seen: TradeRecord) -> Self:
        return cls.joined(seen, seen.trade, quantity_kg=seen.trade.lots * KG_PER_TONNE)


class OwnTradeOut(TradeOut):
    """One of the caller's own trades, with its side, order, fee and the entry that settled it."""

    side: str
    order_id: str
    fee_fen: int
    entry_id: int

    @classmethod
    def own(cls, seen: TradeRecord, owner: str) -> Self:
        bought = seen.trade.buyer == owner
        return cls.joined(
            TradeOut.of(seen),
            seen,
            side="buy" if bought else "sell",
            order_id=seen.trade.buy_order if bought else seen.trade.sell_order,
            fee_fen=seen.trade.buyer_fee if bought else seen.trade.seller_fee,
        )


class CandleOut(ResponseModel):
    """One day's listed trades. `close_fen_per_tonne` is their volume-weighted average once the day is closed."""

    day: date
    open_fen_per_tonne: int | None
    high_fen_per_tonne: int | None
    low_fen_per_tonne: int | None
    last_fen_per_tonne: int | None
    close_fen_per_tonne: int | None
    quantity_kg: int


class BlockOut(ResponseModel):
    block_id: str
    instrument: str
    buyer_id: str
    seller_id: str
    quantity_kg: int
    price_fen_per_tonne: int
    reported_by: str
    reported_at: datetime
    day: date
    state: str

    @classmethod
    def of(cls, report: BlockReport) -> Self:
        return cls.joined(report, quantity_kg=report.lots * KG_PER_TONNE)


def _fill(trade: Trade, side: str) -> FillOut:
    fee = trade.buyer_fee if side == "buy" else trade.seller_fee
    return FillOut(price_fen_per_tonne=trade.price, quantity_kg=trade.lots * KG_PER_TONNE, fee_fen=fee)
