"""The contract that an auction ends in: drawn up from the terms, signed by both sides, then paid or in default."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from financing.base.commands import UNSIGNED, Signed, SignedAt, use_case
from financing.base.context import Context
from financing.base.errors import InvalidState
from financing.base.quantities import Money
from financing.ledger.accounts import CNY, Asset, cash, escrow, holding
from financing.ledger.entries import EntryKind
from financing.ledger.posting import Leg, give_back, post_entry
from financing.ledger.signing import signed_by_actor
from financing.market.auctions.store import Contract
from financing.market.auctions.terms import Format, Terms
from financing.market.delivery import Delivery, deliver, rules_of
from financing.market.fees import quote
from financing.market.unit import MarketUnit

DOMAIN = "tanxin-auction-contract-v1"
OFFER_DOMAIN = "tanxin-auction-offer-v1"


def bid_reference(auction_id: str, bidder: str) -> str:
    """What a bidder's deposit is in escrow for."""
    return f"{auction_id}:{bidder}"


def contract_document(terms: Terms, contract: Contract) -> dict[str, Any]:
    """The contract's content as both sides sign it: exact amounts, no text that could be read two ways."""
    return {
        "contract_id": contract.award_id,
        "auction_id": terms.auction_id,
        "format": terms.format.value,
        "seller": terms.seller,
        "buyer": contract.bidder,
        "asset": terms.asset,
        "quantity_kg": contract.quantity.kg,
        "price_fen_per_tonne": contract.price.amount,
        "amount_fen": contract.price.cost_of(contract.quantity).fen,
        "due_at": contract.due_at.isoformat(),
        "default": "the deposit is the seller's and the credits stay with it",
    }


def offer_document(terms: Terms) -> dict[str, Any]:
    """What the seller of a falling-price auction signs: the first to take at the asking price has a contract."""
    return {
        "auction_id": terms.auction_id,
        "format": terms.format.value,
        "seller": terms.seller,
        "asset": terms.asset,
        "quantity_kg": terms.quantity.kg,
        "start_fen_per_tonne": terms.start.amount,
        "decrement_fen_per_tonne": terms.increment.amount,
        "step_seconds": int(terms.step.total_seconds()),
        "reserve_fen_per_tonne": terms.reserve.amount,
        "opens_at": terms.opens_at.isoformat(),
        "closes_at": terms.closes_at.isoformat(),
    }


def offered(unit: MarketUnit, context: Context, terms: Terms, command: SignedAt) -> Terms:
    """The terms, signed by their seller if they make an offer that a buyer's word alone turns into a sale.

    Raises `InvalidState` where this signature opened an auction already, and what `signed_by_actor` refuses.
    """
    if terms.format is not Format.DUTCH:
        return terms
    signed_at = command.moment(context.at).isoformat()
    offer = signed_by_actor(unit, context, OFFER_DOMAIN, offer_document(terms), command, signed_at=signed_at)
    if unit.auctions.is_known(terms.auction_id):
        raise InvalidState("this signature opened an auction already", auction_id=terms.auction_id)
    return replace(terms, offer=offer)


def taken(unit: MarketUnit, context: Context, terms: Terms, contract: Contract, command: SignedAt) -> Contract:
    """A contract that a taking makes: the seller's signature is on its offer, the buyer's on the contract.

    Raises `InvalidState` where this signature took already, and what `signed_by_actor` refuses.
    """
    signed_at = command.moment(context.at).isoformat()
    document = contract_document(terms, contract)
    acceptance = signed_by_actor(unit, context, DOMAIN, document, command, signed_at=signed_at)
    if any(each.award_id == contract.award_id for each in unit.auctions.contracts(terms.auction_id)):
        raise InvalidState("this signature took credits already", award_id=contract.award_id)
    return replace(contract, signatures=(acceptance,) if terms.offer is None else (terms.offer, acceptance))


@use_case
def sign_contract(unit: MarketUnit, context: Context, award_id: str, command: Signed = UNSIGNED) -> Contract:
    """Sign as one side. Raises `NotPermitted`, `InvalidState` when this side has signed or it is past that, and what
    `signed_by_actor` refuses."""
    contract = unit.auctions.contract(award_id)
    terms = unit.auctions.get(contract.auction_id).terms
    context.require_party(terms.seller, contract.bidder)
    if contract.state != "contract" or any(each.signer_id == context.actor.id for each in contract.signatures):
        raise InvalidState("this side has signed, or the contract is settled", award_id=award_id)
    made = signed_by_actor(unit, context, DOMAIN, contract_document(terms, contract), command)
    signatures = (*contract.signatures, made)
    signed = replace(contract, signatures=signatures, state="signed" if len(signatures) == 2 else "contract")
    unit.auctions.save_contract(signed)
    return signed


@use_case
def pay_contract(unit: MarketUnit, context: Context, award_id: str) -> Contract:
    """Pay what the deposit does not cover, as the winner: credits and money change hands in one entry.

    Raises `InvalidState` before both have signed or after the due time, `InsufficientBalance`, `CreditsFrozen`.
    """
    contract = unit.auctions.contract(award_id)
    auction = unit.auctions.get(contract.auction_id)
    terms, buyer = auction.terms, contract.bidder
    context.require_party(buyer)
    if contract.state != "signed":
        raise InvalidState(f"the contract is {contract.state}", award_id=award_id)
    if context.at > contract.due_at:
        raise InvalidState("the time to pay is over", due_at=str(contract.due_at))
    kept = escrow(buyer, CNY, bid_reference(terms.auction_id, buyer))
    owed = quote(contract.quantity, contract.price, rules_of(context)).buyer_pays
    deposit = Money(unit.ledger.balance(kept).posted)
    if deposit < owed:
        post_entry(unit, context, EntryKind.ESCROW, award_id, [Leg(cash(buyer), kept, owed - deposit)])
    asset = Asset(terms.asset)
    sale = Delivery(
        seller=terms.seller,
        buyer=buyer,
        asset=asset,
        quantity=contract.quantity,
        price=contract.price,
        credits_from=escrow(terms.seller, asset, terms.auction_id),
        money_from=kept,
        credits_to=holding(buyer, asset),
    )
    booked, _ = deliver(unit, context, sale, "auction", award_id)
    give_back(unit, context, buyer, CNY, bid_reference(terms.auction_id, buyer))
    paid = replace(contract, state="paid")
    unit.auctions.save_contract(paid, entry_id=booked.entry_id)
    _finish(unit, terms.auction_id, contract)
    return paid


@use_case
def default_contract(unit: MarketUnit, context: Context, award_id: str) -> Contract:
    """End a contract that was not paid in time; the credits go back to the seller.

    The deposit is the seller's if it had signed, and the winner's own again, at the winner's word, if it had not: a
    seller that withholds its signature gains nothing by it. Raises `InvalidState` before the due time, for a seller
    that has not signed, and for a winner that could have paid.
    """
    contract = unit.auctions.contract(award_id)
    terms = unit.auctions.get(contract.auction_id).terms
    context.require_party(terms.seller, contract.bidder)
    if contract.state not in {"contract", "signed"}:
        raise InvalidState(f"the contract is {contract.state}", award_id=award_id)
    if context.at <= contract.due_at:
        raise InvalidState("there is time to sign and pay", due_at=str(contract.due_at))
    seller_signed = any(each.signer_id == terms.seller for each in contract.signatures)
    if seller_signed is not (context.actor.id == terms.seller):
        raise InvalidState("the other side kept to the contract, or this side did not", award_id=award_id)
    kept = escrow(contract.bidder, CNY, bid_reference(terms.auction_id, contract.bidder))
    asset = Asset(terms.asset)
    deposit_to = cash(terms.seller if seller_signed else contract.bidder)
    legs = [
        Leg(kept, deposit_to, Money(unit.ledger.balance(kept).posted)),
        Leg(escrow(terms.seller, asset, terms.auction_id), holding(terms.seller, asset), contract.quantity),
    ]
    post_entry(unit, context, EntryKind.PENALTY if seller_signed else EntryKind.ESCROW_RETURN, award_id, legs)
    defaulted = replace(contract, state="defaulted")
    unit.auctions.save_contract(defaulted)
    _finish(unit, terms.auction_id, contract)
    return defaulted


def _finish(unit: MarketUnit, auction_id: str, ended: Contract) -> None:
    auction = unit.auctions.get(auction_id)
    pending = [each for each in unit.auctions.contracts(auction_id) if each.state in {"contract", "signed"}]
    state = auction.state if pending else "done"
    unit.auctions.save(replace(auction, left=auction.left - ended.quantity, state=state))
