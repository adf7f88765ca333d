"""Listings, deals, requests for quotes and the trades they led to."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, UtcDateTime


class ListingRow(SQLModel, table=True):
    """`buyer_id` is set when it is addressed; `pledge_id` when a lender sells collateral, who is the seller then."""

    __tablename__: ClassVar[str] = "listing"
    __table_args__ = (
        CheckConstraint("left_kg BETWEEN 0 AND quantity_kg AND quantity_kg > 0", name="listing_quantity"),
        CheckConstraint("state IN ('open','sold','withdrawn','expired')", name="listing_state"),
        CheckConstraint("(state = 'sold') = (left_kg = 0)", name="listing_sold"),
        CheckConstraint("buyer_id <> seller_id", name="listing_parties"),
    )
    id: str = Field(primary_key=True)
    seller_id: str = Field(foreign_key="organisation.id", index=True)
    asset: str = Field(index=True)
    quantity_kg: int = Field(sa_type=Int64)
    left_kg: int = Field(sa_type=Int64)
    state: str = Field(index=True)
    listed_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    record: dict[str, Any] = Field(sa_type=JSON)
    buyer_id: str | None = Field(default=None, foreign_key="organisation.id", index=True)
    pledge_id: str | None = Field(default=None, foreign_key="pledge.id", index=True)


class DealRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "deal"
    __table_args__ = (
        CheckConstraint("state IN ('proposed','settled','declined','expired')", name="deal_state"),
        CheckConstraint("(state = 'settled') = (entry_id IS NOT NULL)", name="deal_settled"),
    )
    id: str = Field(primary_key=True)
    seller_id: str = Field(foreign_key="organisation.id", index=True)
    buyer_id: str = Field(foreign_key="organisation.id", index=True)
    state: str
    proposed_at: datetime = Field(sa_type=UtcDateTime)
    record: dict[str, Any] = Field(sa_type=JSON)
    entry_id: int | None = Field(default=None, sa_type=Int64, foreign_key="entry.id")


class QuoteRequestRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "quote_request"
    __table_args__ = (CheckConstraint("state IN ('open','dealt','withdrawn','expired')", name="quote_request_state"),)
    id: str = Field(primary_key=True)
    requester_id: str = Field(foreign_key="organisation.id", index=True)
    state: str
    requested_at: datetime = Field(sa_type=UtcDateTime)
    record: dict[str, Any] = Field(sa_type=JSON)


class QuoteRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "quote"
    __table_args__ = (
        CheckConstraint("state IN ('open','taken','lapsed','expired')", name="quote_state"),
        CheckConstraint("(state = 'taken') = (entry_id IS NOT NULL)", name="quote_taken"),
    )
    id: str = Field(primary_key=True)
    request_id: str = Field(foreign_key="quote_request.id", index=True)
    maker_id: str = Field(foreign_key="organisation.id", index=True)
    state: str
    quoted_at: datetime = Field(sa_type=UtcDateTime)
    record: dict[str, Any] = Field(sa_type=JSON)
    entry_id: int | None = Field(default=None, sa_type=Int64, foreign_key="entry.id")


class OtcTradeRow(SQLModel, table=True):
    """What changed hands over the counter or at auction: the price history beside the order book's."""

    __tablename__: ClassVar[str] = "otc_trade"
    __table_args__ = (CheckConstraint("quantity_kg > 0 AND fen_per_tonne > 0", name="otc_trade_positive"),)
    entry_id: int = Field(primary_key=True, sa_type=Int64, foreign_key="entry.id")
    asset: str = Field(index=True)
    seller_id: str = Field(foreign_key="organisation.id")
    buyer_id: str = Field(foreign_key="organisation.id")
    quantity_kg: int = Field(sa_type=Int64)
    fen_per_tonne: int = Field(sa_type=Int64)
    channel: str
    at: datetime = Field(sa_type=UtcDateTime)
