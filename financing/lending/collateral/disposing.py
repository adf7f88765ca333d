"""A lender's sale of pledged credits: at no less than the reserve, settled through the waterfall in one entry."""

from __future__ import annotations

from dataclasses import dataclass

from financing.base.commands import Command, FenPerTonne, Id, Kilograms, Moment, issued_by
from financing.base.context import HOLDERS, Context
from financing.base.errors import DisposalNotAllowed, InvalidState, NotPermitted
from financing.base.parameters.records import LendingProduct
from financing.base.quantities import (
    Money,
    Price,
    Rate,
    business_date,
)
from financing.ledger.accounts import Asset, holding, pledged
from financing.ledger.entries import EntryKind
from financing.ledger.posting import Leg, payment, post_entry
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
from financing.market.over_the_counter import offers as otc
from financing.market.over_the_counter.offering import settle_offer
from financing.market.over_the_counter.offers import Offer
from financing.market.prices.store import StoredOffer
from financing.valuation.pools import ValuedLot, require_priced


class OfferCollateral(Command):
    """A lender's offer of pledged credits to one buyer, at no less than the reserve price."""

    buyer_id: Id
    quantity_kg: Kilograms
    price_fen_per_tonne: FenPerTonne
    expires_at: Moment


@dataclass(frozen=True, slots=True)
class Accepted:
    """The settled offer, and where the money went if a lender sold collateral."""

    offer: StoredOffer
    waterfall: Waterfall | None


@issued_by()
def offer_collateral(unit: UnitOfWork, context: Context, pledge_id: str, command: OfferCollateral) -> StoredOffer:
    """Offer pledged credits to one buyer, as the lender, once the loan's coverage or an uncured call allows it.

    Raises `DisposalNotAllowed` (no ground, or below the reserve price), `PriceMissing` and its kin, `NotPermitted`,
    `QuantityOutOfRange`, `InvalidState`.
    """
    unit.organisations.require_kind(command.buyer_id, *HOLDERS)
    stored, standing = _collateral(unit, context, pledge_id)
    if command.buyer_id == stored.pledge.pledgor:
        raise NotPermitted("the pledgor cannot buy its own collateral; it can repay", pledge_id=pledge_id)
    require_ground(context, standing)
    _require_reserve(standing, stored, command.price_fen_per_tonne)
    pledge_rules.dispose(stored.pledge, command.quantity_kg)
    offer = Offer(
        offer_id=context.new_id("off"),
        seller=context.actor.id,
        buyer=command.buyer_id,
        asset=stored.pledge.lot.asset,
        quantity=command.quantity_kg,
        price=command.price_fen_per_tonne,
        offered_at=context.at,
        expires_at=command.expires_at,
    )
    unit.market.add_offer(offer, pledge_id=pledge_id)
    return unit.market.offer(offer.offer_id)


@issued_by()
def accept_offer(unit: UnitOfWork, context: Context, offer_id: str) -> Accepted:
    """Accept an offer as its buyer: an ordinary sale, or a lender's sale of collateral through the waterfall."""
    stored = unit.market.offer(offer_id)
    if stored.pledge_id is None:
        return Accepted(settle_offer(unit, context, stored), None)
    return settle_disposal(unit, context, stored)


def settle_disposal(unit: UnitOfWork, context: Context, stored_offer: StoredOffer) -> Accepted:
    """Accept a lender's offer as its buyer: credits, payment, costs, interest, principal and surplus in one entry.

    The ground is checked again: a loan that was cured meanwhile keeps its collateral (`DisposalNotAllowed`).
    """
    accepted, terms = otc.accept(stored_offer.offer, context.actor.id, context.at)
    assert stored_offer.pledge_id is not None
    stored = unit.pledges.get(stored_offer.pledge_id)
    if stored.pledge.loan_id is None:
        raise InvalidState("the pledge secures no loan", pledge_id=stored.pledge.pledge_id)
    standing = loan_coverage(unit, context, stored.pledge.loan_id)
    product = require_ground(context, standing)
    disposed = pledge_rules.dispose(stored.pledge, terms.quantity)
    costs = min(terms.amount, terms.amount.scaled_half_even(Rate(product.disposal_cost_bps).fraction()))
    flow = waterfall_of(standing, terms.amount, costs)
    loan = standing.stored.loan
    asset = Asset(terms.asset)
    moved = post_entry(
        unit,
        context,
        EntryKind.DISPOSAL,
        loan.loan_id,
        [
            Leg(pledged(disposed.pledgor, asset, disposed.pledge_id), holding(terms.buyer, asset), terms.quantity),
            *proceeds_to_borrower(standing, terms.buyer, terms.amount, costs),
        ],
    )
    settle_proceeds(unit, context, standing, flow)
    unit.pledges.save(disposed)
    unit.market.close_offer(accepted, entry_id=moved.entry_id)
    close_call_after_sale(unit, context, loan.loan_id)
    return Accepted(unit.market.offer(accepted.offer_id), flow)


def waterfall_of(standing: LoanCoverage, proceeds: Money, costs: Money) -> Waterfall:
    """Where the proceeds of a sale would go on the debt as it stands."""
    debt = standing.debt
    return waterfall(proceeds, costs, penal=debt.penal, interest=debt.interest, principal=debt.principal)


def proceeds_to_borrower(standing: LoanCoverage, buyer_id: str, proceeds: Money, costs: Money) -> list[Leg]:
    """Money of a sale on its way: the buyer pays, the lender keeps the costs, the rest is the borrower's, who
    pays the debt from it in the same commit."""
    loan = standing.stored.loan
    return [payment(buyer_id, loan.lender, costs), payment(buyer_id, loan.borrower, proceeds - costs)]


def settle_proceeds(unit: UnitOfWork, context: Context, standing: LoanCoverage, flow: Waterfall) -> None:
    """Pay the debt from the proceeds that reached the borrower; the surplus stays there."""
    paid = flow.penal + flow.interest + flow.principal
    if paid:
        record_event(unit, context, standing.stored, Disposal(amount_fen=paid), EntryKind.DISPOSAL)


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
