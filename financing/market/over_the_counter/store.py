"""Listings, bilateral deals, requests for quotes and what was traded over the counter, on one connection."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, or_, select

from financing.base.errors import NotFound
from financing.base.quantities import Carbon, Price
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.records import Codec
from financing.base.storage.store import Store, value_of
from financing.market.over_the_counter.deals import Deal, Listing, QuoteGiven, QuoteRequest
from financing.market.over_the_counter.tables import DealRow, ListingRow, OtcTradeRow, QuoteRequestRow, QuoteRow

listing_t = table_of(ListingRow)
deal_t = table_of(DealRow)
request_t = table_of(QuoteRequestRow)
quote_t = table_of(QuoteRow)
trade_t = table_of(OtcTradeRow)
_SELECT_LISTING = select(listing_t.c.record, listing_t.c.id, listing_t.c.listed_at)
_LATEST_LISTING = (Key(listing_t.c.listed_at, descending=True), Key(listing_t.c.id))
_LATEST_DEAL = (Key(deal_t.c.proposed_at, descending=True), Key(deal_t.c.id))
_LATEST_REQUEST = (Key(request_t.c.requested_at, descending=True), Key(request_t.c.id))
_LATEST_QUOTE = (Key(quote_t.c.quoted_at, descending=True), Key(quote_t.c.id))
_listings, _deals, _requests, _quotes = Codec(Listing), Codec(Deal), Codec(QuoteRequest), Codec(QuoteGiven)


@dataclass(frozen=True, slots=True)
class OtcTrade:
    """What changed hands, at which price, and how (`listing`, `deal`, `quote`, `auction`)."""

    entry_id: int
    asset: str
    seller: str
    buyer: str
    quantity: Carbon
    price: Price
    channel: str
    at: datetime


class OtcStore(Store):
    # listings

    def save_listing(self, listing: Listing) -> None:
        record = _listings.encode(listing)
        self._save(listing_t, listing.listing_id, listing, state=listing.state, record=record, left_kg=listing.left.kg)

    def listing(self, listing_id: str) -> Listing:
        query = select(listing_t.c.record).where(listing_t.c.id == listing_id)
        return _listings.decode(self._one(query, "no such listing", reference=listing_id).record)

    def listing_shown_to(self, party: str, listing_id: str) -> Listing:
        """The listing. Raises `NotFound` for one that is addressed to somebody else, as for one that does not exist."""
        listing = self.listing(listing_id)
        if not listing.shown_to(party):
            raise NotFound("no such listing", reference=listing_id)
        return listing

    def open_listings(self, party: str, at: datetime, window: Window = ALL, *, own: bool = True) -> Page[Listing]:
        """Listings shown to `party` that can be taken at `at`: expired ones are not among them, stored as such or
        not. Addressed ones are shown to their seller and their buyer. Newest first; with
        those that `party` made only if `own`."""
        shown = or_(listing_t.c.buyer_id.is_(None), _concerns(party))
        query = _SELECT_LISTING.where(listing_t.c.state == "open", listing_t.c.expires_at > at, shown)
        if not own:
            query = query.where(listing_t.c.seller_id != party)
        return page_of(self._connection, query, _LATEST_LISTING, window, _listing)

    def listings_of(self, party: str, window: Window = ALL) -> Page[Listing]:
        """Listings that a party made or that are addressed to it, in every state, newest first."""
        return page_of(self._connection, _SELECT_LISTING.where(_concerns(party)), _LATEST_LISTING, window, _listing)

    def listings_of_pledges(self, pledge_ids: Collection[str], window: Window = ALL) -> Page[Listing]:
        """Sales of the collateral under these pledges, in every state, newest first."""
        query = _SELECT_LISTING.where(listing_t.c.pledge_id.in_(pledge_ids))
        return page_of(self._connection, query, _LATEST_LISTING, window, _listing)

    # deals

    def save_deal(self, deal: Deal, *, entry_id: int | None = None) -> None:
        record = _deals.encode(deal)
        self._save(deal_t, deal.deal_id, deal, state=deal.state, record=record, entry_id=entry_id)

    def deal(self, deal_id: str) -> Deal:
        query = select(deal_t.c.record).where(deal_t.c.id == deal_id)
        return _deals.decode(self._one(query, "no such deal", reference=deal_id).record)

    def deals_of(self, organisation_id: str, window: Window = ALL) -> Page[Deal]:
        """Deals that an organisation is a side of, newest first."""
        query = select(deal_t.c.record, deal_t.c.id, deal_t.c.proposed_at).where(
            or_(deal_t.c.seller_id == organisation_id, deal_t.c.buyer_id == organisation_id)
        )
        return page_of(self._connection, query, _LATEST_DEAL, window, lambda row: _deals.decode(row.record))

    # requests for quotes

    def save_request(self, request: QuoteRequest) -> None:
        record = _requests.encode(request)
        self._save(request_t, request.request_id, request, state=request.state, record=record)

    def request(self, request_id: str) -> QuoteRequest:
        query = select(request_t.c.record).where(request_t.c.id == request_id)
        return _requests.decode(self._one(query, "no such request for quotes", reference=request_id).record)

    def requests(self, window: Window = ALL) -> Page[QuoteRequest]:
        """Requests of everyone, newest first."""
        query = select(request_t.c.record, request_t.c.id, request_t.c.requested_at)
        return page_of(self._connection, query, _LATEST_REQUEST, window, lambda row: _requests.decode(row.record))

    def save_quote(self, quote: QuoteGiven, *, entry_id: int | None = None) -> None:
        record = _quotes.encode(quote)
        self._save(quote_t, quote.quote_id, quote, state=quote.state, record=record, entry_id=entry_id)

    def quote(self, quote_id: str) -> QuoteGiven:
        query = select(quote_t.c.record).where(quote_t.c.id == quote_id)
        return _quotes.decode(self._one(query, "no such quote", reference=quote_id).record)

    def quotes(self, request_id: str, *, maker: str | None = None, window: Window = ALL) -> Page[QuoteGiven]:
        """Quotes on a request, of everyone or of one maker, newest first."""
        query = select(quote_t.c.record, quote_t.c.id, quote_t.c.quoted_at).where(quote_t.c.request_id == request_id)
        if maker is not None:
            query = query.where(quote_t.c.maker_id == maker)
        return page_of(self._connection, query, _LATEST_QUOTE, window, lambda row: _quotes.decode(row.record))

    # trades

    def add_trade(self, trade: OtcTrade) -> None:
        self._add(trade_t, trade, fen_per_tonne=trade.price.amount)

    def trades(self, *, asset: str | None = None, window: Window = ALL) -> Page[OtcTrade]:
        """What was traded, newest first."""
        query = select(trade_t)
        if asset is not None:
            query = query.where(trade_t.c.asset == asset)
        return page_of(self._connection, query, (Key(trade_t.c.entry_id, descending=True),), window, _trade)


def _concerns(party: str) -> ColumnElement[bool]:
    return or_(listing_t.c.seller_id == party, listing_t.c.buyer_id == party)


def _listing(row: Row[Any]) -> Listing:
    return _listings.decode(row.record)


def _trade(row: Row[Any]) -> OtcTrade:
    return value_of(OtcTrade, row, price=Price(row.fen_per_tonne))
