"""Prices and marks over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from credit_api.http.fields import ResponseModel, read
from financing.market.prices.model import Mark, Marked


class PriceOut(ResponseModel):
    asset_class: str
    price_fen_per_tonne: int
    observed_at: datetime
    source: str
    confirmed: bool


class MarkOut(ResponseModel):
    """A class's mark: a price, or the reason why there is none. An unpriced class has no value, not a value of zero."""

    asset_class: str
    priced: bool
    price_fen_per_tonne: int | None
    observed_at: datetime | None
    unpriced_reason: str | None = read("reason")

    @classmethod
    def of(cls, mark: Mark) -> Self:
        if isinstance(mark, Marked):
            return cls.joined(mark, priced=True, unpriced_reason=None)
        return cls.joined(mark, priced=False, price=None, observed_at=mark.last_observed_at)


class PriceRecordedOut(ResponseModel):
    """The admitted price. Loans are looked at again in the same commit; whose they are stays with their parties."""

    price: PriceOut = read("observation")
    loans_revalued: int = read("revalued.loans")
