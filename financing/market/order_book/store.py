"""Instruments, orders, trades, day closes and block reports on one connection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pydantic import ConfigDict
from sqlalchemy import Row, bindparam, func, insert, literal, or_, select, update

from financing.base.errors import NotFound
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.store import Store, columns_of, value_of
from financing.ledger.accounts import CREDIT_PREFIX
from financing.market.order_book.engine.matching_engine import MatchingEngine, Trade
from financing.market.order_book.engine.orders import Order, OrderState, Side
from financing.market.order_book.tables import (
    BlockReportRow,
    BookOrderRow,
    DayCloseRow,
    InstrumentRow,
    InstrumentState,
    TradeRow,
)
from financing.registry.credits.store import issuance_t

instrument_t = table_of(InstrumentRow)
order_t = table_of(BookOrderRow)
trade_t = table_of(TradeRow)
close_t = table_of(DayCloseRow)
block_t = table_of(BlockReportRow)

_SET_INSTRUMENT = (
    update(instrument_t)
    .where(instrument_t.c.id == bindparam("instrument"))
    .values({name: bindparam(name) for name in ("phase", "halted", "day", "reference_fen", "last_fen")})
)
_ORDER = select(order_t).where(order_t.c.id == bindparam("order"))
_ADD_ORDER, _ADD_TRADE = insert(order_t), insert(trade_t)
_SET_ORDER = (
    update(order_t)
    .where(order_t.c.id == bindparam("order"))
    .values(
        {name: bindparam(name) for name in ("left_lots", "filled_lots", "spent_fen", "reserved", "state", "ended_at")}
    )
)
_RESERVED = select(order_t.c.id, order_t.c.reserved, order_t.c.filled_lots).where(
    order_t.c.id.in_(bindparam("orders", expanding=True))
)


class Instrument(InstrumentState):
    """A listed asset as readers see it. Prices are fen per tonne; `day` is the open or last trading day."""

    model_config = ConfigDict(frozen=True)

    id: str
    listed_by: str
    listed_at: datetime
    day: date | None
    reference: int
    last: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How an order stands. `order_type` is limit or market; `reserved` is kg of a seller, fen of a buyer."""

    order_id: str
    instrument: str
    seq: int
    owner: str
    side: str
    order_type: str
    tif: str
    flags: str
    self_trade: str
    price: int
    lots: int
    left: int
    filled: int
    spent: int
    fee_ppm: int
    reserved: int
    state: str
    until: date | None
    placed_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class TradeRecord:
    """A stored trade. `number` counts the trades of one event."""

    instrument: str
    seq: int
    number: int
    day: date
    trade: Trade
    entry_id: int
    at: datetime


@dataclass(frozen=True, slots=True)
class DayClose:
    instrument: str
    day: date
    close: int
    lots: int
    traded_fen: int


@dataclass(frozen=True, slots=True)
class BlockReport:
    """A bilateral trade as one side reported it."""

    block_id: str
    instrument: str
    buyer: str
    seller: str
    price: int
    lots: int
    reported_by: str
    reported_at: datetime
    day: date
    state: str


class OrderStore(Store):
    def add_instrument(self, state: MatchingEngine, *, listed_by: str, at: datetime) -> None:
        self._connection.execute(
            insert(instrument_t).values(id=state.instrument, listed_by=listed_by, listed_at=at, **_shown(state))
        )

    def set_instrument(self, state: MatchingEngine) -> None:
        """Repeat in the instrument's row what its state is now."""
        values = _shown(state)
        del values["rules"]
        self._connection.execute(_SET_INSTRUMENT, values | {"instrument": state.instrument})

    def instrument(self, instrument_id: str) -> Instrument:
        query = select(instrument_t).where(instrument_t.c.id == instrument_id)
        return _instrument(self._one(query, "no such instrument is listed", instrument=instrument_id))

    def instruments(self, window: Window = ALL) -> Page[Instrument]:
        return page_of(self._connection, select(instrument_t), (Key(instrument_t.c.id),), window, _instrument)

    def unlisted(self, most: int) -> list[str]:
        """Assets of issuances that are not listed for trading, the newest first, at most `most`."""
        code = (literal(CREDIT_PREFIX) + issuance_t.c.id).label("code")
        query = select(code).where(code.not_in(select(instrument_t.c.id)))
        ordered = query.order_by(issuance_t.c.issued_at.desc(), issuance_t.c.id.desc()).limit(most)
        return list(self._connection.execute(ordered).scalars())

    def add_order(self, standing: Standing) -> None:
        """Store a new order as its arrival left it."""
        row = columns_of(order_t, standing, id=standing.order_id, left_lots=standing.left, filled_lots=standing.filled)
        self._connection.execute(_ADD_ORDER, row)

    def set_orders(self, rows: list[dict[str, Any]]) -> None:
        """Store how orders stand after an event; rows as `standing_row` makes them."""
        if rows:
            self._connection.execute(_SET_ORDER, rows)

    def reserved(self, order_ids: Iterable[str]) -> dict[str, tuple[int, int]]:
        """What is reserved for each order, and the lots it had filled, before the event that is being stored."""
        rows = self._connection.execute(_RESERVED, {"orders": list(order_ids)})
        return {row.id: (row.reserved, row.filled_lots) for row in rows}

    def add_trades(
        self, instrument: str, seq: int, trades: list[Trade], *, day: date, entry_id: int, at: datetime
    ) -> None:
        self._connection.execute(
            _ADD_TRADE,
            [
                columns_of(
                    trade_t,
                    trade,
                    instrument_id=instrument,
                    seq=seq,
                    number=number,
                    day=day,
                    buy_order_id=trade.buy_order or None,
                    sell_order_id=trade.sell_order or None,
                    entry_id=entry_id,
                    at=at,
                )
                for number, trade in enumerate(trades, 1)
            ],
        )

    def add_close(self, instrument: str, seq: int, closed: tuple[date, int, int, int]) -> None:
        day, price, lots, fen = closed
        self._connection.execute(
            insert(close_t).values(
                instrument_id=instrument, day=day, close_fen=price, lots=lots, traded_fen=fen, seq=seq
            )
        )

    def closes(self, instrument: str, limit: int) -> list[DayClose]:
        """The last `limit` closes, oldest first."""
        rows = self._connection.execute(
            select(close_t).where(close_t.c.instrument_id == instrument).order_by(close_t.c.day.desc()).limit(limit)
        ).all()
        return [DayClose(r.instrument_id, r.day, r.close_fen, r.lots, r.traded_fen) for r in reversed(rows)]

    def order(self, order_id: str) -> Standing:
        row = self._connection.execute(_ORDER, {"order": order_id}).first()
        if row is None:
            raise NotFound("no such order", order_id=order_id)
        return _standing(row)

    def orders(
        self,
        *,
        owner: str | None = None,
        instrument: str | None = None,
        state: str | None = None,
        window: Window = ALL,
    ) -> Page[Standing]:
        """Orders that match every given filter, newest first."""
        query = select(order_t)
        if owner is not None:
            query = query.where(order_t.c.owner_id == owner)
        if instrument is not None:
            query = query.where(order_t.c.instrument_id == instrument)
        if state is not None:
            query = query.where(order_t.c.state == state)
        keys = (Key(order_t.c.placed_at, descending=True), Key(order_t.c.seq, descending=True), Key(order_t.c.id))
        return page_of(self._connection, query, keys, window, _standing)

    def trades(self, instrument: str, *, party: str | None = None, window: Window = ALL) -> Page[TradeRecord]:
        """Trades newest first, of everyone or of one party."""
        query = select(trade_t).where(trade_t.c.instrument_id == instrument)
        if party is not None:
            query = query.where(or_(trade_t.c.buyer_id == party, trade_t.c.seller_id == party))
        keys = (Key(trade_t.c.seq, descending=True), Key(trade_t.c.number, descending=True))
        return page_of(self._connection, query, keys, window, _trade)

    def trades_after(self, instrument: str, seq: int, limit: int) -> list[TradeRecord]:
        """Trades of events later than `seq`, oldest first."""
        query = select(trade_t).where(trade_t.c.instrument_id == instrument, trade_t.c.seq > seq)
        ordered = query.order_by(trade_t.c.seq, trade_t.c.number).limit(limit)
        return [_trade(row) for row in self._connection.execute(ordered)]

    def depth(self, instrument: str, side: Side, levels: int) -> list[tuple[int, int, int]]:
        """(price, lots, orders) of the best levels of one side."""
        best = order_t.c.price_fen.desc() if side is Side.BUY else order_t.c.price_fen.asc()
        rows = self._connection.execute(
            select(order_t.c.price_fen, func.sum(order_t.c.left_lots).label("lots"), func.count().label("orders"))
            .where(order_t.c.instrument_id == instrument, order_t.c.state == "open", order_t.c.side == side.value)
            .group_by(order_t.c.price_fen)
            .order_by(best)
            .limit(levels)
        )
        return [(row.price_fen, int(row.lots), row.orders) for row in rows]

    def add_block(self, report: BlockReport) -> None:
        self._add(block_t, report, id=report.block_id, seq=None)

    def block(self, block_id: str) -> BlockReport:
        row = self._one(select(block_t).where(block_t.c.id == block_id), "no such block", block_id=block_id)
        return _block(row)

    def blocks(self, party: str | None = None, window: Window = ALL) -> Page[BlockReport]:
        """Reported blocks of one party, or of all for None; newest first."""
        query = select(block_t)
        if party is not None:
            query = query.where(or_(block_t.c.buyer_id == party, block_t.c.seller_id == party))
        keys = (Key(block_t.c.reported_at, descending=True), Key(block_t.c.id))
        return page_of(self._connection, query, keys, window, _block)

    def end_block(self, block_id: str, state: str, seq: int | None) -> None:
        self._connection.execute(update(block_t).where(block_t.c.id == block_id).values(state=state, seq=seq))


def arrived_as(
    instrument: str,
    order: Order,
    state: OrderState,
    *,
    order_type: str,
    filled: int,
    reserved: int,
    at: datetime,
) -> Standing:
    """An order as its arrival left it."""
    flags = [name for name, on in (("post_only", order.post_only), ("all_or_none", order.whole)) if on]
    is_open = state is OrderState.OPEN
    return Standing(
        order_id=order.order_id,
        instrument=instrument,
        seq=order.seq,
        owner=order.owner,
        side=(Side.BUY if order.is_buy else Side.SELL).value,
        order_type=order_type,
        tif=order.tif,
        flags=",".join(flags),
        self_trade=order.self_trade,
        price=order.price,
        lots=order.lots,
        left=order.left if is_open else 0,
        filled=filled,
        spent=order.spent,
        fee_ppm=order.fee_ppm,
        reserved=reserved,
        state=state.value,
        until=order.until,
        placed_at=at,
        ended_at=None if is_open else at,
    )


def standing_row(order: Order, state: OrderState, *, filled: int, reserved: int, at: datetime) -> dict[str, Any]:
    """How an order stands after an event, as `set_orders` takes it."""
    is_open = state is OrderState.OPEN
    return {
        "order": order.order_id,
        "left_lots": order.left if is_open else 0,
        "filled_lots": filled,
        "spent_fen": order.spent,
        "reserved": reserved,
        "state": state.value,
        "ended_at": None if is_open else at,
    }


def _shown(state: MatchingEngine) -> dict[str, Any]:
    return {
        "rules": state.rules,
        "phase": state.phase.value,
        "halted": state.halted,
        "day": state.day,
        "reference_fen": state.reference,
        "last_fen": state.last,
    }


def _instrument(row: Row[Any]) -> Instrument:
    return value_of(Instrument, row)


def _standing(row: Row[Any]) -> Standing:
    return value_of(Standing, row, order_id=row.id, left=row.left_lots, filled=row.filled_lots)


def _trade(row: Row[Any]) -> TradeRecord:
    trade = value_of(Trade, row, buy_order=row.buy_order_id or "", sell_order=row.sell_order_id or "")
    return value_of(TradeRecord, row, trade=trade)


def _block(row: Row[Any]) -> BlockReport:
    return value_of(BlockReport, row, block_id=row.id)
