"""Sealed bids: committed while the auction is open, revealed after it closed, and cleared by one of three rules.

A commitment is SHA-256 over the bid's canonical document with a nonce of the bidder; it binds and it hides, as long as
the nonce has 128 random bits. First-price: the highest bid pays its price. Vickrey: the highest bid pays the second
price, or the reserve. Uniform: every winner pays the lowest winning price; at the margin bids of one price share by
largest remainder, earlier commitments first. Source: Krishna, Auction Theory (2010), chapters 2, 12 and 13.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from financing.base.errors import BidTooLow, CommitmentMismatch
from financing.base.quantities import KG_PER_TONNE, Carbon, Price
from financing.base.signing import message_of
from financing.market.auctions.terms import Format, Terms

DOMAIN = "tanxin-sealed-bid-v1"


@dataclass(frozen=True, slots=True)
class SealedBid:
    """A revealed bid; `seq` is the order of commitments."""

    bidder: str
    price: Price
    quantity: Carbon
    seq: int


@dataclass(frozen=True, slots=True)
class Award:
    bidder: str
    quantity: Carbon
    price: Price


def commitment(auction_id: str, bidder: str, price: Price, quantity: Carbon, nonce: str) -> str:
    """What a bidder publishes while the auction is open: 64 hex digits."""
    document = {
        "auction_id": auction_id,
        "bidder": bidder,
        "price_fen_per_tonne": price.amount,
        "quantity_kg": quantity.kg,
        "nonce": nonce,
    }
    return hashlib.sha256(message_of(DOMAIN, document)).hexdigest()


def require_opens(committed: str, auction_id: str, bid: SealedBid, nonce: str) -> None:
    """Raise `CommitmentMismatch` unless `bid` and `nonce` are what was committed to."""
    if commitment(auction_id, bid.bidder, bid.price, bid.quantity, nonce) != committed:
        raise CommitmentMismatch("this is not the bid that was committed to", auction_id=auction_id)
    if bid.price <= Price(0):
        raise BidTooLow("a bid has a price")


def clear(terms: Terms, bids: list[SealedBid]) -> list[Award]:
    """Who gets how much at which price; empty when no revealed bid reaches the reserve."""
    valid = sorted((bid for bid in bids if bid.price >= terms.reserve), key=lambda bid: (-bid.price.amount, bid.seq))
    if not valid:
        return []
    if terms.format is Format.UNIFORM:
        return _uniform(terms, valid)
    best = valid[0]
    price = best.price
    if terms.format is Format.VICKREY:
        price = valid[1].price if len(valid) > 1 else terms.reserve
    return [Award(best.bidder, best.quantity, price)]


def _uniform(terms: Terms, bids: list[SealedBid]) -> list[Award]:
    lots = terms.quantity.kg // KG_PER_TONNE
    won: list[tuple[SealedBid, int]] = []
    for price in sorted({bid.price for bid in bids}, reverse=True):
        level = [bid for bid in bids if bid.price == price]
        asked = [bid.quantity.kg // KG_PER_TONNE for bid in level]
        shares = asked if sum(asked) <= lots else _largest_remainder(asked, lots)
        won += [(bid, share) for bid, share in zip(level, shares, strict=True) if share]
        lots -= sum(shares)
        if not lots:
            break
    clearing = won[-1][0].price if not lots else terms.reserve
    return [Award(bid.bidder, Carbon.from_tonnes(share), clearing) for bid, share in won]


def _largest_remainder(asked: list[int], lots: int) -> list[int]:
    """Share `lots` in proportion to what was asked; what is left goes to the largest remainders, the earlier first."""
    total = sum(asked)
    shares = [each * lots // total for each in asked]
    order = sorted(range(len(asked)), key=lambda place: (-(asked[place] * lots % total), place))
    for place in order[: lots - sum(shares)]:
        shares[place] += 1
    return shares
