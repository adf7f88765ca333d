"""Open ascending bids: each above the best by the increment; a late bid moves the end so that others can answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from financing.base.errors import BidTooLow, NotPermitted
from financing.base.quantities import Price
from financing.market.auctions.terms import Terms, require_running


@dataclass(frozen=True, slots=True)
class OpenBid:
    bidder: str
    price: Price
    at: datetime


def place(
    terms: Terms, closes_at: datetime, best: OpenBid | None, bidder: str, price: Price, at: datetime
) -> tuple[OpenBid, datetime]:
    """The new best bid and the end of the auction after it.

    Raises `AuctionClosed`, `NotPermitted` (the seller, or the best bidder against itself), `BidTooLow` below the start
    or the increment. A bid below the reserve is taken and does not sell: the reserve is not shown before the end.
    """
    require_running(terms, closes_at, at)
    if bidder == terms.seller:
        raise NotPermitted("the seller does not bid", auction_id=terms.auction_id)
    if best is not None and best.bidder == bidder:
        raise NotPermitted("this bidder leads already", auction_id=terms.auction_id)
    lowest = terms.start if best is None else best.price + terms.increment
    if price < lowest:
        raise BidTooLow("the bid is below the lowest that counts", lowest_fen_per_tonne=lowest.amount)
    late = closes_at - at < terms.extension
    return OpenBid(bidder, price, at), at + terms.extension if late else closes_at


def winner(terms: Terms, best: OpenBid | None) -> OpenBid | None:
    """Who bought: the best bid if it reaches the reserve."""
    return best if best is not None and best.price >= terms.reserve else None
