"""Listings: offer credits to anyone or to one buyer, take part of one, retire in one step; fees are shown before."""

from __future__ import annotations

from fastapi.responses import Response

from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import FieldInvalid, Post, PostDep, shown
from credit_api.http.pipeline import REFUSALS
from credit_api.http.routing import Router
from credit_api.over_the_counter.dealing import asked_of, asset_names, fees, free_of, in_days, own_listings
from credit_api.prices.charts import PRICED
from financing.base.authority import HOLDERS
from financing.base.commands import Id
from financing.base.context import Context
from financing.base.quantities import Money
from financing.base.storage.paging import Page as Rows
from financing.base.storage.paging import Window
from financing.ledger.accounts import Asset, cash
from financing.lending.collateral.disposing import buy_any
from financing.lending.unit import UnitOfWork
from financing.market.delivery import rules_of
from financing.market.fees import Quote
from financing.market.over_the_counter.commands import (
    Bought,
    BuyListing,
    MakeListing,
    RetireFor,
    end_listing,
    make_listing,
)
from financing.valuation.marks import marks_of

router = Router(include_in_schema=False)
TRADES = 20


@router.get("/console/trade")
def listings(page: PageDep) -> Response:
    """What can be bought now, own listings, and the last trades; an `asset` that is named is chosen in the form."""
    return listings_page(page, asked=asked_of(page))


@router.get("/console/trade/listing")
def preview(page: PageDep) -> Response:
    """A listing as it would be made: what it sets aside and what is left after the fee."""
    asked = asked_of(page)
    try:
        page.principal(*HOLDERS)
        terms = _terms(asked, page.context())
        amounts = fees(page, terms.quantity_kg, terms.price_fen_per_tonne)
    except REFUSALS as refusal:
        page.shown = shown(refusal, form="listing", values=asked.fields)
        return listings_page(page)
    return listings_page(page, asked=asked, amounts=amounts)


def listings_page(page: Page, *, asked: Post | None = None, amounts: Quote | None = None) -> Response:
    principal = page.principal()
    me, at = principal.organisation_id, page.parts.clock()
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        trader = principal.kind in HOLDERS
        takeable = unit.otc.open_listings(me, at, page.window("open"), own=False)
        own, names = own_listings(page, unit) if trader else (Rows([]), {})
        mark = marks_of(unit, page.parts.parameters, [PRICED], at)[PRICED]
        free = free_of(unit, me) if trader else []
        trades = unit.otc.trades(window=Window(TRADES))
        names = names | asset_names(unit, [*(each.asset for each in takeable), *(each.asset for each in trades)])
    return page.render(
        "listings.html",
        takeable=takeable,
        listings=own,
        buyers=[each for each in page.of_kind(*HOLDERS) if each.id != me],
        mark=mark,
        free=free,
        trades=trades,
        names=names,
        trader=trader,
        asked={name: values[0] for name, values in asked.fields.items()} if asked else {},
        amounts=amounts,
        days_max=rules_of(page.context()).listing_days_max,
        at=at,
    )


@router.post("/console/trade/listings")
def list_credits(post: PostDep) -> Response:
    """Make the listing that was shown: its credits go into escrow."""
    return post.commit(
        lambda: make_listing.given(_terms(post, post.page.context())),
        to="/console/trade#own",
        flash="listing_made",
        again=listings_page,
    )


@router.get("/console/trade/listings/{listing_id}")
def show_listing(page: PageDep, listing_id: Id) -> Response:
    """One listing; with a quantity, what taking so much costs and a button that takes it."""
    asked = asked_of(page)
    return listing_page(page, listing_id, asked if asked.text("quantity", required=False) else None)


def listing_page(page: Page, listing_id: str, asked: Post | None = None) -> Response:
    principal = page.principal()
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        listing = unit.otc.listing_shown_to(principal.organisation_id, listing_id)
        names = asset_names(unit, [listing.asset])
        money = Money(unit.ledger.balance(cash(principal.organisation_id)).available)
    amounts: Quote | None = None
    if asked is not None and page.shown is None:
        try:
            page.principal(*HOLDERS)
            amounts = fees(page, asked.tonnes("quantity"), listing.price)
            _purpose(asked)
        except REFUSALS as refusal:
            page.shown = shown(refusal, form="take", values=asked.fields)
            amounts = None
    return page.render(
        "listing.html",
        listing=listing,
        state=listing.state_at(page.parts.clock()),
        name=names[listing.asset],
        package=Asset(listing.asset).is_package,
        mine=listing.seller == principal.organisation_id,
        trader=principal.kind in HOLDERS,
        money=money,
        asked={name: values[0] for name, values in asked.fields.items()} if asked else {},
        amounts=amounts,
    )


@router.post("/console/trade/listings/{listing_id}/purchases")
def buy(post: PostDep, listing_id: Id) -> Response:
    """Take what was shown; with a beneficiary the credits are retired in the same entry."""
    return post.commit(
        lambda: buy_any.given(listing_id, post.read(BuyListing, retire_for=_purpose(post))),
        to=lambda done: _after_purchase(done.bought),
        flash=lambda done: "bought_retired" if done.bought.retirement else "bought",
        again=lambda page: listing_page(page, listing_id),
    )


@router.post("/console/trade/listings/{listing_id}/end")
def end(post: PostDep, listing_id: Id) -> Response:
    """Take a listing back, or free the escrow of an expired one."""
    return post.commit(
        lambda: end_listing.given(listing_id), to="/console/trade#own", flash="listing_ended", again=listings_page
    )


def _after_purchase(bought: Bought) -> str:
    retired = bought.retirement
    return f"/certificates/{retired.certificate_number}" if retired else "/console/assets"


def _terms(post: Post, context: Context) -> MakeListing:
    ends = in_days(post, context.at, rules_of(context).listing_days_max)
    return post.read(MakeListing, expires_at=ends)


def _purpose(post: Post) -> RetireFor | None:
    """For whom and what the credits are to be retired; nothing of it means that they are kept."""
    beneficiary, purpose = (post.text(name, required=False) for name in ("beneficiary", "purpose"))
    if bool(beneficiary) != bool(purpose):
        missing = "purpose" if beneficiary else "beneficiary"
        raise FieldInvalid(f"{missing}: beneficiary and purpose come together", missing)
    return post.read(RetireFor) if beneficiary else None
