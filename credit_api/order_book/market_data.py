"""What everyone may see of an instrument: its session, the best five prices, trades and days."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from credit_api.app.wiring import Parts
from credit_api.order_book.schemas import BookOut, CandleOut, InstrumentOut, LevelOut
from financing.base.quantities import KG_PER_TONNE, business_date
from financing.lending.unit import UnitOfWork
from financing.market.order_book.cache import status_of
from financing.market.order_book.engine.orders import Side
from financing.market.order_book.engine.sessions import band
from financing.market.order_book.store import Instrument, trade_t

SHOWN_LEVELS = 5


def instrument_out(parts: Parts, listed: Instrument) -> InstrumentOut:
    now = parts.clock()
    rules = parts.parameters.venue(listed.rules, business_date(now))
    lowest, highest = band(listed.reference, rules.band_bps)
    status = status_of(rules, parts.parameters, now)
    return InstrumentOut.joined(
        listed, lowest=lowest, highest=highest, always_open=status is None, calendar_status=status
    )


def book_out(unit: UnitOfWork, instrument: str) -> BookOut:
    """The best five prices of either side. Raises `NotFound`."""
    unit.orders.instrument(instrument)
    seq, _ = unit.journal.head(instrument)

    def levels(side: Side) -> list[LevelOut]:
        return [
            LevelOut(price_fen_per_tonne=price, quantity_kg=lots * KG_PER_TONNE, orders=orders)
            for price, lots, orders in unit.orders.depth(instrument, side, SHOWN_LEVELS)
        ]

    return BookOut(instrument=instrument, seq=seq, bids=levels(Side.BUY), asks=levels(Side.SELL))


def candles(connection: Connection, instrument: str, days: int) -> list[CandleOut]:
    """The last `days` days with listed trades or a close, oldest first; blocks are not in them."""
    listed = (trade_t.c.instrument_id == instrument) & (trade_t.c.taker != "block")
    rows = connection.execute(
        select(
            trade_t.c.day,
            func.min(trade_t.c.price_fen).label("low"),
            func.max(trade_t.c.price_fen).label("high"),
            func.sum(trade_t.c.lots).label("lots"),
            func.min(trade_t.c.seq).label("first"),
            func.max(trade_t.c.seq).label("last"),
        )
        .where(listed)
        .group_by(trade_t.c.day)
        .order_by(trade_t.c.day.desc())
        .limit(days)
    ).all()
    traded = {row.day: row for row in rows}
    ends = {seq for row in rows for seq in (row.first, row.last)}
    prices: dict[int, list[int]] = {}
    for row in connection.execute(
        select(trade_t.c.seq, trade_t.c.price_fen)
        .where(listed, trade_t.c.seq.in_(ends))
        .order_by(trade_t.c.seq, trade_t.c.number)
    ):
        prices.setdefault(row.seq, []).append(row.price_fen)
    closes = {each.day: each for each in UnitOfWork(connection).orders.closes(instrument, days)}
    answer = []
    for day in sorted(traded.keys() | closes.keys())[-days:]:
        seen, close = traded.get(day), closes.get(day)
        answer.append(
            CandleOut(
                day=day,
                open_fen_per_tonne=prices[seen.first][0] if seen else None,
                high_fen_per_tonne=seen.high if seen else None,
                low_fen_per_tonne=seen.low if seen else None,
                last_fen_per_tonne=prices[seen.last][-1] if seen else None,
                close_fen_per_tonne=close.close if close else None,
                quantity_kg=int(seen.lots) * KG_PER_TONNE if seen else 0,
            )
        )
    return answer
