"""A lender's sale of pledged credits to one buyer: at no less than the reserve, settled through the waterfall.

Costs and the way of the money are those of the auction in `disposal_auction`: both sides pay the exchange's fee, and
what the lender gets after it is the proceeds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pydantic import Field

from financing.base.authority import HOLDERS
from financing.base.commands import Command, FenPerTonne, Id, Kilograms, Moment, use_case
from financing.base.context import Context
from financing.base.errors import DisposalNotAllowed, InvalidState, NotPermitted
from financing.base.parameters.records import LendingProduct
from financing.base.quantities import Money, Price, Rate, business_date
from financing.ledger.accounts import Asset, pledged
from financing.ledger.entries import EntryKind
from financing.ledger.posting import payment, post_entry
from financing.lending.collateral import pledge as pledge_rules
from financing.lending.collateral.disposal import (
    DisposalGround,
    Waterfall,
    require_disposable,
    reserve_price,
    waterfall,
)
from financing.lending.collateral.pledge import StoredPledge
from financing.lending.collateral.standing import LoanCoverage, loan_coverage, settle_call
from financing.lending.loans.events import Disposal
from financing.lending.loans.loan import LoanState
from financing.lending.loans.recording import record_event
from financing.lending.unit import UnitOfWork
from financing.market.delivery import what_buyer_owes
from financing.market.over_the_counter.commands import (
    Bought,
    BuyListing,
    buy_listing,
    require_listing_days,
    settle_purchase,
)
from financing.market.over_the_counter.deals import Listing, take
from financing.valuation.pools import ValuedLot, require_priced


class ListCollateral(Command):
    """A lender's listing of pledged credits, addressed to one buyer, at no less than the reserve price."""

    buyer_id: Id
    quantity_kg: Kilograms = Field(description="whole tonnes: a multiple of 1000")
    price_fen_per_tonne: FenPerTonne
    expires_at: Moment


@dataclass(frozen=True, slots=True)
class Purchase:
    """What was bought from a listing, and where the money went if a lender sold collateral."""

    bought: Bought
    waterfall: Waterfall | None


@use_case
def list_collateral(unit: UnitOfWork, context: Context, pledge_id: str, command: ListCollateral) -> Listing:
    """List pledged credits for one buyer, as the lender, once the loan's coverage or an uncured call allows it.

    They stay under the pledge until they are paid for. Raises `DisposalNotAllowed` (no ground, or below the reserve
    price), `PriceMissing` and its kin, `NotPermitted`, `QuantityOutOfRange`, `InvalidState`, `OfferExpired`.
    """
    unit.organisations.require_kind(command.buyer_id, *HOLDERS)
    stored, standing = _collateral(unit, context, pledge_id)
    if command.buyer_id == stored.pledge.pledgor:
        raise NotPermitted("the pledgor cannot buy its own collateral; it can repay", pledge_id=pledge_id)
    require_ground(context, standing)
    _require_reserve(standing, stored, command.price_fen_per_tonne)
    pledge_rules.dispose(stored.pledge, command.quantity_kg)
    require_listing_days(context, command.expires_at)
    listing = Listing(
        listing_id=context.new_id("lst"),
        seller=context.actor.id,
        asset=stored.pledge.lot.asset,
        quantity=command.quantity_kg,
        left=command.quantity_kg,
        price=command.price_fen_per_tonne,
        listed_at=context.at,
        expires_at=command.expires_at,
        buyer=command.buyer_id,
        pledge_id=pledge_id,
    )
    what_buyer_owes(context, listing.quantity, listing.price)  # an amount that fits no account never binds
    unit.otc.save_listing(listing)
    return listing


@use_case
def buy_any(unit: UnitOfWork, context: Context, listing_id: str, command: BuyListing) -> Purchase:
    """Take part or all of any listing: an ordinary one, or a lender's sale of collateral through the waterfall."""
    listing = unit.otc.listing_shown_to(context.actor.id, listing_id)
    if listing.pledge_id is None:
        return Purchase(buy_listing(unit, context, listing_id, command), None)
    return _buy_collateral(unit, context, listing, unit.pledges.get(listing.pledge_id), command)


def _buy_collateral(
    unit: UnitOfWork, context: Context, listing: Listing, stored: StoredPledge, command: BuyListing
) -> Purchase:
    """Buy from under the pledge; the proceeds pay costs and debt in the same commit.

    The ground is checked again for every part: a loan that was cured meanwhile keeps its collateral
    (`DisposalNotAllowed`). When the debt is paid, what is left of the listing is withdrawn.
    """
    pledge = stored.pledge
    take(listing, context.actor.id, command.quantity_kg, context.at)  # a stranger learns nothing of the loan
    if pledge.loan_id is None:
        raise InvalidState("the pledge secures no loan", pledge_id=pledge.pledge_id)
    standing = loan_coverage(unit, context, pledge.loan_id)
    product = require_ground(context, standing)
    disposed = pledge_rules.dispose(pledge, command.quantity_kg)
    source = pledged(pledge.pledgor, Asset(listing.asset), pledge.pledge_id)
    bought = settle_purchase(unit, context, listing, command, source)
    flow = distribute(unit, context, standing, product, bought.amounts.seller_gets)
    unit.pledges.save(disposed)
    if unit.loans.get(pledge.loan_id).loan.state is not LoanState.ACTIVE:
        bought = replace(bought, listing=_withdraw_all(unit, standing, bought.listing))
    close_call_after_sale(unit, context, pledge.loan_id)
    return Purchase(bought, flow)


def _withdraw_all(unit: UnitOfWork, standing: LoanCoverage, bought: Listing) -> Listing:
    """Nothing is owed: no collateral of the loan is for sale any more. Returns the listing that was bought from."""
    for each in unit.otc.listings_of_pledges([held.pledge.pledge_id for held in standing.pledges]):
        if each.state == "open":
            unit.otc.save_listing(replace(each, state="withdrawn"))
    return unit.otc.listing(bought.listing_id)


def distribute(
    unit: UnitOfWork, context: Context, standing: LoanCoverage, product: LendingProduct, proceeds: Money
) -> Waterfall:
    """Send on what a sale brought its lender after the exchange's fee: costs stay with the lender, the rest goes to
    the borrower, who pays the debt from it in the same commit and keeps the surplus."""
    loan, debt = standing.stored.loan, standing.debt
    costs = min(proceeds, proceeds.scaled_half_even(Rate(product.disposal_cost_bps).fraction()))
    flow = waterfall(proceeds, costs, penal=debt.penal, interest=debt.interest, principal=debt.principal)
    if proceeds > costs:
        leg = payment(loan.lender, loan.borrower, proceeds - costs)
        post_entry(unit, context, EntryKind.DISPOSAL, loan.loan_id, [leg])
    paid = flow.penal + flow.interest + flow.principal
    if paid:
        record_event(unit, context, standing.stored, Disposal(amount_fen=paid), EntryKind.DISPOSAL)
    return flow


def close_call_after_sale(unit: UnitOfWork, context: Context, loan_id: str) -> None:
    """After a sale the call is cured, or closed when no collateral is left to call on."""
    standing = loan_coverage(unit, context, loan_id)
    if standing.call is not None and not standing.pledges and standing.stored.loan.state is LoanState.ACTIVE:
        unit.calls.close([standing.call.call_id], "closed", context.at)
        return
    settle_call(unit, context, standing)


def _collateral(unit: UnitOfWork, context: Context, pledge_id: str) -> tuple[StoredPledge, LoanCoverage]:
    stored = unit.pledges.get(pledge_id)
    context.require_party(stored.pledge.pledgee)
    if stored.pledge.loan_id is None:
        raise InvalidState("the pledge secures no loan", pledge_id=pledge_id)
    return stored, loan_coverage(unit, context, stored.pledge.loan_id)


def require_ground(context: Context, standing: LoanCoverage) -> LendingProduct:
    """The product, if its lender may sell collateral now. Raises `DisposalNotAllowed`, `PriceMissing` and its kin."""
    product = context.parameters.running_product(standing.stored.product, business_date(context.at))
    ground_of(context, standing, product)
    return product


def ground_of(context: Context, standing: LoanCoverage, product: LendingProduct) -> DisposalGround:
    """On which ground the lender may sell now. Raises as `require_ground`."""
    matures_on = standing.stored.loan.matures_on
    matured = business_date(context.at) > matures_on
    return require_disposable(
        standing.debt.total if matured else standing.exposed,
        standing.pool,
        standing.call.call if standing.call else None,
        matures_on=matures_on,
        product=product,
        at=context.at,
    )


def _require_reserve(standing: LoanCoverage, stored: StoredPledge, price: Price) -> None:
    valued = valued_lot(standing, stored)
    reserve = reserve_price(valued)
    if price < reserve:
        raise DisposalNotAllowed(
            "the price is below the reserve", reserve_fen_per_tonne=reserve.amount, price_fen_per_tonne=price.amount
        )


def valued_lot(standing: LoanCoverage, stored: StoredPledge) -> ValuedLot:
    """The line of the loan's valuation that is this pledge."""
    lines = require_priced(standing.pool).lines
    return next(line for line in lines if line.lot == stored.pledge.remaining_lot())
