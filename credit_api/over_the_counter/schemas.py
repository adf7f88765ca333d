"""Listings, bilateral deals, requests for quotes and auctions over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from credit_api.credits.schemas import CertificateOut
from credit_api.http.fields import (
    FenPerTonne,
    Id,
    Kg,
    Moment,
    RequestModel,
    ResponseModel,
    Text,
)
from financing.market.auctions.contracts import contract_document
from financing.market.auctions.store import Auction, Contract, StoredBid
from financing.market.auctions.terms import Format, dutch_price
from financing.market.fees import Quote
from financing.market.over_the_counter.commands import Bought
from financing.market.over_the_counter.deals import (
    Deal,
    Listing,
    QuoteGiven,
    QuoteRequest,
)
from financing.market.over_the_counter.store import Trade

AssetCode = Annotated[str, Field(pattern=r"^(PHCER|PKG):[A-Za-z0-9_-]{1,64}$", description="credits or package units")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class FeesOut(ResponseModel):
    """What a trade costs each side: shown before it is made."""

    amount_fen: int
    buyer_fee_fen: int
    seller_fee_fen: int
    buyer_pays_fen: int
    seller_gets_fen: int

    @classmethod
    def of(cls, quote: Quote) -> Self:
        return cls(
            amount_fen=quote.amount.fen,
            buyer_fee_fen=quote.buyer_fee.fen,
            seller_fee_fen=quote.seller_fee.fen,
            buyer_pays_fen=quote.buyer_pays.fen,
            seller_gets_fen=quote.seller_gets.fen,
        )


class ListingIn(RequestModel):
    asset: AssetCode
    quantity_kg: Kg
    price_fen_per_tonne: FenPerTonne
    expires_at: Moment


class ListingOut(ResponseModel):
    listing_id: str
    seller_id: str
    asset: str
    quantity_kg: int
    left_kg: int
    price_fen_per_tonne: int
    listed_at: datetime
    expires_at: datetime
    state: str

    @classmethod
    def of(cls, listing: Listing, at: datetime) -> Self:
        return cls(
            listing_id=listing.listing_id,
            seller_id=listing.seller,
            asset=listing.asset,
            quantity_kg=listing.quantity.kg,
            left_kg=listing.left.kg,
            price_fen_per_tonne=listing.price.amount,
            listed_at=listing.listed_at,
            expires_at=listing.expires_at,
            state=listing.state_at(at),
        )


class RetireForIn(RequestModel):
    beneficiary: Text
    purpose: Text


class PurchaseIn(RequestModel):
    """With `retire_for` the credits are retired for the beneficiary in the same ledger entry."""

    quantity_kg: Kg
    retire_for: RetireForIn | None = None


class PurchaseOut(ResponseModel):
    listing: ListingOut
    fees: FeesOut
    entry_id: int
    certificate: CertificateOut | None

    @classmethod
    def of(cls, bought: Bought, at: datetime) -> Self:
        return cls(
            listing=ListingOut.of(bought.listing, at),
            fees=FeesOut.of(bought.amounts),
            entry_id=bought.entry_id,
            certificate=CertificateOut.of(bought.retirement) if bought.retirement else None,
        )


class DealIn(RequestModel):
    """A sale with one counterparty; `side` is the proposer's."""

    counterparty_id: Id
    side: Literal["buy", "sell"]
    asset: AssetCode
    quantity_kg: Kg
    price_fen_per_tonne: FenPerTonne
    expires_at: Moment


class DealOut(ResponseModel):
    deal_id: str
    proposer_id: str
    seller_id: str
    buyer_id: str
    asset: str
    quantity_kg: int
    price_fen_per_tonne: int
    expires_at: datetime
    state: str
    document: dict[str, Any] = Field(description="what both sides sign, as canonical JSON")
    signed_by: list[str]

    @classmethod
    def of(cls, deal: Deal, at: datetime) -> Self:
        return cls(
            deal_id=deal.deal_id,
            proposer_id=deal.proposer,
            seller_id=deal.seller,
            buyer_id=deal.buyer,
            asset=deal.asset,
            quantity_kg=deal.quantity.kg,
            price_fen_per_tonne=deal.price.amount,
            expires_at=deal.expires_at,
            state=deal.state_at(at),
            document=deal.document(),
            signed_by=[each.signer_id for each in deal.signatures],
        )


class QuoteRequestIn(RequestModel):
    """`wanted`: an asset class when buying (any credits of it), one asset when selling."""

    side: Literal["buy", "sell"]
    wanted: Id
    quantity_kg: Kg
    expires_at: Moment


class QuoteRequestOut(ResponseModel):
    request_id: str
    requester_id: str
    side: str
    wanted: str
    quantity_kg: int
    expires_at: datetime
    state: str

    @classmethod
    def of(cls, request: QuoteRequest, at: datetime) -> Self:
        return cls(
            request_id=request.request_id,
            requester_id=request.requester,
            side=request.side,
            wanted=request.wanted,
            quantity_kg=request.quantity.kg,
            expires_at=request.expires_at,
            state=request.state_at(at),
        )


class QuoteIn(RequestModel):
    asset: AssetCode
    price_fen_per_tonne: FenPerTonne
    expires_at: Moment


class QuoteOut(ResponseModel):
    quote_id: str
    request_id: str
    maker_id: str
    asset: str
    quantity_kg: int
    price_fen_per_tonne: int
    expires_at: datetime
    state: str

    @classmethod
    def of(cls, given: QuoteGiven, at: datetime) -> Self:
        return cls(
            quote_id=given.quote_id,
            request_id=given.request_id,
            maker_id=given.maker,
            asset=given.asset,
            quantity_kg=given.quantity.kg,
            price_fen_per_tonne=given.price.amount,
            expires_at=given.expires_at,
            state=given.state_at(at),
        )


class TradeOut(ResponseModel):
    entry_id: int
    asset: str
    seller_id: str
    buyer_id: str
    quantity_kg: int
    price_fen_per_tonne: int
    channel: str
    at: datetime

    @classmethod
    def of(cls, trade: Trade) -> Self:
        return cls(
            entry_id=trade.entry_id,
            asset=trade.asset,
            seller_id=trade.seller,
            buyer_id=trade.buyer,
            quantity_kg=trade.quantity.kg,
            price_fen_per_tonne=trade.price.amount,
            channel=trade.channel,
            at=trade.at,
        )


class AuctionIn(RequestModel):
    """`start` and `increment`: lowest first bid and raise (English), or first price and fall (Dutch)."""

    asset: AssetCode
    quantity_kg: Kg
    format: Format
    reserve_fen_per_tonne: FenPerTonne
    increment_fen_per_tonne: FenPerTonne = 10
    start_fen_per_tonne: FenPerTonne
    step_seconds: int = Field(default=60, strict=True, ge=1, le=86_400)
    opens_at: Moment
    closes_at: Moment
    reveal_until: Moment | None = None


class BidOut(ResponseModel):
    """A sealed bid shows its price once it is revealed."""

    seq: int
    bidder_id: str
    quantity_kg: int
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


class ContractOut(ResponseModel):
    contract_id: str
    auction_id: str
    bidder_id: str
    quantity_kg: int
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


class AuctionOut(ResponseModel):
    """An auction as anyone may see it. The reserve is the seller's until the auction is over."""

    auction_id: str
    seller_id: str
    asset: str
    quantity_kg: int
    left_kg: int
    format: str
    state: str
    opens_at: datetime
    closes_at: datetime
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
            format=terms.format.value,
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


class BidIn(RequestModel):
    price_fen_per_tonne: FenPerTonne


class CommitmentIn(RequestModel):
    """`quantity_kg` is the most that the sealed bid may be for: the deposit is on it."""

    quantity_kg: Kg
    commitment: Sha256


class RevealIn(RequestModel):
    price_fen_per_tonne: FenPerTonne
    quantity_kg: Kg
    nonce: str = Field(min_length=16, max_length=200, pattern=r"^[\x21-\x7e]+$")


class TakeIn(RequestModel):
    """Take at the asking price if it is at most `price_max_fen_per_tonne`."""

    quantity_kg: Kg
    price_max_fen_per_tonne: FenPerTonne
