"""Auctions, bids and contracts as they are answered over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import Field

from credit_api.http.fields import ResponseModel
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

    @classmethod
    def of(cls, bid: StoredBid) -> Self:
        return cls(
            seq=bid.seq,
            bidder_id=bid.bidder,
            quantity_kg=bid.quantity.kg,
            price_fen_per_tonne=bid.price.amount if bid.price else None,
            commitment=bid.commitment,
            deposit_fen=bid.deposit.fen,
            placed_at=bid.placed_at,
            revealed_at=bid.revealed_at,
        )


class ContractOut(BidderOut):
    contract_id: str
    auction_id: str
    price_fen_per_tonne: int
    state: str
    due_at: datetime
    document: dict[str, Any]
    signed_by: list[str]

    @classmethod
    def of(cls, contract: Contract, auction: Auction) -> Self:
        return cls(
            contract_id=contract.award_id,
            auction_id=contract.auction_id,
            bidder_id=contract.bidder,
            quantity_kg=contract.quantity.kg,
            price_fen_per_tonne=contract.price.amount,
            state=contract.state,
            due_at=contract.due_at,
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
    def of(
        cls, auction: Auction, bids: list[StoredBid], contracts: list[Contract], at: datetime, viewer: str | None
    ) -> Self:
        terms = auction.terms
        shown = auction.state != "running" or viewer == terms.seller or terms.format is Format.DUTCH
        asking = dutch_price(terms, at).amount if terms.format is Format.DUTCH else None
        return cls(
            auction_id=terms.auction_id,
            seller_id=terms.seller,
            asset=terms.asset,
            quantity_kg=terms.quantity.kg,
            left_kg=auction.left.kg,
            format=terms.format,
            state=auction.state,
            opens_at=terms.opens_at,
            closes_at=auction.closes_at,
            reveal_until=terms.reveal_until,
            start_fen_per_tonne=terms.start.amount,
            increment_fen_per_tonne=terms.increment.amount,
            asking_fen_per_tonne=asking,
            reserve_fen_per_tonne=terms.reserve.amount if shown else None,
            deposit_fen=terms.deposit_for(terms.quantity).fen,
            bids=[BidOut.of(bid) for bid in bids],
            contracts=[ContractOut.of(each, auction) for each in contracts],
        )
