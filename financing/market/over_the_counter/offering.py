"""Over-the-counter sales: the seller's credits are set aside with the offer and settle against payment in one entry."""

from __future__ import annotations

from pydantic import Field

from financing.base.commands import Command, FenPerTonne, Id, Kilograms, Moment, issued_by
from financing.base.context import HOLDERS, Context
from financing.ledger.accounts import Asset, holding
from financing.ledger.entries import EntryKind
from financing.ledger.posting import Leg, payment, post_entry
from financing.market.over_the_counter import offers as otc
from financing.market.over_the_counter.offers import Offer, Settlement
from financing.market.prices.store import StoredOffer
from financing.market.unit import MarketUnit


class MakeOffer(Command):
    buyer_id: Id
    issuance_id: Id
    quantity_kg: Kilograms = Field(description="whole tonnes: a multiple of 1000")
    price_fen_per_tonne: FenPerTonne
    expires_at: Moment


@issued_by()
def make_offer(unit: MarketUnit, context: Context, command: MakeOffer) -> StoredOffer:
    """Offer credits of the actor's holding to one buyer and set them aside until it ends.

    Raises `CreditsPledged`, `InsufficientBalance`, `NotFound`, and what `Offer` itself refuses.
    """
    unit.organisations.require_kind(command.buyer_id, *HOLDERS)
    asset = Asset.credits(unit.issuances.get(command.issuance_id).issuance_id)
    offer = Offer(
        offer_id=context.new_id("off"),
        seller=context.actor.id,
        buyer=command.buyer_id,
        asset=asset.code,
        quantity=command.quantity_kg,
        price=command.price_fen_per_tonne,
        offered_at=context.at,
        expires_at=command.expires_at,
    )
    unit.ledger.reserve(
        context.new_id("hld"),
        holding(offer.seller, asset),
        offer.quantity.kg,
        reference=offer.offer_id,
        at=context.at,
        expires_at=offer.expires_at,
    )
    unit.market.add_offer(offer, pledge_id=None)
    return unit.market.offer(offer.offer_id)


def settle_offer(unit: MarketUnit, context: Context, stored: StoredOffer) -> StoredOffer:
    """Accept an ordinary offer as its buyer: credits and money change hands in one entry.

    Raises `NotPermitted`, `OfferExpired`, `InvalidState`, `InsufficientBalance` when the buyer cannot pay.
    """
    accepted, terms = otc.accept(stored.offer, context.actor.id, context.at)
    unit.ledger.close_hold(accepted.offer_id, "posted", at=context.at)
    entry_id = _deliver_versus_payment(unit, context, accepted.offer_id, terms)
    unit.market.close_offer(accepted, entry_id=entry_id)
    return unit.market.offer(accepted.offer_id)


@issued_by()
def withdraw_offer(unit: MarketUnit, context: Context, offer_id: str) -> StoredOffer:
    """Take an offer back as its seller and free the credits."""
    stored = unit.market.offer(offer_id)
    withdrawn = otc.withdraw(stored.offer, context.actor.id, context.at)
    return _end(unit, context, stored, withdrawn, "voided")


@issued_by()
def expire_offer(unit: MarketUnit, context: Context, offer_id: str) -> StoredOffer:
    """End a lapsed offer, as either party, and free the credits."""
    stored = unit.market.offer(offer_id)
    context.require_party(stored.offer.seller, stored.offer.buyer)
    return _end(unit, context, stored, otc.expire(stored.offer, context.at), "expired")


def _end(unit: MarketUnit, context: Context, stored: StoredOffer, ended: Offer, state: str) -> StoredOffer:
    if stored.pledge_id is None:
        unit.ledger.close_hold(ended.offer_id, state, at=context.at)
    unit.market.close_offer(ended)
    return unit.market.offer(ended.offer_id)


def _deliver_versus_payment(unit: MarketUnit, context: Context, reference: str, terms: Settlement) -> int:
    asset = Asset(terms.asset)
    moved = post_entry(
        unit,
        context,
        EntryKind.TRADE,
        reference,
        [
            Leg(holding(terms.seller, asset), holding(terms.buyer, asset), terms.quantity),
            payment(terms.buyer, terms.seller, terms.amount),
        ],
    )
    return moved.entry_id
