"""Price observations on one connection."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, or_, select

from financing.base.quantities import Price
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.store import Store, value_of
from financing.market.prices.model import PriceObservation
from financing.market.prices.tables import PriceRow

price_t = table_of(PriceRow)
# Built once: a day's close asks five times a loan book.
_OF_CLASS = select(price_t).where(price_t.c.asset_class == bindparam("of_class"))
_LATEST = (
    _OF_CLASS.where(price_t.c.observed_at <= bindparam("by"))
    .order_by(price_t.c.observed_at.desc(), price_t.c.id.desc())
    .limit(1)
)
_SETTLED = (
    _OF_CLASS.where(or_(price_t.c.confirmed, price_t.c.recorded_at < bindparam("began")))
    .order_by(price_t.c.id.desc())
    .limit(1)
)
_FIRST = _OF_CLASS.order_by(price_t.c.id).limit(1)


class PriceStore(Store):
    def add_price(self, observation: PriceObservation, *, recorded_by: str, at: datetime) -> None:
        self._add(price_t, observation, fen_per_tonne=observation.price.amount, recorded_by=recorded_by, recorded_at=at)

    def latest_price(self, asset_class: str, at: datetime) -> PriceObservation | None:
        """The last observation of a class not after `at`."""
        row = self._connection.execute(_LATEST, {"of_class": asset_class, "by": at}).first()
        return _observation(row) if row else None

    def price_before(self, asset_class: str, day_began: datetime) -> PriceObservation | None:
        """What a day's moves are measured from: the last price that two people confirmed or that was on record before
        the day began, else the first there is. By when it was recorded, which nobody states; None if there is none."""
        row = self._connection.execute(_SETTLED, {"of_class": asset_class, "began": day_began}).first()
        if row is None:
            row = self._connection.execute(_FIRST, {"of_class": asset_class}).first()
        return _observation(row) if row else None

    def prices(self, asset_class: str, limit: int) -> list[PriceObservation]:
        """The last `limit` observations of a class, oldest first: what a chart draws."""
        return list(reversed(self.observations(asset_class, Window(limit))))

    def observations(self, asset_class: str, window: Window = ALL) -> Page[PriceObservation]:
        """Observations of a class, newest first."""
        query = select(price_t).where(price_t.c.asset_class == asset_class)
        keys = (Key(price_t.c.observed_at, descending=True), Key(price_t.c.id, descending=True))
        return page_of(self._connection, query, keys, window, _observation)


def _observation(row: Row[Any]) -> PriceObservation:
    return value_of(PriceObservation, row, price=Price(row.fen_per_tonne))
