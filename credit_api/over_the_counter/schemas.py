"""Listings, bilateral deals and requests for quotes as they are answered over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Self

from pydantic import Field

from credit_api.credits.schemas import CertificateOut
from credit_api.http.fields import ResponseModel, read
from credit_api.lending.schemas import WaterfallOut
from financing.lending.collateral.disposing import Purchase
from financing.market.over_the_counter.deals import Deal, Listing, QuoteGiven, QuoteRequest


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


class OfferOut(ResponseModel):
    """An offer that stands for a time: how it stands depends on when it is looked at."""

    @classmethod
    def at(cls, moment: datetime) -> Callable[[Listing | QuoteRequest | QuoteGiven], Self]:
        """What shows an offer as it stands at this moment."""
        return lambda offer: cls.joined(offer, state=offer.state_at(moment))


class ListingOut(PricedOut, OfferOut):
    listing_id: str
    buyer_id: str | None = Field(description="the only one who can buy; anyone if null")
    pledge_id: str | None = Field(description="of collateral that a lender sells: its credits stay under the pledge")
    left_kg: int
    listed_at: datetime
    expires_at: datetime
    state: str


class PurchaseOut(ResponseModel):
    listing: ListingOut
    fees: FeesOut = read("amounts")
    entry_id: int
    certificate: CertificateOut | None = read("retirement")
    waterfall: WaterfallOut | None = Field(description="only when a lender sold collateral")

    @classmethod
    def at(cls, moment: datetime) -> Callable[[Purchase], Self]:
        listed = ListingOut.at(moment)
        return lambda purchase: cls.joined(purchase, purchase.bought, listing=listed(purchase.bought.listing))


class DealOut(SaleOut):
    deal_id: str
    proposer_id: str
    expires_at: datetime
    state: str
    document: dict[str, Any] = Field(description="what both sides sign, as canonical JSON")
    signed_by: list[str]

    @classmethod
    def at(cls, moment: datetime) -> Callable[[Deal], Self]:
        return lambda deal: cls.joined(
            deal,
            state=deal.state_at(moment),
            document=deal.document(),
            signed_by=[each.signer_id for each in deal.signatures],
        )


class QuoteRequestOut(OfferOut):
    request_id: str
    requester_id: str
    side: str
    wanted: str
    quantity_kg: int
    expires_at: datetime
    state: str


class QuoteOut(OfferOut):
    quote_id: str
    request_id: str
    maker_id: str
    asset: str
    quantity_kg: int
    price_fen_per_tonne: int
    expires_at: datetime
    state: str


class OtcTradeOut(SaleOut):
    entry_id: int
    channel: str
    at: datetime
