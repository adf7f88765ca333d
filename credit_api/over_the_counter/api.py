"""Trade beside the order book: fees, listings, bilateral deals, requests for quotes, auctions and their contracts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from credit_api.http.callers import PartsDep, PrincipalDep
from credit_api.http.commands import IdempotencyDep, commit
from credit_api.http.fields import Id
from credit_api.http.problems import PROBLEMS
from credit_api.over_the_counter.schemas import (
    AuctionIn,
    AuctionOut,
    BidIn,
    BidOut,
    CommitmentIn,
    ContractOut,
    DealIn,
    DealOut,
    FeesOut,
    ListingIn,
    ListingOut,
    PurchaseIn,
    PurchaseOut,
    QuoteIn,
    QuoteOut,
    QuoteRequestIn,
    QuoteRequestOut,
    RevealIn,
    TakeIn,
    TradeOut,
)
from financing.base.context import Context
from financing.base.quantities import INT64_MAX, Carbon, Price
from financing.lending.collateral.disposal_auction import close_any, take_asking_price, withdraw_any
from financing.lending.unit import UnitOfWork
from financing.market.auctions import commands as auctioning
from financing.market.auctions import contracts
from financing.market.auctions.store import Contract
from financing.market.delivery import rules_of
from financing.market.fees import quote
from financing.market.over_the_counter import commands as otc
from financing.registry.retirement.commands import Purpose

router = APIRouter(prefix="/v1", tags=["trading"], responses=PROBLEMS)


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
async def add_listing(
    body: ListingIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Offer credits or package units to anyone; they go into escrow."""

    def run(unit: UnitOfWork, context: Context) -> ListingOut:
        listing = otc.make_listing(
            unit,
            context,
            otc.MakeListing(body.asset, Carbon(body.quantity_kg), Price(body.price_fen_per_tonne), body.expires_at),
        )
        return ListingOut.of(listing, context.at)

    return await commit(parts, principal, key, request, body, run)


@router.get("/listings")
def list_listings(parts: PartsDep, principal: PrincipalDep) -> list[ListingOut]:
    """Listings that can be taken now: expired ones are not among them."""
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        return [ListingOut.of(each, parts.clock()) for each in unit.trading.open_listings(parts.clock())]


@router.get("/listings/own")
def list_own_listings(parts: PartsDep, principal: PrincipalDep) -> list[ListingOut]:
    """The caller's listings in every state."""
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        return [ListingOut.of(each, parts.clock()) for each in unit.trading.listings_of(principal.organisation_id)]


@router.post("/listings/{listing_id}/purchases", status_code=201, response_model=PurchaseOut)
async def buy(
    listing_id: Id, body: PurchaseIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Take part or all of a listing; with `retire_for` the credits are retired in the same entry."""

    def run(unit: UnitOfWork, context: Context) -> PurchaseOut:
        purpose = Purpose(body.retire_for.beneficiary, body.retire_for.purpose) if body.retire_for else None
        bought = otc.buy_listing(unit, context, listing_id, Carbon(body.quantity_kg), purpose)
        return PurchaseOut.of(bought, context.at)

    return await commit(parts, principal, key, request, body, run)


@router.post("/listings/{listing_id}/end", response_model=ListingOut)
async def end_listing(
    listing_id: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Take a listing back as its seller, or free the escrow of an expired one as anyone."""

    def run(unit: UnitOfWork, context: Context) -> ListingOut:
        return ListingOut.of(otc.end_listing(unit, context, listing_id), context.at)

    return await commit(parts, principal, key, request, None, run, status=200)


@router.post("/deals", status_code=201, response_model=DealOut)
async def add_deal(
    body: DealIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Draft a sale with one counterparty. Nothing is set aside before a side signs."""

    def run(unit: UnitOfWork, context: Context) -> DealOut:
        terms = otc.ProposeDeal(
            body.counterparty_id,
            body.side,
            body.asset,
            Carbon(body.quantity_kg),
            Price(body.price_fen_per_tonne),
            body.expires_at,
        )
        return DealOut.of(otc.propose_deal(unit, context, terms), context.at)

    return await commit(parts, principal, key, request, body, run)


@router.get("/deals")
def list_deals(parts: PartsDep, principal: PrincipalDep) -> list[DealOut]:
    """Deals of which the caller is a side."""
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        return [DealOut.of(each, parts.clock()) for each in unit.trading.deals_of(principal.organisation_id)]


@router.post("/deals/{deal_id}/signature", response_model=DealOut)
async def sign_deal(
    deal_id: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Sign as one side: what it owes goes into escrow, and the second signature settles."""

    def run(unit: UnitOfWork, context: Context) -> DealOut:
        return DealOut.of(otc.sign_deal(unit, context, deal_id), context.at)

    return await commit(parts, principal, key, request, None, run, status=200)


@router.post("/deals/{deal_id}/end", response_model=DealOut)
async def end_deal(
    deal_id: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Decline a deal, or end an expired one: both escrows return."""

    def run(unit: UnitOfWork, context: Context) -> DealOut:
        return DealOut.of(otc.end_deal(unit, context, deal_id), context.at)

    return await commit(parts, principal, key, request, None, run, status=200)


@router.post("/quote-requests", status_code=201, response_model=QuoteRequestOut)
async def ask(
    body: QuoteRequestIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Ask everyone for firm prices."""

    def run(unit: UnitOfWork, context: Context) -> QuoteRequestOut:
        asked = otc.AskForQuotes(body.side, body.wanted, Carbon(body.quantity_kg), body.expires_at)
        return QuoteRequestOut.of(otc.ask_for_quotes(unit, context, asked), context.at)

    return await commit(parts, principal, key, request, body, run)


@router.get("/quote-requests")
def list_requests(parts: PartsDep, principal: PrincipalDep) -> list[QuoteRequestOut]:
    """Every request for quotes."""
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        return [QuoteRequestOut.of(each, parts.clock()) for each in unit.trading.requests()]


@router.post("/quote-requests/{request_id}/quotes", status_code=201, response_model=QuoteOut)
async def give_quote(
    request_id: Id, body: QuoteIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Answer with a firm price: what the maker would owe goes into escrow."""

    def run(unit: UnitOfWork, context: Context) -> QuoteOut:
        given = otc.GiveQuote(request_id, body.asset, Price(body.price_fen_per_tonne), body.expires_at)
        return QuoteOut.of(otc.give_quote(unit, context, given), context.at)

    return await commit(parts, principal, key, request, body, run)


@router.get("/quote-requests/{request_id}/quotes")
def list_quotes(request_id: Id, parts: PartsDep, principal: PrincipalDep) -> list[QuoteOut]:
    """Quotes on a request: all for its requester, the caller's own for others."""
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        mine = unit.trading.request(request_id).requester == principal.organisation_id
        found = unit.trading.quotes(request_id)
    return [QuoteOut.of(each, parts.clock()) for each in found if mine or each.maker == principal.organisation_id]


@router.post("/quote-requests/{request_id}/end", response_model=QuoteRequestOut)
async def end_request(
    request_id: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Withdraw a request: every open quote lapses and its escrow returns."""

    def run(unit: UnitOfWork, context: Context) -> QuoteRequestOut:
        return QuoteRequestOut.of(otc.end_request(unit, context, request_id), context.at)

    return await commit(parts, principal, key, request, None, run, status=200)


@router.post("/quotes/{quote_id}/acceptance", response_model=QuoteOut)
async def take_quote(
    quote_id: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Take a quote as its requester: it settles at once, the others lapse."""

    def run(unit: UnitOfWork, context: Context) -> QuoteOut:
        return QuoteOut.of(otc.take_quote(unit, context, quote_id), context.at)

    return await commit(parts, principal, key, request, None, run, status=200)


@router.post("/quotes/{quote_id}/end", response_model=QuoteOut)
async def end_quote(
    quote_id: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Take a quote back as its maker, or free the escrow of an expired one."""

    def run(unit: UnitOfWork, context: Context) -> QuoteOut:
        return QuoteOut.of(otc.end_quote(unit, context, quote_id), context.at)

    return await commit(parts, principal, key, request, None, run, status=200)


@router.get("/otc-trades")
def list_trades(
    parts: PartsDep,
    principal: PrincipalDep,
    asset: Annotated[str | None, Query(max_length=80)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[TradeOut]:
    """What changed hands over the counter or at auction, newest first."""
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        return [TradeOut.of(each) for each in unit.trading.trades(asset=asset, limit=limit)]


def shown_auction(unit: UnitOfWork, context: Context, auction_id: str) -> AuctionOut:
    found = unit.auctions.get(auction_id)
    bids, awards = unit.auctions.bids(auction_id), unit.auctions.contracts(auction_id)
    return AuctionOut.of(found, bids, awards, context.at, context.actor.id)


def _contract(unit: UnitOfWork, contract: Contract) -> ContractOut:
    return ContractOut.of(contract, unit.auctions.get(contract.auction_id))


@router.post("/auctions", status_code=201, response_model=AuctionOut)
async def add_auction(
    body: AuctionIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Put credits or units up for auction; they go into escrow."""

    def run(unit: UnitOfWork, context: Context) -> AuctionOut:
        command = auctioning.OpenAuction(
            asset=body.asset,
            quantity=Carbon(body.quantity_kg),
            format=body.format,
            reserve=Price(body.reserve_fen_per_tonne),
            increment=Price(body.increment_fen_per_tonne),
            start=Price(body.start_fen_per_tonne),
            step_seconds=body.step_seconds,
            opens_at=body.opens_at,
            closes_at=body.closes_at,
            reveal_until=body.reveal_until,
        )
        return shown_auction(unit, context, auctioning.open_auction(unit, context, command).terms.auction_id)

    return await commit(parts, principal, key, request, body, run)


@router.get("/auctions")
def list_auctions(parts: PartsDep, principal: PrincipalDep) -> list[AuctionOut]:
    """Every auction, the latest end first."""
    context = parts.context(principal)
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        return [shown_auction(unit, context, each.terms.auction_id) for each in unit.auctions.all()]


@router.get("/auctions/{auction_id}")
def show_auction(auction_id: Id, parts: PartsDep, principal: PrincipalDep) -> AuctionOut:
    """One auction with its bids and contracts."""
    with parts.reading() as connection:
        return shown_auction(UnitOfWork(connection), parts.context(principal), auction_id)


@router.post("/auctions/{auction_id}/bids", status_code=201, response_model=AuctionOut)
async def bid(
    auction_id: Id, body: BidIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Bid openly in an English auction."""

    def run(unit: UnitOfWork, context: Context) -> AuctionOut:
        auctioning.place_bid(unit, context, auction_id, Price(body.price_fen_per_tonne))
        return shown_auction(unit, context, auction_id)

    return await commit(parts, principal, key, request, body, run)


@router.post("/auctions/{auction_id}/commitments", status_code=201, response_model=BidOut)
async def commit_bid(
    auction_id: Id, body: CommitmentIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Place a sealed bid: SHA-256 of its content; the deposit goes into escrow."""

    def run(unit: UnitOfWork, context: Context) -> BidOut:
        return BidOut.of(auctioning.commit_bid(unit, context, auction_id, Carbon(body.quantity_kg), body.commitment))

    return await commit(parts, principal, key, request, body, run)


@router.post("/auctions/{auction_id}/reveals", status_code=201, response_model=BidOut)
async def reveal(
    auction_id: Id, body: RevealIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Open a sealed bid after the close, in time."""

    def run(unit: UnitOfWork, context: Context) -> BidOut:
        return BidOut.of(
            auctioning.reveal_bid(
                unit, context, auction_id, Price(body.price_fen_per_tonne), Carbon(body.quantity_kg), body.nonce
            )
        )

    return await commit(parts, principal, key, request, body, run)


@router.post("/auctions/{auction_id}/takings", status_code=201, response_model=ContractOut)
async def take(
    auction_id: Id, body: TakeIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Take credits of a Dutch auction at the asking price of now: paid and delivered at once."""

    def run(unit: UnitOfWork, context: Context) -> ContractOut:
        taken = take_asking_price(
            unit, context, auction_id, Carbon(body.quantity_kg), Price(body.price_max_fen_per_tonne)
        )
        return _contract(unit, taken.contract)

    return await commit(parts, principal, key, request, body, run)


@router.post("/auctions/{auction_id}/close", response_model=AuctionOut)
async def close(
    auction_id: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Award an auction whose time is over, as anyone."""

    def run(unit: UnitOfWork, context: Context) -> AuctionOut:
        close_any(unit, context, auction_id)
        return shown_auction(unit, context, auction_id)

    return await commit(parts, principal, key, request, None, run, status=200)


@router.post("/auctions/{auction_id}/withdrawal", response_model=AuctionOut)
async def withdraw(
    auction_id: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Take an auction back as its seller, before any bid."""

    def run(unit: UnitOfWork, context: Context) -> AuctionOut:
        withdraw_any(unit, context, auction_id)
        return shown_auction(unit, context, auction_id)

    return await commit(parts, principal, key, request, None, run, status=200)


@router.post("/contracts/{contract_id}/signature", response_model=ContractOut)
async def sign_contract(
    contract_id: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Sign an auction contract as one side."""

    def run(unit: UnitOfWork, context: Context) -> ContractOut:
        return _contract(unit, contracts.sign_contract(unit, context, contract_id))

    return await commit(parts, principal, key, request, None, run, status=200)


@router.post("/contracts/{contract_id}/payment", response_model=ContractOut)
async def pay_contract(
    contract_id: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Pay as the winner: deposit and rest against the credits, in one entry."""

    def run(unit: UnitOfWork, context: Context) -> ContractOut:
        return _contract(unit, contracts.pay_contract(unit, context, contract_id))

    return await commit(parts, principal, key, request, None, run, status=200)


@router.post("/contracts/{contract_id}/default", response_model=ContractOut)
async def default_contract(
    contract_id: Id, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """End a contract that was not paid in time: the deposit is the side's that had kept to it."""

    def run(unit: UnitOfWork, context: Context) -> ContractOut:
        return _contract(unit, contracts.default_contract(unit, context, contract_id))

    return await commit(parts, principal, key, request, None, run, status=200)
