"""Over the counter: listings for anyone or for one named buyer, deals signed by both sides, requests for quotes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from financing.base.errors import InvalidState, NotPermitted, OfferExpired, QuantityOutOfRange
from financing.base.quantities import KG_PER_TONNE, Carbon, Price, require_utc
from financing.base.signing import Signature, message_of

DEAL_DOMAIN = "tanxin-deal-v1"


@dataclass(frozen=True, slots=True)
class Sale:
    """Who sells what to whom, how much of it, and at which price in fen per tonne."""

    seller: str
    buyer: str
    asset: str
    quantity: Carbon
    price: Price


@dataclass(frozen=True, slots=True)
class Listing:
    """A seller's offer to anyone, or to the `buyer` that it names. Parts of whole lots may be taken.

    What is left of it is in escrow. A lender's sale of collateral has a `pledge_id` instead: its credits stay under
    that pledge until they are paid for.
    """

    listing_id: str
    seller: str
    asset: str
    quantity: Carbon
    left: Carbon
    price: Price
    listed_at: datetime
    expires_at: datetime
    state: str = "open"
    buyer: str | None = None
    pledge_id: str | None = None

    def __post_init__(self) -> None:
        if self.seller == self.buyer:
            raise NotPermitted("nobody sells to itself", seller=self.seller)
        require_lots(self.quantity)
        self.price.require_positive()
        if require_utc(self.expires_at) <= require_utc(self.listed_at):
            raise OfferExpired("the listing would expire before it is made", expires_at=str(self.expires_at))

    def shown_to(self, party: str) -> bool:
        """Whether a party may know of the listing: an addressed one is between its seller and its buyer."""
        return self.buyer is None or party in {self.seller, self.buyer}

    def state_at(self, at: datetime) -> str:
        """What anyone is shown: an open listing past its expiry is expired, stored or not."""
        return "expired" if self.state == "open" and at >= self.expires_at else self.state


def take(listing: Listing, buyer: str, quantity: Carbon, at: datetime) -> Listing:
    """Take part or all of a listing. Raises `NotPermitted`, `OfferExpired`, `InvalidState`, `QuantityOutOfRange`."""
    if buyer == listing.seller:
        raise NotPermitted("nobody buys from itself", listing_id=listing.listing_id)
    if listing.buyer not in {None, buyer}:
        raise NotPermitted("only the named buyer can take it", listing_id=listing.listing_id)
    require_open(listing.state_at(at), listing.listing_id)
    if at < listing.listed_at:
        raise InvalidState("the listing is not made yet", listing_id=listing.listing_id)
    require_lots(quantity)
    if quantity > listing.left:
        raise QuantityOutOfRange("the listing has less left", left_kg=listing.left.kg, asked_kg=quantity.kg)
    left = listing.left - quantity
    return replace(listing, left=left, state="open" if left else "sold")


def end(listing: Listing, party: str, at: datetime) -> Listing:
    """Withdraw a listing as its seller, or store that it expired, as anyone it is shown to.

    Raises `NotPermitted`, `InvalidState` when it is over already.
    """
    state = listing.state_at(at)
    if listing.state != "open":
        raise InvalidState(f"the listing is {state}", listing_id=listing.listing_id)
    if party != listing.seller and not (state == "expired" and listing.shown_to(party)):
        raise NotPermitted("only the seller can take it back", listing_id=listing.listing_id)
    return replace(listing, state="withdrawn" if state == "open" else "expired")


@dataclass(frozen=True, slots=True)
class Deal(Sale):
    """A bilateral sale. A side's signature puts what it owes into escrow; the second one settles."""

    deal_id: str
    proposer: str
    proposed_at: datetime
    expires_at: datetime
    state: str = "proposed"
    signatures: tuple[Signature, ...] = ()

    def __post_init__(self) -> None:
        if self.seller == self.buyer:
            raise NotPermitted("nobody sells to itself", seller=self.seller)
        if self.proposer not in {self.seller, self.buyer}:
            raise NotPermitted("a deal is proposed by one of its sides", proposer=self.proposer)
        require_lots(self.quantity)
        self.price.require_positive()
        if require_utc(self.expires_at) <= require_utc(self.proposed_at):
            raise OfferExpired("the deal would expire before it is made", expires_at=str(self.expires_at))

    def document(self) -> dict[str, Any]:
        """What both sides sign."""
        return {
            "deal_id": self.deal_id,
            "seller": self.seller,
            "buyer": self.buyer,
            "asset": self.asset,
            "quantity_kg": self.quantity.kg,
            "price_fen_per_tonne": self.price.amount,
            "expires_at": self.expires_at.isoformat(),
        }

    def message(self) -> bytes:
        return message_of(DEAL_DOMAIN, self.document())

    def signed_by(self, party: str) -> bool:
        return any(each.signer_id == party for each in self.signatures)

    def state_at(self, at: datetime) -> str:
        return "expired" if self.state == "proposed" and at >= self.expires_at else self.state


def countersign(deal: Deal, signature: Signature, at: datetime) -> Deal:
    """The deal with one more signature; `settled` with the second.

    Raises `NotPermitted`, `InvalidState`, `OfferExpired`.
    """
    if signature.signer_id not in {deal.seller, deal.buyer}:
        raise NotPermitted("only a side of the deal signs it", deal_id=deal.deal_id)
    require_open("open" if deal.state_at(at) == "proposed" else deal.state_at(at), deal.deal_id)
    if deal.signed_by(signature.signer_id):
        raise InvalidState("this side has signed", deal_id=deal.deal_id)
    signatures = (*deal.signatures, signature)
    return replace(deal, signatures=signatures, state="settled" if len(signatures) == 2 else "proposed")


@dataclass(frozen=True, slots=True)
class QuoteRequest:
    """A wish to buy or sell: `side` is the requester's. What is asked for is an asset class, or one asset."""

    request_id: str
    requester: str
    side: str
    wanted: str
    quantity: Carbon
    requested_at: datetime
    expires_at: datetime
    state: str = "open"

    def __post_init__(self) -> None:
        require_lots(self.quantity)
        if self.side not in {"buy", "sell"}:
            raise QuantityOutOfRange("a side is buy or sell", side=self.side)
        if require_utc(self.expires_at) <= require_utc(self.requested_at):
            raise OfferExpired("the request would expire before it is made", expires_at=str(self.expires_at))

    def state_at(self, at: datetime) -> str:
        return "expired" if self.state == "open" and at >= self.expires_at else self.state


@dataclass(frozen=True, slots=True)
class QuoteGiven:
    """A firm answer to a request: what the maker owes is in escrow until it is taken or lapses."""

    quote_id: str
    request_id: str
    maker: str
    asset: str
    quantity: Carbon
    price: Price
    quoted_at: datetime
    expires_at: datetime
    state: str = "open"

    def state_at(self, at: datetime) -> str:
        return "expired" if self.state == "open" and at >= self.expires_at else self.state


def require_lots(quantity: Carbon) -> None:
    if quantity.require_positive().kg % KG_PER_TONNE:
        raise QuantityOutOfRange("the tradable lot is one tonne", quantity_kg=quantity.kg)


def require_open(state: str, reference: str) -> None:
    if state == "expired":
        raise OfferExpired("it has expired", reference=reference)
    if state != "open":
        raise InvalidState(f"it is {state}", reference=reference)
