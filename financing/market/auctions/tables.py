"""Auctions, bids and winners' contracts."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, UtcDateTime


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


class DisposalAuctionRow(SQLModel, table=True):
    """An auction in which a lender sells pledged credits: the proceeds go through the loan's waterfall."""

    __tablename__: ClassVar[str] = "disposal_auction"
    auction_id: str = Field(primary_key=True, foreign_key="auction.id")
    pledge_id: str = Field(foreign_key="pledge.id")
    loan_id: str = Field(foreign_key="loan.id", index=True)
    opened_at: datetime = Field(sa_type=UtcDateTime)
