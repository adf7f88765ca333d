"""Price observations and over-the-counter offers on one connection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select, update

from financing.base.errors import NotFound
from financing.base.quantities import Carbon, Price
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.ledger.accounts import Asset
from financing.market.over_the_counter.offers import Offer, OfferState
from financing.market.over_the_counter.tables import OfferRow
from financing.market.prices.model import PriceObservation
from financing.market.prices.tables import PriceRow

price_t = table_of(PriceRow)
offer_t = table_of(OfferRow)


@dataclass(frozen=True, slots=True)
class StoredOffer:
    """An offer, the pledge it sells from (a lender's disposal) if any, and the entry that settled it."""

    offer: Offer
    pledge_id: str | None
    entry_id: int | None


class MarketStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add_price(self, observation: PriceObservation, *, recorded_by: str, at: datetime) -> None:
        self._connection.execute(
            insert(price_t).values(
                asset_class=observation.asset_class,
                fen_per_tonne=observation.price.amount,
                observed_at=observation.observed_at,
                source=observation.source,
                confirmed=observation.confirmed,
                recorded_by=recorded_by,
                recorded_at=at,
            )
        )

    def latest_price(self, asset_class: str, at: datetime) -> PriceObservation | None:
        """The last observation of a class not after `at`."""
        row = self._connection.execute(
            select(price_t)
            .where(price_t.c.asset_class == asset_class, price_t.c.observed_at <= at)
            .order_by(price_t.c.observed_at.desc(), price_t.c.id.desc())
            .limit(1)
        ).first()
        return _observation(row) if row else None

    def prices(self, asset_class: str, limit: int) -> list[PriceObservation]:
        """The last `limit` observations of a class, oldest first: what a chart draws."""
        return list(reversed(self.observations(asset_class, Window(limit))))

    def observations(self, asset_class: str, window: Window = ALL) -> Page[PriceObservation]:
        """Observations of a class, newest first."""
        query = select(price_t).where(price_t.c.asset_class == asset_class)
        keys = (Key(price_t.c.observed_at, descending=True), Key(price_t.c.id, descending=True))
        return page_of(self._connection, query, keys, window, _observation)

    def add_offer(self, offer: Offer, *, pledge_id: str | None) -> None:
        self._connection.execute(
            insert(offer_t).values(
                id=offer.offer_id,
                seller_id=offer.seller,
                buyer_id=offer.buyer,
                issuance_id=Asset(offer.asset).issuance_id,
                quantity_kg=offer.quantity.kg,
                fen_per_tonne=offer.price.amount,
                state=offer.state.value,
                offered_at=offer.offered_at,
                expires_at=offer.expires_at,
                pledge_id=pledge_id,
                entry_id=None,
            )
        )

    def close_offer(self, offer: Offer, *, entry_id: int | None = None) -> None:
        self._connection.execute(
            update(offer_t).where(offer_t.c.id == offer.offer_id).values(state=offer.state.value, entry_id=entry_id)
        )

    def offer(self, offer_id: str) -> StoredOffer:
        row = self._connection.execute(select(offer_t).where(offer_t.c.id == offer_id)).first()
        if row is None:
            raise NotFound("no such offer", offer_id=offer_id)
        return _offer(row)

    def offers(self, organisation_id: str | None = None, window: Window = ALL) -> Page[StoredOffer]:
        """Offers that an organisation made or received, newest first; of everyone for None."""
        query = select(offer_t)
        if organisation_id is not None:
            query = query.where(or_(offer_t.c.seller_id == organisation_id, offer_t.c.buyer_id == organisation_id))
        keys = (Key(offer_t.c.offered_at, descending=True), Key(offer_t.c.id))
        return page_of(self._connection, query, keys, window, _offer)


def _observation(row: Row[Any]) -> PriceObservation:
    return PriceObservation(row.asset_class, Price(row.fen_per_tonne), row.observed_at, row.source, row.confirmed)


def _offer(row: Row[Any]) -> StoredOffer:
    offer = Offer(
        offer_id=row.id,
        seller=row.seller_id,
        buyer=row.buyer_id,
        asset=Asset.credits(row.issuance_id).code,
        quantity=Carbon(row.quantity_kg),
        price=Price(row.fen_per_tonne),
        offered_at=row.offered_at,
        expires_at=row.expires_at,
        state=OfferState(row.state),
    )
    return StoredOffer(offer, row.pledge_id, row.entry_id)
