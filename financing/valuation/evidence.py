"""What is known of a price: observations with their source, time and volume, screened, and averages over them.

An observation without a volume weighs nothing in an average and no average is made of such alone; it still stands as
evidence of a level. One that jumps further than its class allows and that nobody confirmed is a suspect: it is listed,
enters no average, and while it is the latest there is no mark.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import log, sqrt
from typing import Literal

from financing.base.errors import PriceImplausible
from financing.base.parameters.records import CollateralClass
from financing.base.quantities import BPS_PER_UNIT, Carbon, Price, floor_div, require_utc
from financing.market.prices.model import Mark, Marked, PriceObservation

Kind = Literal["listed", "block", "auction", "deal", "quote"]


@dataclass(frozen=True, slots=True)
class TradeObservation:
    """A price at which something changed hands, or was offered. `quantity` is None where nobody told the volume.

    Raises `PriceImplausible` for a price that is not positive, `QuantityOutOfRange` for a volume that is not.
    """

    observation: PriceObservation
    quantity: Carbon | None
    kind: Kind

    def __post_init__(self) -> None:
        if self.observation.price <= Price(0):
            raise PriceImplausible("a price is positive", asset_class=self.observation.asset_class)
        if self.quantity is not None:
            self.quantity.require_positive()

    @property
    def price(self) -> Price:
        return self.observation.price

    @property
    def at(self) -> datetime:
        return self.observation.observed_at


def price_from_quote(yuan_per_tonne: float | Decimal | None, asset_class: str) -> Price:
    """A price as a feed gives it, to the nearest fen a tonne.

    Raises `PriceImplausible` for one that is missing, not a number, infinite, or not at least a fen.
    """
    if yuan_per_tonne is None:
        raise PriceImplausible("the feed gives no price", asset_class=asset_class)
    fen = Decimal(str(yuan_per_tonne)) * 100
    if not fen.is_finite() or not 1 <= fen <= 10**12:
        raise PriceImplausible("a price is a positive number", asset_class=asset_class, quoted=str(yuan_per_tonne))
    return Price(int(fen.to_integral_value()))


@dataclass(frozen=True, slots=True)
class Screened:
    """Observations of one class up to a time, in order of time: those that stand, and those that do not."""

    accepted: tuple[TradeObservation, ...]
    suspects: tuple[TradeObservation, ...]

    @property
    def latest_is_suspect(self) -> bool:
        if not self.suspects:
            return False
        return not self.accepted or self.suspects[-1].at >= self.accepted[-1].at


def screen(
    seen: Iterable[TradeObservation],
    policy: CollateralClass,
    at: datetime,
    anchor: Mark | None = None,
    anchor_beta_bps: int = BPS_PER_UNIT,
    anchor_ratio_max: int = 8,
) -> Screened:
    """Split what was seen of a class up to `at` (later ones are not known yet).

    Against the accepted one before it, a price may move by the class's jump. The first has none before it and is held
    against the anchor, another class's mark × beta, where there is one: beyond ± `anchor_ratio_max` times it is a
    suspect, which catches a price in fen or a hundredfold one. `confirmed` is a second person's word and passes.
    """
    at = require_utc(at)
    known = sorted(
        (each for each in seen if each.observation.asset_class == policy.key and each.at <= at),
        # Of equally late ones the lowest comes last, as `prices.mark` takes it.
        key=lambda each: (each.at, -each.price.amount),
    )
    accepted: list[TradeObservation] = []
    suspects: list[TradeObservation] = []
    for each in known:
        if each.observation.confirmed:
            stands = True
        elif accepted:
            stands = _within(each.price, accepted[-1].price, policy.price_jump_bps_max)
        elif isinstance(anchor, Marked):
            level = anchor.price.amount * Fraction(anchor_beta_bps, BPS_PER_UNIT)
            stands = level <= each.price.amount * anchor_ratio_max and each.price.amount <= level * anchor_ratio_max
        else:
            stands = True
        (accepted if stands else suspects).append(each)
    return Screened(tuple(accepted), tuple(suspects))


@dataclass(frozen=True, slots=True)
class WeightedAverage:
    """A volume-weighted average price, rounded down to the fen, of `trades` trades over `volume`.

    `dispersion` is the volume-weighted standard deviation of their log prices; `unweighted` counts what had no volume.
    """

    price: Price
    volume: Carbon
    trades: int
    unweighted: int
    dispersion: float
    latest_at: datetime


def weighted_average(accepted: Iterable[TradeObservation], until: datetime, days: int) -> WeightedAverage | None:
    """VWAP = Σ price·volume ÷ Σ volume over the `days` calendar days up to and including `until`.

    None when no trade of the window has a volume. Quotes trade nothing and have no weight.
    """
    until = require_utc(until)
    window = [each for each in accepted if until - timedelta(days=days) < each.at <= until]
    traded = [(each, each.quantity) for each in window if each.quantity is not None and each.kind != "quote"]
    if not traded:
        return None
    volume = sum((quantity for _, quantity in traded), Carbon(0))
    price = floor_div(Fraction(sum(each.price.amount * quantity.kg for each, quantity in traded), volume.kg))
    mean = sum(log(each.price.amount) * quantity.kg for each, quantity in traded) / volume.kg
    spread = sum((log(each.price.amount) - mean) ** 2 * quantity.kg for each, quantity in traded) / volume.kg
    latest = max(each.at for each, _ in traded)
    return WeightedAverage(Price(price), volume, len(traded), len(window) - len(traded), sqrt(spread), latest)


def _within(price: Price, latest: Price, jump_bps: int) -> bool:
    up = Fraction(BPS_PER_UNIT + jump_bps, BPS_PER_UNIT)
    down = Fraction(BPS_PER_UNIT - jump_bps, BPS_PER_UNIT) if jump_bps < BPS_PER_UNIT else 1 / up
    return latest.amount * down <= price.amount <= latest.amount * up
