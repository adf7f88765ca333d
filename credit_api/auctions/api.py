"""Auctions: open, bid, take, reveal, close, and the contracts they end in."""

from __future__ import annotations

from fastapi import Response

from credit_api.auctions.schemas import AuctionOut, BidOut, ContractOut
from credit_api.http.callers import CallDep, PartsDep, PrincipalDep
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from financing.base.commands import UNSIGNED, Id, Signed
from financing.base.context import Context
from financing.lending.collateral.disposal_auction import Taken, close_any, take_asking_price, withdraw_any
from financing.lending.unit import UnitOfWork
from financing.market.auctions.commands import (
    CommitBid,
    OpenAuction,
    PlaceBid,
    RevealBid,
    TakeAtAsking,
    commit_bid,
    open_auction,
    place_bid,
    reveal_bid,
)
from financing.market.auctions.contracts import default_contract, pay_contract, sign_contract
from financing.market.auctions.store import Auction, Contract, StoredBid
from financing.market.unit import MarketUnit

router = Router(prefix="/v1", tags=["trading"], responses=PROBLEMS)


def shown_auction(unit: MarketUnit, context: Context, auction: Auction) -> AuctionOut:
    """An auction with its bids and contracts, as the actor may see it: the reserve is the seller's until it is over."""
    auction_id = auction.terms.auction_id
    bids, awards = unit.auctions.bids(auction_id), unit.auctions.contracts(auction_id)
    return AuctionOut.shown(auction, bids, awards, context.at, context.actor.id)


def shown_contract(unit: MarketUnit, _: Context, contract: Contract) -> ContractOut:
    return ContractOut.of_auction(contract, unit.auctions.get(contract.auction_id))


def _bid_on(unit: MarketUnit, context: Context, bid: StoredBid) -> AuctionOut:
    return shown_auction(unit, context, unit.auctions.get(bid.auction_id))


def _taken(unit: UnitOfWork, context: Context, taken: Taken) -> ContractOut:
    return shown_contract(unit, context, taken.contract)


@router.post("/auctions", status_code=201, response_model=AuctionOut)
async def add_auction(body: OpenAuction, call: CallDep) -> Response:
    """Put credits or units up for auction; they go into escrow."""
    return await call.commit(open_auction.given(body).then(shown_auction), answer=AuctionOut.itself)


@router.get("/auctions")
def list_auctions(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[AuctionOut]:
    """Every auction, the latest end first."""
    context = parts.context(principal)
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        auctions = unit.auctions.all(paging.window)
        return paging.answers(auctions, lambda each: shown_auction(unit, context, each))


@router.get("/auctions/{auction_id}")
def show_auction(auction_id: Id, parts: PartsDep, principal: PrincipalDep) -> AuctionOut:
    """One auction with its bids and contracts."""
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        return shown_auction(unit, parts.context(principal), unit.auctions.get(auction_id))


@router.post("/auctions/{auction_id}/bids", status_code=201, response_model=AuctionOut)
async def bid(auction_id: Id, body: PlaceBid, call: CallDep) -> Response:
    """Bid openly in an English auction."""
    return await call.commit(place_bid.given(auction_id, body).then(_bid_on), answer=AuctionOut.itself)


@router.post("/auctions/{auction_id}/commitments", status_code=201, response_model=BidOut)
async def seal(auction_id: Id, body: CommitBid, call: CallDep) -> Response:
    """Place a sealed bid: SHA-256 of its content; the deposit goes into escrow."""
    return await call.commit(commit_bid.given(auction_id, body), answer=BidOut.of)


@router.post("/auctions/{auction_id}/reveals", status_code=201, response_model=BidOut)
async def reveal(auction_id: Id, body: RevealBid, call: CallDep) -> Response:
    """Open a sealed bid after the close, in time."""
    return await call.commit(reveal_bid.given(auction_id, body), answer=BidOut.of)


@router.post("/auctions/{auction_id}/takings", status_code=201, response_model=ContractOut)
async def take(auction_id: Id, body: TakeAtAsking, call: CallDep) -> Response:
    """Take credits of a Dutch auction at the asking price of now: paid and delivered at once."""
    return await call.commit(take_asking_price.given(auction_id, body).then(_taken), answer=ContractOut.itself)


@router.post("/auctions/{auction_id}/close", response_model=AuctionOut)
async def close(auction_id: Id, call: CallDep) -> Response:
    """Award an auction whose time is over, as anyone."""
    return await call.commit(close_any.given(auction_id).then(shown_auction), answer=AuctionOut.itself, status=200)


@router.post("/auctions/{auction_id}/withdrawal", response_model=AuctionOut)
async def withdraw(auction_id: Id, call: CallDep) -> Response:
    """Take an auction back as its seller, before any bid."""
    return await call.commit(withdraw_any.given(auction_id).then(shown_auction), answer=AuctionOut.itself, status=200)


@router.post("/contracts/{contract_id}/signature", response_model=ContractOut)
async def sign(contract_id: Id, call: CallDep, body: Signed = UNSIGNED) -> Response:
    """Sign an auction contract as one side."""
    given = sign_contract.given(contract_id, body)
    return await call.commit(given.then(shown_contract), answer=ContractOut.itself, status=200)


@router.post("/contracts/{contract_id}/payment", response_model=ContractOut)
async def pay(contract_id: Id, call: CallDep) -> Response:
    """Pay as the winner: deposit and rest against the credits, in one entry."""
    return await call.commit(
        pay_contract.given(contract_id).then(shown_contract), answer=ContractOut.itself, status=200
    )


@router.post("/contracts/{contract_id}/default", response_model=ContractOut)
async def default(contract_id: Id, call: CallDep) -> Response:
    """End a contract that was not paid in time: the deposit is the side's that had kept to it."""
    return await call.commit(
        default_contract.given(contract_id).then(shown_contract), answer=ContractOut.itself, status=200
    )
