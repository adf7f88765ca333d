"""Listed offers, bilateral deals, requests for quotes, auctions and their bids. Terms are JSON, what is searched or
constrained stands beside them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, UtcDateTime


class ListingRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "listing"
    __table_args__ = (
        CheckConstraint("left_kg BETWEEN 0 AND quantity_kg AND quantity_kg > 0", name="listing_quantity"),
        CheckConstraint("state IN ('open','sold','withdrawn','expired')", name="listing_state"),
        CheckConstraint("(state = 'sold') = (left_kg = 0)", name="listing_sold"),
    )
    id: str = Field(primary_key=True)
    seller_id: str = Field(foreign_key="organisation.id", index=True)
    asset: str = Field(index=True)
    quantity_kg: int = Field(sa_type=Int64)
    left_kg: int = Field(sa_type=Int64)
    state: str = Field(index=True)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    record: dict[str, Any] = Field(sa_type=JSON)


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
    record: dict[str, Any] = Field(sa_type=JSON)
    entry_id: int | None = Field(default=None, sa_type=Int64, foreign_key="entry.id")


class QuoteRequestRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "quote_request"
    __table_args__ = (CheckConstraint("state IN ('open','dealt','withdrawn','expired')", name="quote_request_state"),)
    id: str = Field(primary_key=True)
    requester_id: str = Field(foreign_key="organisation.id", index=True)
    state: str
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


class AuctionRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "auction"
    __table_args__ = (
        CheckConstraint("state IN ('running','awarded','unsold','withdrawn','done')", name="auction_state"),
        CheckConstraint("left_kg >= 0", name="auction_left"),
    )
    id: str = Field(primary_key=True)
    seller_id: str = Field(foreign_key="organisation.id", index=True)
    asset: str
    state: str = Field(index=True)
    closes_at: datetime = Field(sa_type=UtcDateTime)
    left_kg: int = Field(sa_type=Int64)
    terms: dict[str, Any] = Field(sa_type=JSON)


class BidRow(SQLModel, table=True):
    """An open bid has a price at once; a sealed one has a commitment, and a price when it is revealed."""

    __tablename__: ClassVar[str] = "bid"
    __table_args__ = (
        UniqueConstraint("auction_id", "seq", name="bid_sequence"),
        CheckConstraint("price_fen IS NOT NULL OR commitment IS NOT NULL", name="bid_content"),
        CheckConstraint("price_fen IS NULL OR price_fen > 0", name="bid_price"),
        CheckConstraint("deposit_fen >= 0", name="bid_deposit"),
    )
    id: str = Field(primary_key=True)
    auction_id: str = Field(foreign_key="auction.id")
    seq: int
    bidder_id: str = Field(foreign_key="organisation.id", index=True)
    quantity_kg: int = Field(sa_type=Int64)
    price_fen: int | None = Field(default=None, sa_type=Int64)
    commitment: str | None = None
    deposit_fen: int = Field(sa_type=Int64)
    placed_at: datetime = Field(sa_type=UtcDateTime)
    revealed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class AwardRow(SQLModel, table=True):
    """A winner's contract: signed by both, then paid in time, or its deposit is the seller's."""

    __tablename__: ClassVar[str] = "award"
    __table_args__ = (
        CheckConstraint("state IN ('contract','signed','paid','defaulted')", name="award_state"),
        CheckConstraint("(state = 'paid') = (entry_id IS NOT NULL)", name="award_paid"),
        CheckConstraint("quantity_kg > 0 AND price_fen > 0", name="award_positive"),
    )
    id: str = Field(primary_key=True)
    auction_id: str = Field(foreign_key="auction.id", index=True)
    bidder_id: str = Field(foreign_key="organisation.id", index=True)
    quantity_kg: int = Field(sa_type=Int64)
    price_fen: int = Field(sa_type=Int64)
    state: str
    due_at: datetime = Field(sa_type=UtcDateTime)
    signatures: list[Any] = Field(sa_type=JSON)
    entry_id: int | None = Field(default=None, sa_type=Int64, foreign_key="entry.id")
