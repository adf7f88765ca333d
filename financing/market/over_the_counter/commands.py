"""Listings, deals signed by both sides, and requests for quotes: everything promised is in escrow first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from financing.base.authority import HOLDERS
from financing.base.commands import (
    UNSIGNED,
    AssetCode,
    Command,
    FenPerTonne,
    Id,
    Kilograms,
    Moment,
    Signed,
    Text,
    use_case,
)
from financing.base.context import Context
from financing.base.errors import InvalidState, NotPermitted, QuantityOutOfRange
from financing.ledger.accounts import CNY, AccountKey, AccountKind, Asset, cash, escrow, holding
from financing.ledger.posting import give_back, set_aside
from financing.ledger.signing import signed_by_actor
from financing.market.delivery import Delivery, asset_of, deliver, money_in_escrow, rules_of, what_buyer_owes
from financing.market.fees import Quote
from financing.market.over_the_counter import deals as rules
from financing.market.over_the_counter.deals import DEAL_DOMAIN, Deal, Listing, QuoteGiven, QuoteRequest
from financing.market.unit import MarketUnit
from financing.registry.retirement.commands import Purpose, record_retirement
from financing.registry.retirement.model import Retirement

SideName = Literal["buy", "sell"]


class MakeListing(Command):
    """Credits or package units for anyone, or for one named buyer, at a price, until a day."""

    asset: AssetCode
    quantity_kg: Kilograms
    price_fen_per_tonne: FenPerTonne
    expires_at: Moment
    buyer_id: Id | None = Field(default=None, description="the only one who sees it and can buy; anyone if null")


class RetireFor(Command):
    beneficiary: Text
    purpose: Text


class BuyListing(Command):
    """With `retire_for` the credits are retired for the beneficiary in the same ledger entry."""

    quantity_kg: Kilograms
    retire_for: RetireFor | None = None


@dataclass(frozen=True, slots=True)
class Bought:
    """A listing after a purchase, what it cost, and the certificate when it was bought to be retired."""

    listing: Listing
    amounts: Quote
    entry_id: int
    retirement: Retirement | None


@use_case
def make_listing(unit: MarketUnit, context: Context, command: MakeListing) -> Listing:
    """Offer credits or package units to anyone or to one named buyer; they go into escrow.

    Raises `CreditsPledged`, `CreditsFrozen`, `InsufficientBalance`, `NotFound`, `NotPermitted`, `OfferExpired`,
    `QuantityOutOfRange`.
    """
    asset = asset_of(unit, command.asset)
    if command.buyer_id is not None:
        unit.organisations.require_kind(command.buyer_id, *HOLDERS)
    require_listing_days(context, command.expires_at)
    listing = Listing(
        listing_id=context.new_id("lst"),
        seller=context.actor.id,
        asset=asset.code,
        quantity=command.quantity_kg,
        left=command.quantity_kg,
        price=command.price_fen_per_tonne,
        listed_at=context.at,
        expires_at=command.expires_at,
        buyer=command.buyer_id,
    )
    what_buyer_owes(context, listing.quantity, listing.price)  # an amount that fits no account never binds
    set_aside(unit, context, listing.seller, asset, listing.quantity, listing.listing_id)
    unit.otc.save_listing(listing)
    return listing


@use_case
def buy_listing(unit: MarketUnit, context: Context, listing_id: str, command: BuyListing) -> Bought:
    """Take part or all of a listing; with a purpose, the credits are retired for it in the same entry.

    Raises `NotPermitted`, `OfferExpired`, `InvalidState`, `QuantityOutOfRange`, `InsufficientBalance`, `CreditsFrozen`.
    """
    listing = unit.otc.listing_shown_to(context.actor.id, listing_id)
    if listing.pledge_id is not None:
        raise NotPermitted("a sale of collateral is settled by its own command", listing_id=listing_id)
    return settle_purchase(unit, context, listing, command, escrow(listing.seller, Asset(listing.asset), listing_id))


def settle_purchase(
    unit: MarketUnit, context: Context, listing: Listing, command: BuyListing, credits_from: AccountKey
) -> Bought:
    """Deliver what is taken of a listing from `credits_from`, against payment and fees. Raises as `buy_listing`."""
    asked, quantity = command.retire_for, command.quantity_kg
    retire_for = Purpose(asked.beneficiary, asked.purpose) if asked else None
    after = rules.take(listing, context.actor.id, quantity, context.at)
    asset = Asset(listing.asset)
    if retire_for is not None and asset.is_package:
        raise NotPermitted("package units are bought first and retired from the package", asset=asset.code)
    buyer = context.actor.id
    into = AccountKey(buyer, AccountKind.RETIRED, asset) if retire_for else holding(buyer, asset)
    sale = Delivery(
        seller=listing.seller,
        buyer=buyer,
        asset=asset,
        quantity=quantity,
        price=listing.price,
        credits_from=credits_from,
        money_from=cash(buyer),
        credits_to=into,
    )
    number = unit.retirements.next_number() if retire_for else 0
    booked, amounts = deliver(unit, context, sale, "listing", listing.listing_id)
    unit.otc.save_listing(after)
    retirement = None
    if retire_for is not None:
        retirement = record_retirement(unit, context, number, booked.blocks, booked.entry_id, retire_for)
    return Bought(after, amounts, booked.entry_id, retirement)


@use_case
def end_listing(unit: MarketUnit, context: Context, listing_id: str) -> Listing:
    """Take a listing back as its seller, or, once it has expired, as anyone it is shown to: what is left returns from
    escrow. Collateral was never there: it stays under its pledge. Raises `NotPermitted`, `InvalidState`."""
    listing = unit.otc.listing_shown_to(context.actor.id, listing_id)
    ended = rules.end(listing, context.actor.id, context.at)
    give_back(unit, context, listing.seller, Asset(listing.asset), listing_id)
    unit.otc.save_listing(ended)
    return ended


class ProposeDeal(Command):
    """A sale with one counterparty; `side` is the proposer's."""

    counterparty_id: Id
    side: SideName
    asset: AssetCode
    quantity_kg: Kilograms
    price_fen_per_tonne: FenPerTonne
    expires_at: Moment


@use_case
def propose_deal(unit: MarketUnit, context: Context, command: ProposeDeal) -> Deal:
    """Draft a sale with one counterparty. Nothing is set aside before a side signs."""
    unit.organisations.require_kind(command.counterparty_id, *HOLDERS)
    asset = asset_of(unit, command.asset)
    _require_soon(command.expires_at, context.at, rules_of(context).deal_days_max)
    me, other = context.actor.id, command.counterparty_id
    seller, buyer = (me, other) if command.side == "sell" else (other, me)
    deal = Deal(
        deal_id=context.new_id("del"),
        proposer=me,
        seller=seller,
        buyer=buyer,
        asset=asset.code,
        quantity=command.quantity_kg,
        price=command.price_fen_per_tonne,
        proposed_at=context.at,
        expires_at=command.expires_at,
    )
    what_buyer_owes(context, deal.quantity, deal.price)
    unit.otc.save_deal(deal)
    return deal


@use_case
def sign_deal(unit: MarketUnit, context: Context, deal_id: str, command: Signed = UNSIGNED) -> Deal:
    """Sign as one side: what it owes goes into escrow; the second signature settles the deal."""
    deal = unit.otc.deal(deal_id)
    context.require_party(deal.seller, deal.buyer)
    signature = signed_by_actor(unit, context, DEAL_DOMAIN, deal.document(), command)
    signed = rules.countersign(deal, signature, context.at)
    asset = Asset(deal.asset)
    if context.actor.id == deal.seller:
        set_aside(unit, context, deal.seller, asset, deal.quantity, deal_id)
    else:
        set_aside(unit, context, deal.buyer, CNY, what_buyer_owes(context, deal.quantity, deal.price), deal_id)
    entry_id = None
    if signed.state == "settled":
        sale = Delivery(
            seller=deal.seller,
            buyer=deal.buyer,
            asset=asset,
            quantity=deal.quantity,
            price=deal.price,
            credits_from=escrow(deal.seller, asset, deal_id),
            money_from=money_in_escrow(deal.buyer, deal_id),
            credits_to=holding(deal.buyer, asset),
        )
        booked, _ = deliver(unit, context, sale, "deal", deal_id)
        entry_id = booked.entry_id
        # The fee that holds today may be lower than the one that was set aside.
        give_back(unit, context, deal.buyer, CNY, deal_id)
    unit.otc.save_deal(signed, entry_id=entry_id)
    return signed


@use_case
def end_deal(unit: MarketUnit, context: Context, deal_id: str) -> Deal:
    """Decline a deal as one of its sides, or end it once it has expired: both escrows return."""
    deal = unit.otc.deal(deal_id)
    context.require_party(deal.seller, deal.buyer)
    state = deal.state_at(context.at)
    if deal.state != "proposed":
        raise InvalidState(f"the deal is {state}", deal_id=deal_id)
    ended = replace(deal, state="expired" if state == "expired" else "declined")
    give_back(unit, context, deal.seller, Asset(deal.asset), deal_id)
    give_back(unit, context, deal.buyer, CNY, deal_id)
    unit.otc.save_deal(ended)
    return ended


class AskForQuotes(Command):
    """`wanted` is an asset class (any issuance or package of it) when buying, one asset when selling."""

    side: SideName
    wanted: Id
    quantity_kg: Kilograms
    expires_at: Moment


class GiveQuote(Command):
    asset: AssetCode
    price_fen_per_tonne: FenPerTonne
    expires_at: Moment


@use_case
def ask_for_quotes(unit: MarketUnit, context: Context, command: AskForQuotes) -> QuoteRequest:
    """Ask everyone for firm prices. Raises `NotFound`, `ParameterMissing`, `OfferExpired`, `QuantityOutOfRange`."""
    _require_soon(command.expires_at, context.at, rules_of(context).deal_days_max)
    request = QuoteRequest(
        request_id=context.new_id("rfq"),
        requester=context.actor.id,
        side=command.side,
        wanted=command.wanted,
        quantity=command.quantity_kg,
        requested_at=context.at,
        expires_at=command.expires_at,
    )
    if command.side == "sell":
        asset_of(unit, command.wanted)
    else:
        context.parameters.collateral_class(command.wanted, context.at.date())
    unit.otc.save_request(request)
    return request


@use_case
def give_quote(unit: MarketUnit, context: Context, request_id: str, command: GiveQuote) -> QuoteGiven:
    """Answer a request with a firm price: what the maker would owe goes into escrow."""
    request = unit.otc.request(request_id)
    rules.require_open(request.state_at(context.at), request.request_id)
    if request.requester == context.actor.id:
        raise NotPermitted("nobody quotes to itself", request_id=request.request_id)
    asset = asset_of(unit, command.asset)
    _require_wanted(unit, request, asset)
    command.price_fen_per_tonne.require_positive()
    if command.expires_at <= context.at:
        raise QuantityOutOfRange("a quote lives for some time", expires_at=str(command.expires_at))
    given = QuoteGiven(
        quote_id=context.new_id("quo"),
        request_id=request.request_id,
        maker=context.actor.id,
        asset=asset.code,
        quantity=request.quantity,
        price=command.price_fen_per_tonne,
        quoted_at=context.at,
        expires_at=min(command.expires_at, request.expires_at),
    )
    owed = what_buyer_owes(context, given.quantity, given.price)
    if request.side == "buy":
        set_aside(unit, context, given.maker, asset, given.quantity, given.quote_id)
    else:
        set_aside(unit, context, given.maker, CNY, owed, given.quote_id)
    unit.otc.save_quote(given)
    return given


@use_case
def take_quote(unit: MarketUnit, context: Context, quote_id: str) -> QuoteGiven:
    """Take one quote as its requester: it settles at once, and every other one lapses with its escrow returned."""
    given = unit.otc.quote(quote_id)
    request = unit.otc.request(given.request_id)
    context.require_party(request.requester)
    rules.require_open(request.state_at(context.at), request.request_id)
    rules.require_open(given.state_at(context.at), quote_id)
    asset, me, maker = Asset(given.asset), request.requester, given.maker
    if request.side == "buy":
        sources = escrow(maker, asset, quote_id), cash(me)
        seller, buyer = maker, me
    else:
        sources = holding(me, asset), money_in_escrow(maker, quote_id)
        seller, buyer = me, maker
    sale = Delivery(seller, buyer, asset, given.quantity, given.price, *sources, holding(buyer, asset))
    booked, _ = deliver(unit, context, sale, "quote", quote_id)
    taken = replace(given, state="taken")
    unit.otc.save_quote(taken, entry_id=booked.entry_id)
    unit.otc.save_request(replace(request, state="dealt"))
    if request.side == "sell":
        give_back(unit, context, maker, CNY, quote_id)
    for other in unit.otc.quotes(request.request_id):
        if other.state == "open":
            _lapse(unit, context, request, other)
    return taken


@use_case
def end_quote(unit: MarketUnit, context: Context, quote_id: str) -> QuoteGiven:
    """Take a quote back, as its maker, or, once it has expired, as the requester too: the escrow returns."""
    given = unit.otc.quote(quote_id)
    request = unit.otc.request(given.request_id)
    context.require_party(given.maker, request.requester)
    if given.state != "open":
        raise InvalidState(f"the quote is {given.state}", quote_id=quote_id)
    if given.state_at(context.at) == "open":
        context.require_party(given.maker)
    return _lapse(unit, context, request, given)


@use_case
def end_request(unit: MarketUnit, context: Context, request_id: str) -> QuoteRequest:
    """Withdraw a request as its requester: every open quote lapses."""
    request = unit.otc.request(request_id)
    context.require_party(request.requester)
    if request.state != "open":
        raise InvalidState(f"the request is {request.state}", request_id=request_id)
    ended = replace(request, state="expired" if request.state_at(context.at) == "expired" else "withdrawn")
    for given in unit.otc.quotes(request_id):
        if given.state == "open":
            _lapse(unit, context, request, given)
    unit.otc.save_request(ended)
    return ended


def _lapse(unit: MarketUnit, context: Context, request: QuoteRequest, given: QuoteGiven) -> QuoteGiven:
    kept = Asset(given.asset) if request.side == "buy" else CNY
    give_back(unit, context, given.maker, kept, given.quote_id)
    lapsed = replace(given, state="expired" if given.state_at(context.at) == "expired" else "lapsed")
    unit.otc.save_quote(lapsed)
    return lapsed


def _require_wanted(unit: MarketUnit, request: QuoteRequest, asset: Asset) -> None:
    if request.side == "sell":
        fits = asset.code == request.wanted
    elif asset.is_package:
        fits = unit.packages.get(asset.package_id).asset_class == request.wanted
    else:
        fits = unit.issuances.get(asset.issuance_id).asset_class == request.wanted
    if not fits:
        raise NotPermitted("this is not what was asked for", wanted=request.wanted, asset=asset.code)


def require_listing_days(context: Context, expires_at: datetime) -> None:
    """Raise `QuantityOutOfRange` for a listing that would stand for longer than the rules of the day allow."""
    _require_soon(expires_at, context.at, rules_of(context).listing_days_max)


def _require_soon(expires_at: datetime, at: datetime, days_max: int) -> None:
    if expires_at > at + timedelta(days=days_max):
        raise QuantityOutOfRange("it would stand for longer than the rules allow", days_max=days_max)
