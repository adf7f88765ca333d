"""What a seller sets before an auction opens, and what is shown of it while it runs.

The seller's lot is in escrow from the start. A bidder's deposit is in escrow from its first bid; it is returned to
losers, counts towards a winner's price, and is the seller's if a winner does not pay or a sealed bid is not revealed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from financing.base.errors import AuctionClosed, PeriodInvalid, QuantityOutOfRange
from financing.base.quantities import KG_PER_TONNE, Carbon, Money, Price, Rate, require_utc
from financing.base.signing import Signature


class Format(StrEnum):
    ENGLISH = "english"
    FIRST_PRICE = "first_price"
    VICKREY = "vickrey"
    UNIFORM = "uniform"
    DUTCH = "dutch"

    @property
    def sealed(self) -> bool:
        """Bids are commitments until the auction has closed, then they are revealed."""
        return self in {Format.FIRST_PRICE, Format.VICKREY, Format.UNIFORM}

    @property
    def whole_lot(self) -> bool:
        """One winner takes all of it."""
        return self in {Format.ENGLISH, Format.FIRST_PRICE, Format.VICKREY}


@dataclass(frozen=True, slots=True)
class Terms:
    """`reserve` is the lowest price that sells. English: `increment` and `extension` (anti-snipe). Dutch: from `start`
    down by `increment` every `step`. Sealed: bids are revealed until `reveal_until`."""

    auction_id: str
    seller: str
    asset: str
    quantity: Carbon
    format: Format
    reserve: Price
    increment: Price
    start: Price
    step: timedelta
    extension: timedelta
    deposit: Rate
    opens_at: datetime
    closes_at: datetime
    reveal_until: datetime
    pay_within: timedelta
    offer: Signature | None = None  # the seller's, on `offer_document`, where a buyer's word makes the sale

    def __post_init__(self) -> None:
        for name in ("opens_at", "closes_at", "reveal_until"):
            object.__setattr__(self, name, require_utc(getattr(self, name)))
        if self.quantity.require_positive().kg % KG_PER_TONNE:
            raise QuantityOutOfRange("the tradable lot is one tonne", quantity_kg=self.quantity.kg)
        self.reserve.require_positive()
        self.increment.require_positive()
        if not self.opens_at < self.closes_at <= self.reveal_until:
            raise PeriodInvalid("an auction opens, closes, and is revealed, in this order")
        if self.format.sealed and self.reveal_until == self.closes_at:
            raise PeriodInvalid("sealed bids need time to be revealed")
        if self.format is Format.DUTCH and (self.start < self.reserve or self.step <= timedelta(0)):
            raise QuantityOutOfRange("a Dutch auction starts at or above its reserve and falls step by step")

    def deposit_for(self, quantity: Carbon) -> Money:
        """The deposit for a bid on `quantity`: a share of its value at the reserve, rounded up to the fen."""
        return self.reserve.cost_of(quantity).scaled_ceil(self.deposit.fraction())


def require_running(terms: Terms, closes_at: datetime, at: datetime) -> None:
    """Raise `AuctionClosed` unless bids are taken at `at`; `closes_at` is the end as extended so far."""
    if at < terms.opens_at:
        raise AuctionClosed("the auction has not opened", opens_at=str(terms.opens_at))
    if at >= closes_at:
        raise AuctionClosed("the auction has closed", closed_at=str(closes_at))


def require_bid_quantity(terms: Terms, quantity: Carbon) -> None:
    """Raise `QuantityOutOfRange` unless the quantity is whole lots that the auction can give one bidder."""
    if quantity.require_positive().kg % KG_PER_TONNE:
        raise QuantityOutOfRange("the tradable lot is one tonne", quantity_kg=quantity.kg)
    if quantity > terms.quantity or (terms.format.whole_lot and quantity != terms.quantity):
        raise QuantityOutOfRange("the bid is for another quantity than is on sale", on_sale_kg=terms.quantity.kg)


def dutch_price(terms: Terms, at: datetime) -> Price:
    """The asking price of a Dutch auction at `at`: never below the reserve."""
    steps = max(0, (require_utc(at) - terms.opens_at) // terms.step)
    return max(terms.reserve, Price(terms.start.amount - steps * terms.increment.amount))
