"""Listings, bilateral deals and requests for quotes as they are answered over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import Field

from credit_api.credits.schemas import CertificateOut
from credit_api.http.fields import ResponseModel
from credit_api.lending.schemas import WaterfallOut
from financing.lending.collateral.disposing import Purchase
from financing.market.fees import Quote
from financing.market.over_the_counter.deals import Deal, Listing, QuoteGiven, QuoteRequest
from financing.market.over_the_counter.store import OtcTrade


class PricedOut(ResponseModel):
    """What a seller lets go, how much of it, and at which price."""

    seller_id: str
    asset: str
    quantity_kg: int
    price_fen_per_tonne: int


class SaleOut(PricedOut):
    """What a seller lets a buyer it knows have."""

    buyer_id: str


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


class ListingOut(PricedOut):
    listing_id: str
    buyer_id: str | None = Field(description="the only one who can buy; anyone if null")
    pledge_id: str | None = Field(description="of collateral that a lender sells: its credits stay under the pledge")
    left_kg: int
    listed_at: datetime
    expires_at: datetime
    state: str

    @classmethod
    def of(cls, listing: Listing, at: datetime) -> Self:
        return cls(
            listing_id=listing.listing_id,
            seller_id=listing.seller,
            buyer_id=listing.buyer,
            pledge_id=listing.pledge_id,
            asset=listing.asset,
            quantity_kg=listing.quantity.kg,
            left_kg=listing.left.kg,
            price_fen_per_tonne=listing.price.amount,
            listed_at=listing.listed_at,
            expires_at=listing.expires_at,
            state=listing.state_at(at),
        )


class PurchaseOut(ResponseModel):
    listing: ListingOut
    fees: FeesOut
    entry_id: int
    certificate: CertificateOut | None
    waterfall: WaterfallOut | None = Field(description="only when a lender sold collateral")

    @classmethod
    def of(cls, purchase: Purchase, at: datetime) -> Self:
        bought = purchase.bought
        return cls(
            listing=ListingOut.of(bought.listing, at),
            fees=FeesOut.of(bought.amounts),
            entry_id=bought.entry_id,
            certificate=CertificateOut.of(bought.retirement) if bought.retirement else None,
            waterfall=WaterfallOut.of(purchase.waterfall) if purchase.waterfall else None,
        )


class DealOut(SaleOut):
    deal_id: str
    proposer_id: str
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


class OtcTradeOut(SaleOut):
    entry_id: int
    channel: str
    at: datetime

    @classmethod
    def of(cls, trade: OtcTrade) -> Self:
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
