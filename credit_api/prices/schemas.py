"""Prices and marks over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from credit_api.http.fields import ResponseModel
from financing.lending.business_day.pricing import PriceRecorded
from financing.market.prices.model import Mark, Marked, PriceObservation


class PriceOut(ResponseModel):
    asset_class: str
    price_fen_per_tonne: int
    observed_at: datetime
    source: str
    confirmed: bool

    @classmethod
    def of(cls, seen: PriceObservation) -> Self:
        return cls(
            asset_class=seen.asset_class,
            price_fen_per_tonne=seen.price.amount,
            observed_at=seen.observed_at,
            source=seen.source,
            confirmed=seen.confirmed,
        )


class MarkOut(ResponseModel):
    """A class's mark: a price, or the reason why there is none. An unpriced class has no value, not a value of zero."""

    asset_class: str
    priced: bool
    price_fen_per_tonne: int | None
    observed_at: datetime | None
    unpriced_reason: str | None

    @classmethod
    def of(cls, mark: Mark) -> Self:
        if isinstance(mark, Marked):
            return cls(
                asset_class=mark.asset_class,
                priced=True,
                price_fen_per_tonne=mark.price.amount,
                observed_at=mark.observed_at,
                unpriced_reason=None,
            )
        return cls(
            asset_class=mark.asset_class,
            priced=False,
            price_fen_per_tonne=None,
            observed_at=mark.last_observed_at,
            unpriced_reason=mark.reason,
        )


class PriceRecordedOut(ResponseModel):
    """The admitted price. Loans are looked at again in the same commit; whose they are stays with their parties."""

    price: PriceOut
    loans_revalued: int

    @classmethod
    def of(cls, done: PriceRecorded) -> Self:
        return cls(price=PriceOut.of(done.observation), loans_revalued=done.revalued.loans)
