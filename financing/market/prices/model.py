"""Price observations and marks. A mark is a price with its age, or Unpriced with the reason; it is never zero."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Literal

from financing.base.errors import PriceImplausible, PriceMissing, PriceStale
from financing.base.parameters.records import CollateralClass
from financing.base.quantities import BPS_PER_UNIT, Price, require_utc


@dataclass(frozen=True, slots=True)
class PriceObservation:
    """A price seen for an asset class, where and when. `confirmed` is a second person's word for a jump."""

    asset_class: str
    price: Price
    observed_at: datetime
    source: str
    confirmed: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "observed_at", require_utc(self.observed_at))


@dataclass(frozen=True, slots=True)
class Marked:
    """A usable price."""

    asset_class: str
    price: Price
    observed_at: datetime
    age: timedelta
    source: str


@dataclass(frozen=True, slots=True)
class Unpriced:
    """No usable price: none observed, the latest too old, or the latest not positive."""

    asset_class: str
    reason: Literal["missing", "stale", "implausible"]
    last_observed_at: datetime | None = None


Mark = Marked | Unpriced


def admit(
    observation: PriceObservation, latest: PriceObservation | None, policy: CollateralClass, at: datetime
) -> PriceObservation:
    """Return the observation if it may enter the record. Raises `PriceImplausible`.

    Refused: a price that is not positive, from the future, of another class, or older than the latest; and, unless
    confirmed, one more than the class's jump away from the latest (up: × (1 + jump); down: × (1 − jump), or
    ÷ (1 + jump) when the jump is 100 % or more).
    """
    context = {"asset_class": observation.asset_class, "price_fen_per_tonne": observation.price.amount}
    if observation.price <= Price(0):
        raise PriceImplausible("a price is positive", **context)
    if observation.asset_class != policy.key or (latest is not None and latest.asset_class != policy.key):
        raise PriceImplausible("the observation is of another asset class", **context, expected=policy.key)
    if observation.observed_at > require_utc(at):
        raise PriceImplausible("a price is not observed in the future", **context)
    if latest is None or latest.price <= Price(0):
        return observation
    if observation.observed_at < latest.observed_at:
        raise PriceImplausible("a later price is on record", **context, latest_at=str(latest.observed_at))
    if not observation.confirmed and jumps(observation, latest, policy):
        raise PriceImplausible(
            "the price jumps further than the class allows and was not confirmed",
            **context,
            latest_fen_per_tonne=latest.price.amount,
            jump_bps_max=policy.price_jump_bps_max,
        )
    return observation


def mark(observations: Iterable[PriceObservation], at: datetime, policy: CollateralClass) -> Mark:
    """The mark of a class at `at`: its latest observation not after `at` (the lowest of equally late ones), if positive
    and not stale."""
    at = require_utc(at)
    known = [seen for seen in observations if seen.asset_class == policy.key and seen.observed_at <= at]
    if not known:
        return Unpriced(policy.key, "missing")
    latest = max(known, key=lambda seen: (seen.observed_at, -seen.price.amount))
    age = at - latest.observed_at
    if latest.price <= Price(0):
        return Unpriced(policy.key, "implausible", latest.observed_at)
    if age > timedelta(days=policy.price_stale_after_days):
        return Unpriced(policy.key, "stale", latest.observed_at)
    return Marked(policy.key, latest.price, latest.observed_at, age, latest.source)


def require_marked(marking: Mark) -> Marked:
    """The mark, or `PriceMissing`, `PriceStale` or `PriceImplausible` for what stands in its place."""
    if isinstance(marking, Marked):
        return marking
    refusal = {"missing": PriceMissing, "stale": PriceStale, "implausible": PriceImplausible}[marking.reason]
    raise refusal(f"the price of {marking.asset_class} is {marking.reason}", asset_class=marking.asset_class)


def jumps(observation: PriceObservation, latest: PriceObservation | None, policy: CollateralClass) -> bool:
    """Whether a price lies further from the latest than the class allows without a second person's word."""
    if latest is None or latest.price <= Price(0):
        return False
    jump_bps = policy.price_jump_bps_max
    up = Fraction(BPS_PER_UNIT + jump_bps, BPS_PER_UNIT)
    down = Fraction(BPS_PER_UNIT - jump_bps, BPS_PER_UNIT) if jump_bps < BPS_PER_UNIT else 1 / up
    return not latest.price.amount * down <= observation.price.amount <= latest.price.amount * up
