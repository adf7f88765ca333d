"""Requests and answers of the order book. Prices in fen per tonne, money in fen, quantities in kg."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict

from credit_api.http.fields import ResponseModel
from financing.base.commands import FenPerTonne, Kilograms
from financing.base.parameters.china_calendar import CalendarStatus
from financing.base.quantities import KG_PER_TONNE
from financing.market.order_book.commands import OrderConditions, OrderPlaced, PlaceOrder, Previewed
from financing.market.order_book.engine.matching_engine import Trade
from financing.market.order_book.engine.orders import fee_on
from financing.market.order_book.store import BlockReport, Instrument, Standing, TradeRecord


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
    def of(cls, order: Standing) -> OrderOut:
        return cls(
            order_id=order.order_id,
            instrument=order.instrument,
            seq=order.seq,
            owner_id=order.owner,
            side=order.side,
            order_type=order.order_type,
            time_in_force=order.tif,
            all_or_none="all_or_none" in order.flags,
            post_only="post_only" in order.flags,
            self_trade=order.self_trade,
            price_fen_per_tonne=order.price,
            quantity_kg=order.lots * KG_PER_TONNE,
            left_kg=order.left * KG_PER_TONNE,
            filled_kg=order.filled * KG_PER_TONNE,
            spent_fen=order.spent,
            fee_fen=fee_on(order.spent, order.fee_ppm),
            reserved=order.reserved,
            state=order.state,
            until=order.until,
            placed_at=order.placed_at,
            ended_at=order.ended_at,
        )


class FillOut(ResponseModel):
    price_fen_per_tonne: int
    quantity_kg: int
    fee_fen: int


class OrderPlacedOut(OrderOut):
    """The order, and what it traded at once."""

    fills: list[FillOut]

    @classmethod
    def placed(cls, done: OrderPlaced) -> OrderPlacedOut:
        fills = [_fill(trade, done.order.side) for trade in done.trades]
        return cls(**OrderOut.of(done.order).model_dump(), fills=fills)


class PreviewOut(ResponseModel):
    """What an order would reserve now, and the highest fee it can be charged; how today's holidays are known."""

    instrument: str
    side: str
    order_type: str
    price_fen_per_tonne: int
    quantity_kg: int
    reserved_kg: int
    reserved_fen: int
    fee_ppm: int
    fee_fen_max: int
    calendar_status: CalendarStatus | None

    @classmethod
    def of(cls, instrument: str, order_type: str, seen: Previewed) -> PreviewOut:
        return cls(
            instrument=instrument,
            side="buy" if seen.placed.is_buy else "sell",
            order_type=order_type,
            price_fen_per_tonne=seen.placed.price,
            quantity_kg=seen.placed.lots * KG_PER_TONNE,
            reserved_kg=seen.reservation.quantity_kg,
            reserved_fen=seen.reservation.money_fen,
            fee_ppm=seen.placed.fee_ppm,
            fee_fen_max=seen.reservation.fee_fen,
            calendar_status=seen.calendar_status,
        )


class InstrumentOut(ResponseModel):
    """An instrument's session. `calendar_status` says how today's holidays are known; null where it is always open."""

    instrument: str
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

    @classmethod
    def of(cls, listed: Instrument, band: tuple[int, int], calendar_status: CalendarStatus | None) -> InstrumentOut:
        return cls(
            instrument=listed.id,
            rules=listed.rules,
            phase=listed.phase,
            halted=listed.halted,
            always_open=calendar_status is None,
            calendar_status=calendar_status,
            day=listed.day,
            reference_fen_per_tonne=listed.reference,
            lowest_fen_per_tonne=band[0],
            highest_fen_per_tonne=band[1],
            last_fen_per_tonne=listed.last,
        )


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
    def of(cls, seen: TradeRecord) -> TradeOut:
        return cls(
            seq=seen.seq,
            number=seen.number,
            price_fen_per_tonne=seen.trade.price,
            quantity_kg=seen.trade.lots * KG_PER_TONNE,
            taker=seen.trade.taker,
            at=seen.at,
        )


class OwnTradeOut(TradeOut):
    """One of the caller's own trades, with its side, order, fee and the entry that settled it."""

    side: str
    order_id: str
    fee_fen: int
    entry_id: int

    @classmethod
    def own(cls, seen: TradeRecord, owner: str) -> OwnTradeOut:
        bought = seen.trade.buyer == owner
        return cls(
            **TradeOut.of(seen).model_dump(),
            side="buy" if bought else "sell",
            order_id=seen.trade.buy_order if bought else seen.trade.sell_order,
            fee_fen=seen.trade.buyer_fee if bought else seen.trade.seller_fee,
            entry_id=seen.entry_id,
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
    def of(cls, report: BlockReport) -> BlockOut:
        return cls(
            block_id=report.block_id,
            instrument=report.instrument,
            buyer_id=report.buyer,
            seller_id=report.seller,
            quantity_kg=report.lots * KG_PER_TONNE,
            price_fen_per_tonne=report.price,
            reported_by=report.reported_by,
            reported_at=report.reported_at,
            day=report.day,
            state=report.state,
        )


def _fill(trade: Trade, side: str) -> FillOut:
    fee = trade.buyer_fee if side == "buy" else trade.seller_fee
    return FillOut(price_fen_per_tonne=trade.price, quantity_kg=trade.lots * KG_PER_TONNE, fee_fen=fee)
