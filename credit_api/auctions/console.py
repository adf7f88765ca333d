"""Auctions: put credits up, bid openly, take at the price of now, seal and reveal, close; contracts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from fastapi.responses import Response

from credit_api.auctions.api import shown_auction
from credit_api.auctions.schemas import AuctionOut
from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import FieldInvalid, Post, PostDep, shown
from credit_api.http.pipeline import REFUSALS
from credit_api.http.routing import Router
from credit_api.over_the_counter.dealing import asked_of, asset_names, fees, free_of
from financing.base.authority import HOLDERS
from financing.base.commands import Given, Id, Signed, SignedAt
from financing.base.context import Context
from financing.base.quantities import Carbon, Money, Price
from financing.ledger.accounts import cash
from financing.lending.collateral.disposal_auction import close_any, take_asking_price, withdraw_any
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
from financing.market.auctions.terms import Format
from financing.market.fees import Quote

router = Router(include_in_schema=False)
HOURS_MAX, MINUTES_MAX = 30 * 24, 24 * 60
SHA256_DIGITS = 64
R = TypeVar("R")


@router.get("/console/trade/auctions")
def auctions(page: PageDep) -> Response:
    """Every auction, and a form to open one."""
    return auctions_page(page)


def auctions_page(page: Page) -> Response:
    principal = page.principal()
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        rows = unit.auctions.all(page.window("auctions"))
        seen = rows.map(lambda part: [shown_auction(unit, page.context(), each) for each in part])
        names = asset_names(unit, (each.asset for each in seen))
        free = free_of(unit, principal.organisation_id) if principal.kind in HOLDERS else []
    return page.render(
        "auctions.html",
        auctions=seen,
        names=names,
        free=free,
        trader=principal.kind in HOLDERS,
        formats=[each.value for each in Format],
        price=Price,
        at=page.parts.clock(),
    )


@router.post("/console/trade/auctions")
def put_up(post: PostDep) -> Response:
    """Open an auction: its credits go into escrow."""

    return post.commit(
        lambda: open_auction.given(_terms(post, post.page.context())),
        to=lambda opened: f"/console/trade/auctions/{opened.terms.auction_id}",
        flash="auction_opened",
        again=auctions_page,
    )


@router.get("/console/trade/auctions/{auction_id}")
def show_auction(page: PageDep, auction_id: Id) -> Response:
    """One auction as anyone may see it; with a quantity, what taking so much of a Dutch one costs now."""
    asked = asked_of(page)
    return auction_page(page, auction_id, asked if asked.text("quantity", required=False) else None)


def auction_page(page: Page, auction_id: str, asked: Post | None = None) -> Response:
    principal = page.principal()
    me, at = principal.organisation_id, page.parts.clock()
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        seen = shown_auction(unit, page.context(), unit.auctions.get(auction_id))
        names = asset_names(unit, [seen.asset])
        money = Money(unit.ledger.balance(cash(me)).available)
        terms = unit.auctions.get(auction_id).terms
    amounts: Quote | None = None
    if asked is not None and page.shown is None and seen.asking_fen_per_tonne is not None:
        try:
            amounts = fees(page, asked.tonnes("quantity"), Price(seen.asking_fen_per_tonne))
        except REFUSALS as refusal:
            page.shown = shown(refusal, form="take", values=asked.fields)
    ends = seen.reveal_until if terms.format.sealed else seen.closes_at
    return page.render(
        "auction.html",
        seen=seen,
        name=names[seen.asset],
        me=me,
        trader=principal.kind in HOLDERS,
        sealed=terms.format.sealed,
        whole_lot=terms.format.whole_lot,
        taking=seen.state == "running" and seen.opens_at <= at < seen.closes_at,
        revealing=seen.state == "running" and terms.format.sealed and seen.closes_at <= at < seen.reveal_until,
        over=seen.state == "running" and at >= ends,
        bid_of_mine=next((each for each in seen.bids if each.bidder_id == me), None),
        lowest=_lowest(seen),
        money=money,
        asked={name: values[0] for name, values in asked.fields.items()} if asked else {},
        amounts=amounts,
        price=Price,
        at=at,
        owed={
            each.contract_id: fees_of_contract(page, each.quantity_kg, each.price_fen_per_tonne)
            for each in seen.contracts
        },
    )


@router.post("/console/trade/auctions/{auction_id}/bids")
def bid(post: PostDep, auction_id: Id) -> Response:
    """Bid openly; the first bid sets the deposit aside."""
    return _act(post, auction_id, lambda: place_bid.given(auction_id, post.read(PlaceBid)), "bid_placed")


@router.post("/console/trade/auctions/{auction_id}/takings")
def take(post: PostDep, auction_id: Id) -> Response:
    """Take credits of a Dutch auction at no more than the price that was shown."""
    return _act(post, auction_id, lambda: take_asking_price.given(auction_id, post.read(TakeAtAsking)), "taken")


@router.post("/console/trade/auctions/{auction_id}/commitments")
def seal(post: PostDep, auction_id: Id) -> Response:
    """A sealed bid: its price and nonce stay with the bidder, only their digest is sent."""
    return _act(
        post,
        auction_id,
        lambda: commit_bid.given(
            auction_id, post.read(CommitBid, commitment=_digest(post.text("commitment", required=False)))
        ),
        "bid_sealed",
    )


@router.post("/console/trade/auctions/{auction_id}/reveals")
def reveal(post: PostDep, auction_id: Id) -> Response:
    """Open a sealed bid after the close."""
    return _act(post, auction_id, lambda: reveal_bid.given(auction_id, post.read(RevealBid)), "bid_revealed")


@router.post("/console/trade/auctions/{auction_id}/close")
def close(post: PostDep, auction_id: Id) -> Response:
    """Award an auction whose time is over."""
    return _act(post, auction_id, lambda: close_any.given(auction_id), "auction_closed")


@router.post("/console/trade/auctions/{auction_id}/withdrawal")
def withdraw(post: PostDep, auction_id: Id) -> Response:
    """Take an auction back before any bid."""
    return _act(post, auction_id, lambda: withdraw_any.given(auction_id), "auction_withdrawn")


@router.post("/console/trade/auctions/{auction_id}/contracts/{contract_id}/signature")
def sign(post: PostDep, auction_id: Id, contract_id: Id) -> Response:
    """Sign the contract as one side."""
    return _act(post, auction_id, lambda: sign_contract.given(contract_id, post.read(Signed)), "signed")


@router.post("/console/trade/auctions/{auction_id}/contracts/{contract_id}/payment")
def pay(post: PostDep, auction_id: Id, contract_id: Id) -> Response:
    """Pay as the winner: credits and money change hands in one entry."""
    return _act(post, auction_id, lambda: pay_contract.given(contract_id), "paid")


@router.post("/console/trade/auctions/{auction_id}/contracts/{contract_id}/default")
def default(post: PostDep, auction_id: Id, contract_id: Id) -> Response:
    """Declare a default as the seller, once the time to pay is over."""
    return _act(post, auction_id, lambda: default_contract.given(contract_id), "defaulted")


def fees_of_contract(page: Page, quantity_kg: int, fen_per_tonne: int) -> Quote:
    return fees(page, Carbon(quantity_kg), Price(fen_per_tonne))


def _act(post: Post, auction_id: str, given: Callable[[], Given[UnitOfWork, R]], flash: str) -> Response:
    return post.commit(
        given,
        to=f"/console/trade/auctions/{auction_id}",
        flash=flash,
        again=lambda page: auction_page(page, auction_id),
    )


def _lowest(seen: AuctionOut) -> Price:
    """The lowest next bid of an English auction."""
    prices = [each.price_fen_per_tonne for each in seen.bids if each.price_fen_per_tonne is not None]
    return Price(max(prices) + seen.increment_fen_per_tonne if prices else seen.start_fen_per_tonne)


def _digest(commitment: str) -> str:
    if len(commitment) != SHA256_DIGITS or not set(commitment) <= set("0123456789abcdef"):
        raise FieldInvalid("commitment: 64 hexadecimal digits, which the page works out with a script", "commitment")
    return commitment


def _terms(post: Post, context: Context) -> OpenAuction:
    kind = post.text("format")
    if kind not in set(Format):
        raise FieldInvalid("format: unknown choice", "format")
    form = Format(kind)
    # Of a form that was sent again with a signature, as of when its text was shown.
    begun = post.read(SignedAt).moment(context.at)
    closes_at = begun + timedelta(hours=post.whole("hours", 1, HOURS_MAX))
    reveal = timedelta(hours=post.whole("reveal_hours", 1, HOURS_MAX)) if form.sealed else None
    return post.read(
        OpenAuction,
        step_seconds=60 * post.whole("step_minutes", 1, MINUTES_MAX) if form is Format.DUTCH else 1,
        opens_at=begun,
        closes_at=closes_at,
        reveal_until=closes_at + reveal if reveal else None,
    )
