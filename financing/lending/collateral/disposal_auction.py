"""Disposal of pledged credits at a falling-price auction: the price falls step by step from above the mark to the
reserve; whoever takes a quantity pays at once, and the proceeds go through the loan's waterfall in the same commit.

What is on sale waits in escrow and counts as pledged until it is sold. What is not sold goes back under the pledge; a
lender that resets the price opens the next auction. Sales stop when the debt is paid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from pydantic import Field

from financing.base.commands import FenPerTonne, Kilograms, Moment, SignedAt, use_case
from financing.base.context import Context
from financing.base.errors import AuctionClosed, DisposalNotAllowed, NotPermitted
from financing.base.quantities import Carbon, Rate
from financing.ledger.accounts import AccountKey, Asset, escrow, pledged
from financing.ledger.entries import EntryKind
from financing.ledger.posting import Leg, post_entry
from financing.ledger.signing import id_to_sign
from financing.lending.collateral import pledge as pledge_rules
from financing.lending.collateral.disposal import DisposalLot, Waterfall, plan_disposal, reserve_price
from financing.lending.collateral.disposing import close_call_after_sale, distribute, require_ground, valued_lot
from financing.lending.collateral.pledge import StoredPledge
from financing.lending.collateral.standing import LoanCoverage, loan_coverage
from financing.lending.loans.loan import LoanState
from financing.lending.unit import UnitOfWork
from financing.market.auctions.commands import TakeAtAsking, close_auction, take_dutch, withdraw_auction
from financing.market.auctions.contracts import offered
from financing.market.auctions.store import Auction, Contract
from financing.market.auctions.terms import Format, Terms
from financing.market.delivery import rules_of
from financing.market.fees import quote
from financing.valuation.pools import require_priced


class AuctionCollateral(SignedAt):
    """A falling-price auction of pledged credits. The reserve is the mark less the haircut; it is not chosen."""

    quantity_kg: Kilograms = Field(description="whole tonnes: a multiple of 1000")
    start_fen_per_tonne: FenPerTonne
    decrement_fen_per_tonne: FenPerTonne
    step_seconds: int = Field(strict=True, ge=1, le=86_400)
    opens_at: Moment
    closes_at: Moment


@dataclass(frozen=True, slots=True)
class Taken:
    """A buyer's contract, and where the money went if a lender sold collateral."""

    contract: Contract
    waterfall: Waterfall | None


@use_case
def auction_collateral(unit: UnitOfWork, context: Context, pledge_id: str, command: AuctionCollateral) -> Auction:
    """Put pledged credits up for a falling-price auction, as the lender, when there is a ground to sell.

    The reserve is the mark × (1 − haircut), and no more is sold than pays the debt and the costs at the reserve. Raises
    `DisposalNotAllowed`, `PriceMissing` and its kin, `InsufficientBalance` (on sale already), and what `Terms` refuses.
    """
    stored = unit.pledges.get(pledge_id)
    context.require_party(stored.pledge.pledgee)
    if stored.pledge.loan_id is None:
        raise DisposalNotAllowed("the pledge secures no loan", pledge_id=pledge_id)
    standing = loan_coverage(unit, context, stored.pledge.loan_id)
    product = require_ground(context, standing)
    _require_needed(
        standing,
        stored,
        command.quantity_kg,
        plan_disposal(standing.debt.total, require_priced(standing.pool), product),
    )
    pledge_rules.dispose(stored.pledge, command.quantity_kg)
    rules = rules_of(context)
    terms = Terms(
        auction_id=id_to_sign(unit, context, "auc", command),
        seller=context.actor.id,
        asset=stored.pledge.lot.asset,
        quantity=command.quantity_kg,
        format=Format.DUTCH,
        reserve=reserve_price(valued_lot(standing, stored)),
        increment=command.decrement_fen_per_tonne,
        start=command.start_fen_per_tonne,
        step=timedelta(seconds=command.step_seconds),
        extension=timedelta(seconds=0),
        deposit=Rate(rules.deposit_bps),
        opens_at=command.opens_at,
        closes_at=command.closes_at,
        reveal_until=command.closes_at,
        pay_within=timedelta(seconds=86_400),
    )
    if command.closes_at <= context.at:
        raise AuctionClosed("the auction would close before it is opened", closes_at=str(command.closes_at))
    terms = offered(unit, context, terms, command)
    leg = Leg(_under_pledge(stored), _on_sale(terms), terms.quantity)
    post_entry(unit, context, EntryKind.ESCROW, terms.auction_id, [leg])
    unit.auctions.add(terms)
    unit.auctions.add_disposal_auction(terms.auction_id, pledge_id, stored.pledge.loan_id, context.at)
    return unit.auctions.get(terms.auction_id)


@use_case
def take_asking_price(unit: UnitOfWork, context: Context, auction_id: str, command: TakeAtAsking) -> Taken:
    """Take credits at the asking price of now. In a lender's disposal the proceeds pay costs and debt at once.

    Raises as `take_dutch`; `DisposalNotAllowed` when the loan was cured meanwhile, `NotPermitted` for the pledgor.
    """
    disposal = unit.auctions.disposal_auction(auction_id)
    if disposal is None:
        return Taken(take_dutch(unit, context, auction_id, command), None)
    (pledge_id, loan_id), quantity = disposal, command.quantity_kg
    stored, standing = unit.pledges.get(pledge_id), loan_coverage(unit, context, loan_id)
    if context.actor.id == stored.pledge.pledgor:
        raise NotPermitted("the pledgor cannot buy its own collateral; it can repay", pledge_id=pledge_id)
    product = require_ground(context, standing)
    contract = take_dutch(unit, context, auction_id, command)
    proceeds = quote(quantity, contract.price, rules_of(context)).seller_gets
    flow = distribute(unit, context, standing, product, proceeds)
    unit.pledges.save(pledge_rules.dispose(stored.pledge, quantity))
    auction = unit.auctions.get(auction_id)
    if auction.left and unit.loans.get(loan_id).loan.state is not LoanState.ACTIVE:
        _take_back(unit, context, auction, unit.pledges.get(pledge_id), "done")
    close_call_after_sale(unit, context, loan_id)
    return Taken(contract, flow)


@use_case
def close_any(unit: UnitOfWork, context: Context, auction_id: str) -> Auction:
    """Close any auction whose time is over: collateral that is not sold goes back under its pledge."""
    if unit.auctions.disposal_auction(auction_id) is None:
        return close_auction(unit, context, auction_id)[0]
    if context.at < unit.auctions.get(auction_id).closes_at:
        raise AuctionClosed("the auction still runs", auction_id=auction_id)
    return end_disposal(unit, context, auction_id)


@use_case
def withdraw_any(unit: UnitOfWork, context: Context, auction_id: str) -> Auction:
    """Take any auction back as its seller: collateral goes back under its pledge."""
    if unit.auctions.disposal_auction(auction_id) is None:
        return withdraw_auction(unit, context, auction_id)
    context.require_party(unit.auctions.get(auction_id).terms.seller)
    return end_disposal(unit, context, auction_id)


def end_disposal(unit: UnitOfWork, context: Context, auction_id: str) -> Auction:
    """Take what is unsold back under the pledge: as the lender at any time, as anyone after the auction's end.

    Raises `AuctionClosed` when it is over already, `NotPermitted`.
    """
    disposal = unit.auctions.disposal_auction(auction_id)
    auction = unit.auctions.get(auction_id)
    if disposal is None:
        raise NotPermitted("this auction sells no collateral", auction_id=auction_id)
    if auction.state != "running":
        raise AuctionClosed(f"the auction is {auction.state}", auction_id=auction_id)
    if context.at < auction.closes_at:
        context.require_party(auction.terms.seller)
    state = "unsold" if auction.left == auction.terms.quantity else "done"
    return _take_back(unit, context, auction, unit.pledges.get(disposal[0]), state)


def _take_back(unit: UnitOfWork, context: Context, auction: Auction, stored: StoredPledge, state: str) -> Auction:
    leg = Leg(_on_sale(auction.terms), _under_pledge(stored), auction.left)
    post_entry(unit, context, EntryKind.ESCROW_RETURN, auction.terms.auction_id, [leg])
    unit.auctions.save(replace(auction, left=Carbon(0), state=state))
    return unit.auctions.get(auction.terms.auction_id)


def _require_needed(
    standing: LoanCoverage, stored: StoredPledge, quantity: Carbon, plan: tuple[DisposalLot, ...]
) -> None:
    needed = sum((part.lot.quantity for part in plan if part.lot.asset == stored.pledge.lot.asset), Carbon(0))
    if quantity > needed:
        raise DisposalNotAllowed(
            "this is more than pays the debt and the costs at the reserve price",
            needed_kg=needed.kg,
            asked_kg=quantity.kg,
            debt_fen=standing.debt.total.fen,
        )


def _under_pledge(stored: StoredPledge) -> AccountKey:
    return pledged(stored.pledge.pledgor, Asset(stored.pledge.lot.asset), stored.pledge.pledge_id)


def _on_sale(terms: Terms) -> AccountKey:
    return escrow(terms.seller, Asset(terms.asset), terms.auction_id)
