"""Stress of pledged credits, streams and books: what a scenario of the file does to values, statuses, calls and losses.

Issued credits are issued: a cut of the grid's factor or a poor year takes none of them, only those still to be
generated. While markets are frozen longer than a class's price may age, its mark is stale and its pools are unpriced,
neither healthy nor called; what a sale after the freeze would bring is estimated all the same.

Coverage is the collateral rules' matter: statuses and cures come from callables, so that they are the exact integer
rules and not a copy of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction

import numpy as np

from financing.base.errors import ParameterMissing, RiskInputInvalid
from financing.base.parameters.records import CollateralClass
from financing.base.parameters.risk import StreamRule, StressScenario, ValuationRule
from financing.base.quantities import BPS_PER_UNIT, EmissionFactor, Money, Rate
from financing.market.prices.model import Mark, Marked, Unpriced
from financing.valuation.pools import Lot, PoolUnpriced, PoolValuation, value_pool
from financing.valuation.portfolio.loan_book import ClassRisk, LoanBook
from financing.valuation.price_models.forward_curve import CarryCurve
from financing.valuation.streams.income import FutureStream, StreamValue, tonnes_lost, value_stream
from financing.valuation.streams.pv_yield import YieldModel

Status = Callable[[Money, PoolValuation], str]
Cure = Callable[[Money, PoolValuation], Money]
# A stressed default rate stays a probability.
PD_MAX = 0.999


@dataclass(frozen=True, slots=True)
class SecuredLoan:
    """A debt, the lots pledged for it, and its probability of default within a year. Raises `RiskInputInvalid`."""

    loan_id: str
    debt: Money
    lots: tuple[Lot, ...]
    probability: Rate

    def __post_init__(self) -> None:
        if self.debt <= Money(0) or not 0 < self.probability.bps <= BPS_PER_UNIT:
            raise RiskInputInvalid("a loan has a debt and a probability of default", loan_id=self.loan_id)


@dataclass(frozen=True, slots=True)
class StressedLoan:
    """One loan under a scenario. `cure` is what a margin call would ask in cash, None where the pool is unpriced.

    `loss_given_default` is what a sale at the scenario's prices and discounts leaves of the debt; `expected_loss` that
    times the stressed probability. Both are None where a class never had a price: unknown is not zero.
    """

    loan_id: str
    status_before: str
    status: str
    cure: Money | None
    loss_given_default: Money | None
    expected_loss: Money | None


def stressed_loan(
    loan: SecuredLoan,
    scenario: StressScenario,
    marks: Mapping[str, Mark],
    classes: Mapping[str, CollateralClass],
    rules: Mapping[str, ValuationRule],
    status: Status,
    cure: Cure,
) -> StressedLoan:
    """`loan` before and under `scenario`. Raises `ParameterMissing` for a class without parameters."""
    fallen = fallen_marks(marks, Rate(scenario.price_fall_bps))
    frozen = {key: _aged(mark, scenario, classes) for key, mark in fallen.items()}
    pool, sale = value_pool(loan.lots, frozen, classes), value_pool(loan.lots, fallen, classes)
    lost = expected = None
    if not isinstance(sale, PoolUnpriced):
        proceeds = Money(0)
        for line in sale.lines:
            if line.policy.key not in rules:
                raise ParameterMissing(f"no valuation rule '{line.policy.key}'", key=line.policy.key)
            kept = Rate(sale_discount(rules[line.policy.key], scenario).bps).complement()
            proceeds += line.market.scaled_floor(kept.fraction())
        lost = max(loan.debt - proceeds, Money(0))
        probability = min(loan.probability.bps * scenario.default_multiple, BPS_PER_UNIT)
        expected = lost.scaled_ceil(Fraction(probability, BPS_PER_UNIT))
    return StressedLoan(
        loan_id=loan.loan_id,
        status_before=status(loan.debt, value_pool(loan.lots, marks, classes)),
        status=status(loan.debt, pool),
        cure=None if isinstance(pool, PoolUnpriced) else cure(loan.debt, pool),
        loss_given_default=lost,
        expected_loss=expected,
    )


def fallen_marks(marks: Mapping[str, Mark], fall: Rate) -> dict[str, Mark]:
    """Every mark after a fall, rounded down. What is unpriced stays unpriced."""
    left = fall.complement().fraction()
    return {
        key: replace(mark, price=mark.price.scaled_floor(left)) if isinstance(mark, Marked) else mark
        for key, mark in marks.items()
    }


def sale_discount(rule: ValuationRule, scenario: StressScenario) -> Rate:
    """What a sale gives up: block and quality add-ons, after a freeze at least the worst twentieth of block trades."""
    usual = rule.block_bps + rule.quality_bps
    return Rate(min(max(usual, rule.liquidity_stress_bps) if scenario.frozen else usual, BPS_PER_UNIT))


def scenario_factor(
    scenario: StressScenario, today: EmissionFactor, factors: Mapping[str, EmissionFactor]
) -> EmissionFactor:
    """The grid factor under `scenario`, never above today's. Raises `ParameterMissing`."""
    if scenario.factor_key:
        if scenario.factor_key not in factors:
            raise ParameterMissing(f"no grid factor '{scenario.factor_key}'", key=scenario.factor_key)
        return min(today, factors[scenario.factor_key])
    return min(today, EmissionFactor(scenario.factor_mg_per_kwh)) if scenario.factor_mg_per_kwh else today


def stressed_stream(
    stream: FutureStream,
    scenario: StressScenario,
    rule: StreamRule,
    yields: YieldModel,
    today: EmissionFactor,
    factors: Mapping[str, EmissionFactor],
    curve: CarryCurve,
) -> StreamValue:
    """A stream's value under `scenario`. In a P90 year the expected volume is the one that is lent on anyway."""
    left = float(Rate(scenario.price_fall_bps).complement().fraction())
    lower = replace(curve, spot=curve.spot * left)
    poor = replace(yields, p50=yields.p90) if scenario.yield_p90 else yields
    return value_stream(stream, rule, poor, scenario_factor(scenario, today, factors), lower)


def stressed_book(
    book: LoanBook,
    scenario: StressScenario,
    rules: Mapping[str, ValuationRule],
    yields: YieldModel,
    today: EmissionFactor,
    factors: Mapping[str, EmissionFactor],
) -> LoanBook:
    """`book` under `scenario`: prices, default rates, sale, and tonnes of the classes still to be generated."""
    cut = tonnes_lost(today, scenario_factor(scenario, today, factors)).complement().fraction()
    kept = float(cut) * (yields.p90 / yields.p50 if scenario.yield_p90 else 1.0)
    open_ended = np.array([each.to_generate for each in book.classes])[book.class_index]
    collateral = np.where(open_ended, np.floor(book.collateral * kept), book.collateral).astype(np.int64)

    def change(each: ClassRisk) -> ClassRisk:
        fall = Rate(scenario.price_fall_bps).complement().fraction()
        discount = each.sale_discount
        if scenario.frozen and each.key in rules:
            discount = max(discount, sale_discount(rules[each.key], scenario))
        return replace(
            each,
            price=each.price.scaled_floor(fall),
            sale_days=each.sale_days + scenario.frozen_days,
            sale_discount=discount,
        )

    worse = np.minimum(book.pd * scenario.default_multiple, np.maximum(PD_MAX, book.pd))
    return replace(book, pd=worse, collateral=collateral).with_classes(change)


def _aged(mark: Mark, scenario: StressScenario, classes: Mapping[str, CollateralClass]) -> Mark:
    """The mark after the freeze: its age grows by trading days counted as days, the least they can be."""
    if not isinstance(mark, Marked) or not scenario.frozen:
        return mark
    policy = classes.get(mark.asset_class)
    if policy is None:
        raise ParameterMissing(f"no collateral class '{mark.asset_class}'", key=mark.asset_class)
    age = mark.age + timedelta(days=scenario.frozen_days)
    if age > timedelta(days=policy.price_stale_after_days):
        return Unpriced(mark.asset_class, "stale", mark.observed_at)
    return replace(mark, age=age)
