"""Deposits, prices, marks and over-the-counter offers."""

from __future__ import annotations

from fastapi import APIRouter, Response

from credit_api.credits.schemas import BalanceOut
from credit_api.http.callers import CallDep, PartsDep, PrincipalDep
from credit_api.http.fields import Id
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.prices.schemas import (
    MarkOut,
    OfferOut,
    PriceOut,
    PriceRecordedOut,
    SettlementOut,
)
from financing.ledger.deposits import Deposit, deposit
from financing.lending.business_day.pricing import RecordPrice, record_price
from financing.lending.collateral.disposing import accept_offer
from financing.lending.unit import UnitOfWork
from financing.market.over_the_counter.offering import (
    MakeOffer,
    expire_offer,
    make_offer,
    withdraw_offer,
)
from financing.valuation.marks import marks_of

router = APIRouter(prefix="/v1", tags=["market"], responses=PROBLEMS)


@router.post("/deposits", status_code=201, response_model=BalanceOut)
async def add_deposit(body: Deposit, call: CallDep) -> Response:
    """Credit money that reached the exchange's settlement account to a participant."""
    return await call.commit(deposit.given(body), answer=BalanceOut.of)


@router.post("/prices", status_code=201, response_model=PriceRecordedOut)
async def add_price(body: RecordPrice, call: CallDep) -> Response:
    """Record a price, as the exchange. Every active loan is looked at again in the same commit."""
    return await call.commit(record_price.given(body), answer=PriceRecordedOut.of)


@router.get("/prices")
def list_prices(parts: PartsDep, principal: PrincipalDep, paging: PagingDep, asset_class: Id) -> list[PriceOut]:
    """Price observations of a class, newest first."""
    with parts.reading() as connection:
        seen = UnitOfWork(connection).market.observations(asset_class, paging.window)
    return paging.answers(seen, PriceOut.of)


@router.get("/marks/{asset_class}")
def show_mark(asset_class: Id, parts: PartsDep, principal: PrincipalDep) -> MarkOut:
    """The mark of a class now: a price, or why there is none."""
    with parts.reading() as connection:
        marks = marks_of(UnitOfWork(connection), parts.parameters, [asset_class], parts.clock())
    return MarkOut.of(marks[asset_class])


@router.post("/offers", status_code=201, response_model=OfferOut)
async def add_offer(body: MakeOffer, call: CallDep) -> Response:
    """Offer credits of the caller's holding to one buyer; they are set aside until the offer ends."""
    at = call.parts.clock()
    return await call.commit(make_offer.given(body), answer=lambda stored: OfferOut.of(stored, at))


@router.get("/offers")
def list_offers(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[OfferOut]:
    """Offers that the caller made or received, newest first."""
    at = parts.clock()
    with parts.reading() as connection:
        offers = UnitOfWork(connection).market.offers(principal.organisation_id, paging.window)
    return paging.answers(offers, lambda stored: OfferOut.of(stored, at))


@router.post("/offers/{offer_id}/acceptance", response_model=SettlementOut)
async def accept(offer_id: Id, call: CallDep) -> Response:
    """Accept as the named buyer: credits and money change hands in one entry, or nothing does."""
    at = call.parts.clock()
    return await call.commit(accept_offer.given(offer_id), answer=lambda done: SettlementOut.of(done, at), status=200)


@router.post("/offers/{offer_id}/withdrawal", response_model=OfferOut)
async def withdraw(offer_id: Id, call: CallDep) -> Response:
    """Take an open offer back, as its seller."""
    at = call.parts.clock()
    return await call.commit(withdraw_offer.given(offer_id), answer=lambda stored: OfferOut.of(stored, at), status=200)


@router.post("/offers/{offer_id}/expiry", response_model=OfferOut)
async def end_offer(offer_id: Id, call: CallDep) -> Response:
    """End an offer that has lapsed, as either party, so that its credits are free again."""
    at = call.parts.clock()
    return await call.commit(expire_offer.given(offer_id), answer=lambda stored: OfferOut.of(stored, at), status=200)
