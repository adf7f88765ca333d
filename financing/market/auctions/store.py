"""Auctions, their bids and the winners' contracts, on one connection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from financing.base.quantities import Carbon, Money, Price
from financing.base.signing import Signature
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.records import Codec
from financing.base.storage.store import Store, value_of
from financing.market.auctions.tables import AuctionRow, AwardRow, BidRow, DisposalAuctionRow
from financing.market.auctions.terms import Terms

auction_t = table_of(AuctionRow)
bid_t = table_of(BidRow)
award_t = table_of(AwardRow)
disposal_t = table_of(DisposalAuctionRow)
_terms = Codec(Terms)


@dataclass(frozen=True, slots=True)
class Auction:
    """Terms, the end as extended so far, what is still for sale, and where it stands."""

    terms: Terms
    closes_at: datetime
    left: Carbon
    state: str


@dataclass(frozen=True, slots=True)
class StoredBid:
    """An open bid has a price; a sealed one a commitment, and a price once it is revealed."""

    bid_id: str
    auction_id: str
    seq: int
    bidder: str
    quantity: Carbon
    price: Price | None
    commitment: str | None
    deposit: Money
    placed_at: datetime
    revealed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """What a winner owes: signed by both sides, paid by `due_at`, or in default."""

    award_id: str
    auction_id: str
    bidder: str
    quantity: Carbon
    price: Price
    state: str
    due_at: datetime
    signatures: tuple[Signature, ...] = ()


class AuctionStore(Store):
    def add(self, terms: Terms) -> None:
        self._add(
            auction_t,
            terms,
            id=terms.auction_id,
            state="running",
            left_kg=terms.quantity.kg,
            terms=_terms.encode(terms),
        )

    def is_known(self, auction_id: str) -> bool:
        return self._connection.execute(select(auction_t.c.id).where(auction_t.c.id == auction_id)).first() is not None

    def get(self, auction_id: str) -> Auction:
        row = self._one(select(auction_t).where(auction_t.c.id == auction_id), "no such auction", auction_id=auction_id)
        return _auction(row)

    def all(self, window: Window = ALL) -> Page[Auction]:
        """Every auction, the latest end first."""
        keys = (Key(auction_t.c.closes_at, descending=True), Key(auction_t.c.id))
        return page_of(self._connection, select(auction_t), keys, window, _auction)

    def save(self, auction: Auction) -> None:
        self._connection.execute(
            update(auction_t)
            .where(auction_t.c.id == auction.terms.auction_id)
            .values(state=auction.state, closes_at=auction.closes_at, left_kg=auction.left.kg)
        )

    def add_bid(self, bid: StoredBid) -> None:
        self._add(bid_t, bid, id=bid.bid_id)

    def reveal(self, bid_id: str, price: Price, quantity: Carbon, at: datetime) -> None:
        self._connection.execute(
            update(bid_t)
            .where(bid_t.c.id == bid_id)
            .values(price_fen=price.amount, quantity_kg=quantity.kg, revealed_at=at)
        )

    def next_seq(self, auction_id: str) -> int:
        latest = self._connection.execute(select(func.max(bid_t.c.seq)).where(bid_t.c.auction_id == auction_id))
        return 1 + (latest.scalar_one() or 0)

    def bids(self, auction_id: str) -> list[StoredBid]:
        """In the order they were placed."""
        rows = self._connection.execute(select(bid_t).where(bid_t.c.auction_id == auction_id).order_by(bid_t.c.seq))
        return [value_of(StoredBid, row, bid_id=row.id) for row in rows]

    def add_contract(self, contract: Contract, *, entry_id: int | None = None) -> None:
        self._add(
            award_t,
            contract,
            id=contract.award_id,
            signatures=[_plain(each) for each in contract.signatures],
            entry_id=entry_id,
        )

    def save_contract(self, contract: Contract, *, entry_id: int | None = None) -> None:
        self._connection.execute(
            update(award_t)
            .where(award_t.c.id == contract.award_id)
            .values(state=contract.state, signatures=[_plain(each) for each in contract.signatures], entry_id=entry_id)
        )

    def contract(self, award_id: str) -> Contract:
        row = self._one(select(award_t).where(award_t.c.id == award_id), "no such contract", award_id=award_id)
        return _contract(row)

    def contracts(self, auction_id: str) -> list[Contract]:
        rows = self._connection.execute(
            select(award_t).where(award_t.c.auction_id == auction_id).order_by(award_t.c.id)
        )
        return [_contract(row) for row in rows]

    def add_disposal_auction(self, auction_id: str, pledge_id: str, loan_id: str, at: datetime) -> None:
        self._connection.execute(
            insert(disposal_t).values(auction_id=auction_id, pledge_id=pledge_id, loan_id=loan_id, opened_at=at)
        )

    def disposal_auction(self, auction_id: str) -> tuple[str, str] | None:
        """The pledge and the loan whose collateral an auction sells; None for any other auction."""
        row = self._connection.execute(select(disposal_t).where(disposal_t.c.auction_id == auction_id)).first()
        return (row.pledge_id, row.loan_id) if row else None


def _auction(row: Row[Any]) -> Auction:
    return value_of(Auction, row, terms=_terms.decode(row.terms))


def _contract(row: Row[Any]) -> Contract:
    return value_of(Contract, row, award_id=row.id, signatures=tuple(Signature(**each) for each in row.signatures))


def _plain(signature: Signature) -> dict[str, str]:
    return {
        "signer_id": signature.signer_id,
        "public_key": signature.public_key,
        "signature": signature.signature,
    }
