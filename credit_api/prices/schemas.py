"""Prices, marks and offers over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import Field

from credit_api.http.fields import ResponseModel
from financing.lending.business_day.pricing import PriceRecorded
from financing.lending.collateral.disposal import Waterfall
from financing.lending.collateral.disposing import Accepted
from financing.market.over_the_counter.offers import state_at
from financing.market.prices.model import Mark, Marked, PriceObservation
from financing.market.prices.store import StoredOffer


class PriceOut(ResponseModel):
    asset_class: str
    price_fen_per_tonne: int
    observed_at: datetime
    source: str
    confirmed: bool

    @classmethod
    def of(cls, seen: PriceObservation) -> Self:
        return cls(
            asset_class=seen.asset_class,
            price_fen_per_tonne=seen.price.amount,
            observed_at=seen.observed_at,
            source=seen.source,
            confirmed=seen.confirmed,
        )


class MarkOut(ResponseModel):
    """A class's mark: a price, or the reason why there is none. An unpriced class has no value, not a value of zero."""

    asset_class: str
    priced: bool
    price_fen_per_tonne: int | None
    observed_at: datetime | None
    unpriced_reason: str | None

    @classmethod
    def of(cls, found: Mark) -> Self:
        if isinstance(found, Marked):
            return cls(
                asset_class=found.asset_class,
                priced=True,
                price_fen_per_tonne=found.price.amount,
                observed_at=found.observed_at,
                unpriced_reason=None,
            )
        return cls(
            asset_class=found.asset_class,
            priced=False,
            price_fen_per_tonne=None,
            observed_at=found.last_observed_at,
            unpriced_reason=found.reason,
        )


class PricedOut(ResponseModel):
    """What a seller lets go, how much of it, and at which price."""

    seller_id: str
    asset: str
    quantity_kg: int
    price_fen_per_tonne: int


class SaleOut(PricedOut):
    """What a seller lets a buyer it knows have."""

    buyer_id: str


class OfferOut(SaleOut):
    offer_id: str
    amount_fen: int
    state: str
    offered_at: datetime
    expires_at: datetime
    pledge_id: str | None
    entry_id: int | None

    @classmethod
    def of(cls, stored: StoredOffer, at: datetime) -> Self:
        offer = stored.offer
        return cls(
            offer_id=offer.offer_id,
            seller_id=offer.seller,
            buyer_id=offer.buyer,
            asset=offer.asset,
            quantity_kg=offer.quantity.kg,
            price_fen_per_tonne=offer.price.amount,
            amount_fen=offer.settlement().amount.fen,
            state=state_at(offer, at).value,
            offered_at=offer.offered_at,
            expires_at=offer.expires_at,
            pledge_id=stored.pledge_id,
            entry_id=stored.entry_id,
        )


class WaterfallOut(ResponseModel):
    """Where the proceeds of a disposal went; the parts add up to the proceeds."""

    proceeds_fen: int
    costs_fen: int
    penal_fen: int
    interest_fen: int
    principal_fen: int
    surplus_fen: int
    unpaid_debt_fen: int

    @classmethod
    def of(cls, flow: Waterfall) -> Self:
        return cls(
            proceeds_fen=flow.proceeds.fen,
            costs_fen=flow.costs.fen,
            penal_fen=flow.penal.fen,
            interest_fen=flow.interest.fen,
            principal_fen=flow.principal.fen,
            surplus_fen=flow.surplus.fen,
            unpaid_debt_fen=flow.bad_debt.fen,
        )


class SettlementOut(ResponseModel):
    offer: OfferOut
    waterfall: WaterfallOut | None = Field(description="only when a lender sold collateral")

    @classmethod
    def of(cls, done: Accepted, at: datetime) -> Self:
        flow = WaterfallOut.of(done.waterfall) if done.waterfall else None
        return cls(offer=OfferOut.of(done.offer, at), waterfall=flow)


class PriceRecordedOut(ResponseModel):
    """The admitted price. Loans are looked at again in the same commit; whose they are stays with their parties."""

    price: PriceOut
    loans_revalued: int

    @classmethod
    def of(cls, done: PriceRecorded) -> Self:
        return cls(price=PriceOut.of(done.observation), loans_revalued=done.revalued.loans)
