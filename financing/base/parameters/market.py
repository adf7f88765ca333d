"""The rules of a trading venue, as a dated record."""

from __future__ import annotations

from datetime import time
from typing import Literal, Self

from pydantic import Field, model_validator

from financing.base.parameters.records import Bps, Days, Record


class MarketRules(Record):
    """One venue's rules. Prices in fen per tonne, fees in parts per million of the traded amount, times of Shanghai.

    `always_open` is the sandbox's variant: continuous trading at any hour, without a calendar. `calendar` is the market
    identifier code of an exchange that closes on every weekend and on China's holidays. `provisional_days`: orders are
    taken on days of a year whose holidays nobody has announced yet.
    """

    name_zh: str
    name_en: str
    always_open: bool = Field(strict=True)
    calendar: Literal["XSHG"]
    provisional_days: bool = Field(strict=True)
    call_from: time
    call_until: time
    sessions: tuple[tuple[time, time], ...] = Field(min_length=1)
    tick_fen: int = Field(strict=True, ge=1)
    lot_kg: Literal[1000]  # prices are per tonne and the engine counts fen a lot, so a lot is a tonne
    listed_lots_max: int = Field(strict=True, ge=1)
    block_lots_min: int = Field(strict=True, ge=1)
    band_bps: Bps
    block_band_bps: Bps
    levels_max: int = Field(strict=True, ge=1)
    buyer_fee_ppm: int = Field(strict=True, ge=0, lt=1_000_000)
    seller_fee_ppm: int = Field(strict=True, ge=0, lt=1_000_000)
    resale_blocked: bool = Field(strict=True)
    dated_days_max: Days

    @model_validator(mode="after")
    def _hours_are_ordered(self) -> Self:
        moments = [self.call_from, self.call_until, *(each for pair in self.sessions for each in pair)]
        if moments != sorted(moments) or any(first >= last for first, last in self.sessions):
            raise ValueError("the call comes before the sessions, and every session ends after it starts")
        if self.block_lots_min <= self.listed_lots_max:
            raise ValueError("a block is larger than the largest listed order")
        return self
