"""The order book: instruments, their journals, orders, trades, day closes and reported blocks."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar

from pydantic import BaseModel
from sqlalchemy import CheckConstraint, Date, Index, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, UtcDateTime


class InstrumentState(BaseModel):
    """What is kept of an instrument and shown of it: by which rules it trades, and how its day stands."""

    rules: str
    phase: str
    halted: bool


class InstrumentRow(InstrumentState, SQLModel, table=True):
    """A listed asset. Phase, day and reference repeat what its journal says, for those who only read."""

    __tablename__: ClassVar[str] = "instrument"
    __table_args__ = (
        CheckConstraint("phase IN ('closed','call','continuous')", name="instrument_phase"),
        CheckConstraint("reference_fen > 0 AND last_fen > 0", name="instrument_prices"),
    )
    id: str = Field(primary_key=True)
    listed_by: str = Field(foreign_key="organisation.id")
    listed_at: datetime = Field(sa_type=UtcDateTime)
    day: date | None = Field(sa_type=Date)
    reference_fen: int = Field(sa_type=Int64)
    last_fen: int = Field(sa_type=Int64)


class JournalRow(SQLModel, table=True):
    """One event of an instrument. `chain` is the hash over this event, what it did and the link before it."""

    __tablename__: ClassVar[str] = "order_journal"
    __table_args__ = (CheckConstraint("seq >= 1 AND length(chain) = 64", name="order_journal_link"),)
    instrument_id: str = Field(primary_key=True, foreign_key="instrument.id")
    seq: int = Field(primary_key=True, sa_type=Int64)
    kind: str
    payload: str = Field(sa_type=Text)
    chain: str
    actor_id: str = Field(foreign_key="organisation.id")
    at: datetime = Field(sa_type=UtcDateTime)


class BookOrderRow(SQLModel, table=True):
    """An order as it stands. `reserved` is what its hold sets aside: kg of a seller, fen of a buyer."""

    __tablename__: ClassVar[str] = "book_order"
    __table_args__ = (
        UniqueConstraint("instrument_id", "seq", name="book_order_sequence"),
        CheckConstraint("side IN ('buy','sell')", name="book_order_side"),
        CheckConstraint("state IN ('open','filled','cancelled','expired','self_trade')", name="book_order_state"),
        CheckConstraint("left_lots >= 0 AND left_lots <= lots AND lots > 0 AND price_fen > 0", name="book_order_lots"),
        CheckConstraint(
            "(state = 'open') = (reserved > 0) AND (state = 'open' OR left_lots = 0)", name="book_order_set_aside"
        ),
        Index("book_order_open", "instrument_id", "state", "side", "price_fen"),
        Index("book_order_owner", "owner_id", "instrument_id", "seq"),
    )
    id: str = Field(primary_key=True)
    instrument_id: str = Field(foreign_key="instrument.id")
    seq: int = Field(sa_type=Int64)
    owner_id: str = Field(foreign_key="organisation.id")
    side: str
    order_type: str
    tif: str
    flags: str
    self_trade: str
    price_fen: int = Field(sa_type=Int64)
    lots: int = Field(sa_type=Int64)
    left_lots: int = Field(sa_type=Int64)
    filled_lots: int = Field(sa_type=Int64)
    spent_fen: int = Field(sa_type=Int64)
    fee_ppm: int = Field(sa_type=Int64)
    reserved: int = Field(sa_type=Int64)
    state: str
    until: date | None = Field(sa_type=Date)
    placed_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(sa_type=UtcDateTime)


class TradeRow(SQLModel, table=True):
    """One trade, never changed. `taker` is buy or sell for listed trading, auction, or block."""

    __tablename__: ClassVar[str] = "trade"
    __table_args__ = (
        CheckConstraint("buyer_id <> seller_id", name="trade_parties"),
        CheckConstraint(
            "price_fen > 0 AND lots > 0 AND buyer_fee_fen >= 0 AND seller_fee_fen >= 0", name="trade_amounts"
        ),
        CheckConstraint("taker IN ('buy','sell','auction','block')", name="trade_taker"),
        Index("trade_by_day", "instrument_id", "day"),
        Index("trade_buyer", "buyer_id", "instrument_id"),
        Index("trade_seller", "seller_id", "instrument_id"),
    )
    instrument_id: str = Field(primary_key=True, foreign_key="instrument.id")
    seq: int = Field(primary_key=True, sa_type=Int64)
    number: int = Field(primary_key=True, sa_type=Int64)
    day: date = Field(sa_type=Date)
    buyer_id: str = Field(foreign_key="organisation.id")
    seller_id: str = Field(foreign_key="organisation.id")
    buy_order_id: str | None = Field(foreign_key="book_order.id")
    sell_order_id: str | None = Field(foreign_key="book_order.id")
    price_fen: int = Field(sa_type=Int64)
    lots: int = Field(sa_type=Int64)
    buyer_fee_fen: int = Field(sa_type=Int64)
    seller_fee_fen: int = Field(sa_type=Int64)
    taker: str
    entry_id: int = Field(sa_type=Int64, foreign_key="entry.id")
    at: datetime = Field(sa_type=UtcDateTime)


class DayCloseRow(SQLModel, table=True):
    """The close of an instrument's day: the volume-weighted average of its listed trades, or the previous close."""

    __tablename__: ClassVar[str] = "day_close"
    __table_args__ = (CheckConstraint("close_fen > 0 AND lots >= 0 AND traded_fen >= 0", name="day_close_amounts"),)
    instrument_id: str = Field(primary_key=True, foreign_key="instrument.id")
    day: date = Field(primary_key=True, sa_type=Date)
    close_fen: int = Field(sa_type=Int64)
    lots: int = Field(sa_type=Int64)
    traded_fen: int = Field(sa_type=Int64)
    seq: int = Field(sa_type=Int64)


class BlockReportRow(SQLModel, table=True):
    """A bilateral trade that one side has reported and the other has not confirmed yet."""

    __tablename__: ClassVar[str] = "block_report"
    __table_args__ = (
        CheckConstraint("buyer_id <> seller_id AND lots > 0 AND price_fen > 0", name="block_report_terms"),
        CheckConstraint("state IN ('open','settled','withdrawn')", name="block_report_state"),
        CheckConstraint("(state = 'settled') = (seq IS NOT NULL)", name="block_report_settled"),
    )
    id: str = Field(primary_key=True)
    instrument_id: str = Field(foreign_key="instrument.id", index=True)
    buyer_id: str = Field(foreign_key="organisation.id")
    seller_id: str = Field(foreign_key="organisation.id")
    price_fen: int = Field(sa_type=Int64)
    lots: int = Field(sa_type=Int64)
    reported_by: str = Field(foreign_key="organisation.id")
    reported_at: datetime = Field(sa_type=UtcDateTime)
    day: date = Field(sa_type=Date)
    state: str
    seq: int | None = Field(sa_type=Int64)
