"""Over-the-counter offers: one named buyer, whole lots, a price, an expiry; settled delivery versus payment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from financing.base.errors import (
    InvalidState,
    NotPermitted,
    OfferExpired,
    QuantityOutOfRange,
)
from financing.base.quantities import (
    KG_PER_TONNE,
    Carbon,
    Money,
    Price,
    require_utc,
)


class OfferState(StrEnum):
    OPEN = "open"
    ACCEPTED = "accepted"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Settlement:
    """Both legs of a sale, to be booked as one entry: `quantity` of `asset` to the buyer, `amount` to the seller."""

    seller: str
    buyer: str
    asset: str
    quantity: Carbon
    amount: Money


@dataclass(frozen=True, slots=True)
class Sale:
    """Who sells what to whom, how much of it, and at which price in fen per tonne."""

    seller: str
    buyer: str
    asset: str
    quantity: Carbon
    price: Price


@dataclass(frozen=True, slots=True)
class Offer(Sale):
    """A seller's binding offer to one buyer. The lot is 1 t; the price is fen per tonne."""

    offer_id: str
    offered_at: datetime
    expires_at: datetime
    state: OfferState = OfferState.OPEN

    def __post_init__(self) -> None:
        object.__setattr__(self, "offered_at", require_utc(self.offered_at))
        object.__setattr__(self, "expires_at", require_utc(self.expires_at))
        if self.seller == self.buyer:
            raise NotPermitted("nobody sells to itself", seller=self.seller)
        if self.quantity.require_positive().kg % KG_PER_TONNE:
            raise QuantityOutOfRange("the tradable lot is one tonne", quantity_kg=self.quantity.kg)
        self.price.require_positive()
        if self.expires_at <= self.offered_at:
            raise OfferExpired("the offer would expire before it is made", expires_at=str(self.expires_at))

    def settlement(self) -> Settlement:
        """Terms of the sale: price × quantity, half to even (exact for whole lots)."""
        return Settlement(self.seller, self.buyer, self.asset, self.quantity, self.price.cost_of(self.quantity))


def state_at(offer: Offer, at: datetime) -> OfferState:
    """The state anyone should be shown at `at`: an open offer past its expiry is expired, stored or not."""
    lapsed = offer.state is OfferState.OPEN and require_utc(at) >= offer.expires_at
    return OfferState.EXPIRED if lapsed else offer.state


def accept(offer: Offer, buyer: str, at: datetime) -> tuple[Offer, Settlement]:
    """Accept as the named buyer. Raises `NotPermitted`, `OfferExpired`, or `InvalidState` if it is no longer open."""
    if buyer != offer.buyer:
        raise NotPermitted("only the named buyer can accept", offer_id=offer.offer_id)
    _require_open(offer, at)
    return replace(offer, state=OfferState.ACCEPTED), offer.settlement()


def withdraw(offer: Offer, seller: str, at: datetime) -> Offer:
    """Take the offer back as its seller. Raises as `accept`."""
    if seller != offer.seller:
        raise NotPermitted("only the seller can withdraw", offer_id=offer.offer_id)
    _require_open(offer, at)
    return replace(offer, state=OfferState.WITHDRAWN)


def expire(offer: Offer, at: datetime) -> Offer:
    """Store that the offer lapsed. Raises `InvalidState` if it has not."""
    if offer.state is not OfferState.OPEN or state_at(offer, at) is not OfferState.EXPIRED:
        raise InvalidState("the offer has not lapsed", offer_id=offer.offer_id)
    return replace(offer, state=OfferState.EXPIRED)


def _require_open(offer: Offer, at: datetime) -> None:
    state = state_at(offer, at)
    if state is OfferState.EXPIRED:
        raise OfferExpired("the offer has expired", offer_id=offer.offer_id, expires_at=str(offer.expires_at))
    if state is not OfferState.OPEN:
        raise InvalidState(f"the offer is {state}", offer_id=offer.offer_id)
    if require_utc(at) < offer.offered_at:
        raise InvalidState("the offer is not made yet", offer_id=offer.offer_id)
