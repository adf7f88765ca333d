"""Trade beside the order book: fees, listings, bilateral deals, requests for quotes."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from credit_api.http.callers import CallDep, PartsDep, PrincipalDep
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from credit_api.over_the_counter.schemas import (
    DealOut,
    FeesOut,
    ListingOut,
    OtcTradeOut,
    PurchaseOut,
    QuoteOut,
    QuoteRequestOut,
)
from financing.base.commands import UNSIGNED, Id, Signed
from financing.base.quantities import INT64_MAX, Carbon, Price
from financing.lending.collateral.disposing import buy_any
from financing.lending.unit import UnitOfWork
from financing.market.delivery import rules_of
from financing.market.fees import quote
from financing.market.over_the_counter.commands import (
    AskForQuotes,
    BuyListing,
    GiveQuote,
    MakeListing,
    ProposeDeal,
    ask_for_quotes,
    end_deal,
    end_listing,
    end_quote,
    end_request,
    give_quote,
    make_listing,
    propose_deal,
    sign_deal,
    take_quote,
)

router = Router(prefix="/v1", tags=["trading"], responses=PROBLEMS)


@router.get("/fees")
def show_fees(
    parts: PartsDep,
    principal: PrincipalDep,
    quantity_kg: Annotated[int, Query(ge=1, le=INT64_MAX)],
    price_fen_per_tonne: Annotated[int, Query(ge=1, le=INT64_MAX)],
) -> FeesOut:
    """What a trade over the counter or at auction would cost each side, before it is made."""
    rules = rules_of(parts.context(principal))
    return FeesOut.of(quote(Carbon(quantity_kg), Price(price_fen_per_tonne), rules))


@router.post("/listings", status_code=201, response_model=ListingOut)
async def add_listing(body: MakeListing, call: CallDep) -> Response:
    """Offer credits or package units to anyone or to one named buyer; they go into escrow."""
    return await call.commit(make_listing.given(body), answer=ListingOut.at(call.parts.clock()))


@router.get("/listings")
def list_listings(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[ListingOut]:
    """Listings that can be taken now, with those that the caller addressed to a buyer or that are addressed to it."""
    at = parts.clock()
    with parts.reading() as connection:
        listings = UnitOfWork(connection).otc.open_listings(principal.organisation_id, at, paging.window)
    return paging.answers(listings, ListingOut.at(at))


@router.get("/listings/own")
def list_own_listings(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[ListingOut]:
    """Listings that the caller made or that are addressed to it, in every state."""
    with parts.reading() as connection:
        listings = UnitOfWork(connection).otc.listings_of(principal.organisation_id, paging.window)
    return paging.answers(listings, ListingOut.at(parts.clock()))


@router.post("/listings/{listing_id}/purchases", status_code=201, response_model=PurchaseOut)
async def buy(listing_id: Id, body: BuyListing, call: CallDep) -> Response:
    """Take part or all of a listing; with `retire_for` the credits are retired in the same entry. What a lender's
    collateral brings pays its loan at once, as `waterfall` says."""
    return await call.commit(buy_any.given(listing_id, body), answer=PurchaseOut.at(call.parts.clock()))


@router.post("/listings/{listing_id}/end", response_model=ListingOut)
async def stop_listing(listing_id: Id, call: CallDep) -> Response:
    """Take a listing back as its seller, or free the escrow of an expired one as anyone it is shown to."""
    return await call.commit(end_listing.given(listing_id), answer=ListingOut.at(call.parts.clock()), status=200)


@router.post("/deals", status_code=201, response_model=DealOut)
async def add_deal(body: ProposeDeal, call: CallDep) -> Response:
    """Draft a sale with one counterparty. Nothing is set aside before a side signs."""
    return await call.commit(propose_deal.given(body), answer=DealOut.at(call.parts.clock()))


@router.get("/deals")
def list_deals(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[DealOut]:
    """Deals of which the caller is a side."""
    with parts.reading() as connection:
        deals = UnitOfWork(connection).otc.deals_of(principal.organisation_id, paging.window)
    return paging.answers(deals, DealOut.at(parts.clock()))


@router.post("/deals/{deal_id}/signature", response_model=DealOut)
async def sign(deal_id: Id, call: CallDep, body: Signed = UNSIGNED) -> Response:
    """Sign as one side: what it owes goes into escrow, and the second signature settles."""
    given = sign_deal.given(deal_id, body)
    return await call.commit(given, answer=DealOut.at(call.parts.clock()), status=200)


@router.post("/deals/{deal_id}/end", response_model=DealOut)
async def decline(deal_id: Id, call: CallDep) -> Response:
    """Decline a deal, or end an expired one: both escrows return."""
    return await call.commit(end_deal.given(deal_id), answer=DealOut.at(call.parts.clock()), status=200)


@router.post("/quote-requests", status_code=201, response_model=QuoteRequestOut)
async def ask(body: AskForQuotes, call: CallDep) -> Response:
    """Ask everyone for firm prices."""
    return await call.commit(ask_for_quotes.given(body), answer=QuoteRequestOut.at(call.parts.clock()))


@router.get("/quote-requests")
def list_requests(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[QuoteRequestOut]:
    """Every request for quotes."""
    with parts.reading() as connection:
        requests = UnitOfWork(connection).otc.requests(paging.window)
    return paging.answers(requests, QuoteRequestOut.at(parts.clock()))


@router.post("/quote-requests/{request_id}/quotes", status_code=201, response_model=QuoteOut)
async def answer_request(request_id: Id, body: GiveQuote, call: CallDep) -> Response:
    """Answer with a firm price: what the maker would owe goes into escrow."""
    return await call.commit(give_quote.given(request_id, body), answer=QuoteOut.at(call.parts.clock()))


@router.get("/quote-requests/{request_id}/quotes")
def list_quotes(request_id: Id, parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[QuoteOut]:
    """Quotes on a request: all for its requester, the caller's own for others."""
    me, at = principal.organisation_id, parts.clock()
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        maker = None if unit.otc.request(request_id).requester == me else me
        quotes = unit.otc.quotes(request_id, maker=maker, window=paging.window)
    return paging.answers(quotes, QuoteOut.at(at))


@router.post("/quote-requests/{request_id}/end", response_model=QuoteRequestOut)
async def withdraw_request(request_id: Id, call: CallDep) -> Response:
    """Withdraw a request: every open quote lapses and its escrow returns."""
    return await call.commit(end_request.given(request_id), answer=QuoteRequestOut.at(call.parts.clock()), status=200)


@router.post("/quotes/{quote_id}/acceptance", response_model=QuoteOut)
async def take(quote_id: Id, call: CallDep) -> Response:
    """Take a quote as its requester: it settles at once, the others lapse."""
    return await call.commit(take_quote.given(quote_id), answer=QuoteOut.at(call.parts.clock()), status=200)


@router.post("/quotes/{quote_id}/end", response_model=QuoteOut)
async def take_back(quote_id: Id, call: CallDep) -> Response:
    """Take a quote back as its maker, or free the escrow of an expired one."""
    return await call.commit(end_quote.given(quote_id), answer=QuoteOut.at(call.parts.clock()), status=200)


@router.get("/otc-trades")
def list_trades(
    parts: PartsDep,
    principal: PrincipalDep,
    paging: PagingDep,
    asset: Annotated[str | None, Query(max_length=80)] = None,
) -> list[OtcTradeOut]:
    """What changed hands over the counter or at auction, newest first."""
    with parts.reading() as connection:
        trades = UnitOfWork(connection).otc.trades(asset=asset, window=paging.window)
    return paging.answers(trades, OtcTradeOut.of)
