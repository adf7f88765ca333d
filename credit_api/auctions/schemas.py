"""Auctions, bids and contracts as they are answered over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import Field

from credit_api.http.fields import ResponseModel, read
from financing.market.auctions.commands import AuctionCourse
from financing.market.auctions.contracts import contract_document
from financing.market.auctions.store import Auction, Contract, StoredBid
from financing.market.auctions.terms import Format, dutch_price


class BidderOut(ResponseModel):
    """Who bids, or has won, and for how much."""

    bidder_id: str
    quantity_kg: int


class BidOut(BidderOut):
    """A sealed bid shows its price once it is revealed."""

    seq: int
    price_fen_per_tonne: int | None
    commitment: str | None
    deposit_fen: int
    placed_at: datetime
    revealed_at: datetime | None


class ContractOut(BidderOut):
    contract_id: str = read("award_id")
    auction_id: str
    price_fen_per_tonne: int
    state: str
    due_at: datetime
    document: dict[str, Any]
    signed_by: list[str]

    @classmethod
    def of_auction(cls, contract: Contract, auction: Auction) -> Self:
        return cls.joined(
            contract,
            document=contract_document(auction.terms, contract),
            signed_by=[each.signer_id for each in contract.signatures],
        )


class AuctionOut(AuctionCourse, ResponseModel):
    """An auction as anyone may see it. The reserve is the seller's until the auction is over."""

    auction_id: str
    seller_id: str
    quantity_kg: int
    left_kg: int
    state: str
    reveal_until: datetime
    start_fen_per_tonne: int
    increment_fen_per_tonne: int
    asking_fen_per_tonne: int | None = Field(description="of a Dutch auction, now")
    reserve_fen_per_tonne: int | None
    deposit_fen: int = Field(description="for the whole quantity")
    bids: list[BidOut]
    contracts: list[ContractOut]

    @classmethod
    def shown(
        cls, auction: Auction, bids: list[StoredBid], contracts: list[Contract], at: datetime, viewer: str | None
    ) -> Self:
        terms = auction.terms
        shown = auction.state != "running" or viewer == terms.seller or terms.format is Format.DUTCH
        asking = dutch_price(terms, at) if terms.format is Format.DUTCH else None
        return cls.joined(
            auction,
            terms,
            asking=asking,
            reserve=terms.reserve if shown else None,
            deposit=terms.deposit_for(terms.quantity),
            bids=bids,
            contracts=[ContractOut.of_auction(each, auction) for each in contracts],
        )
