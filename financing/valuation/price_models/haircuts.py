"""Derived haircuts beside those in force.

    haircut = 1 − e^{−2.326·σ·√(T/252)} + block + quality + concentration (+ 5 % after 20 days without a trade), ≥ floor

2.326 is the 99 % quantile of the normal, T the trading days it takes to sell. The haircut in force is the file's
(`collateral_classes.toml`); where the derived one is larger, the verdict says so and a desk has to act on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import expm1, sqrt

from financing.base.errors import ParameterMissing, RiskInputInvalid
from financing.base.parameters.records import CollateralClass
from financing.base.parameters.risk import ValuationRule
from financing.base.quantities import BPS_PER_UNIT, Carbon, Rate, rate_from_estimate_up
from financing.valuation.price_models.processes import JumpDiffusion
from financing.valuation.price_models.series import TRADING_DAYS
from financing.valuation.price_models.tail_risk import jump_tail

NORMAL_99 = 2.326


class Verdict(StrEnum):
    """How the haircut in force stands to the derived one."""

    HOLDS = "holds"
    TOO_LOW = "too_low"


@dataclass(frozen=True, slots=True)
class Position:
    """What is pledged of a class, what traded of it in the last 20 days (None: nobody knows), days since a trade."""

    quantity: Carbon
    traded: Carbon | None
    days_without_trade: int | None


@dataclass(frozen=True, slots=True)
class Haircut:
    """A derived haircut by its parts, bp rounded up. `total` is at least the floor and at most all of it."""

    asset_class: str
    price_move: Rate
    block: Rate
    quality: Rate
    concentration: Rate
    untraded: Rate
    floor: Rate

    @property
    def total(self) -> Rate:
        parts = (self.price_move, self.block, self.quality, self.concentration, self.untraded)
        return min(max(sum(parts, Rate(0)), self.floor), Rate(BPS_PER_UNIT))


@dataclass(frozen=True, slots=True)
class HaircutReview:
    """One class: derived, in force, verdict, and what the jump-diffusion of its market says of the same sale."""

    asset_class: str
    derived: Haircut
    in_force: Rate
    verdict: Verdict
    jump_var: Rate


def price_move(volatility: float, days: int) -> Rate:
    """1 − e^{−2.326·σ·√(T/252)} in bp, rounded up. Raises `RiskInputInvalid`."""
    if not 0 < volatility < 10 or days < 1:
        raise RiskInputInvalid("σ is a positive yearly volatility, T at least a day", volatility=volatility, days=days)
    return rate_from_estimate_up(-expm1(-NORMAL_99 * volatility * sqrt(days / TRADING_DAYS)))


def derive(rule: ValuationRule, position: Position | None = None) -> Haircut:
    """The haircut of a class, of `position` where one is given.

    The concentration add-on falls due when the position exceeds `concentration_share_bps` of 20 days' volume or nobody
    knows the volume; the one for no trade, after `untraded_days` or when nobody knows: what is missing is not zero.
    """
    concentration = untraded = 0
    if position is not None:
        if position.traded is None or position.quantity.kg * BPS_PER_UNIT > (
            position.traded.kg * rule.concentration_share_bps
        ):
            concentration = rule.concentration_bps
        if position.days_without_trade is None or position.days_without_trade >= rule.untraded_days:
            untraded = rule.untraded_bps
    return Haircut(
        asset_class=rule.key,
        price_move=price_move(rule.volatility, rule.sale_days),
        block=Rate(rule.block_bps),
        quality=Rate(rule.quality_bps),
        concentration=Rate(concentration),
        untraded=Rate(untraded),
        floor=Rate(rule.floor_bps),
    )


def review(
    rules: Mapping[str, ValuationRule],
    classes: Mapping[str, CollateralClass],
    models: Mapping[str, JumpDiffusion],
    positions: Mapping[str, Position] | None = None,
) -> tuple[HaircutReview, ...]:
    """Every class of `rules` beside the haircut in force; `models` by the class's price process.

    Raises `ParameterMissing` for a class without a haircut in force or without a model.
    """
    rows = []
    for key, rule in sorted(rules.items()):
        policy, model = classes.get(key), models.get(rule.price_process)
        if policy is None or model is None:
            raise ParameterMissing(f"no haircut in force or price model for '{key}'", key=key)
        derived = derive(rule, (positions or {}).get(key))
        rows.append(
            HaircutReview(
                asset_class=key,
                derived=derived,
                in_force=policy.haircut,
                verdict=Verdict.HOLDS if derived.total <= policy.haircut else Verdict.TOO_LOW,
                jump_var=rate_from_estimate_up(jump_tail(model, rule.sale_days).var),
            )
        )
    return tuple(rows)


def scaled_to_revaluation(haircut: Rate, held_days: int, revalued_days: int) -> Rate:
    """A haircut for a holding period of `held_days` with daily revaluation, when value is looked at every
    `revalued_days` only: × √((N_R + T_M − 1) ÷ T_M), 12 CFR 1240.39; rounded up, at most everything."""
    if held_days < 1 or revalued_days < 1:
        raise RiskInputInvalid("periods are at least a day", held_days=held_days, revalued_days=revalued_days)
    scale = sqrt((revalued_days + held_days - 1) / held_days)
    return min(rate_from_estimate_up(float(haircut.fraction()) * scale), Rate(BPS_PER_UNIT))
