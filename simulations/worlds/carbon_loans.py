"""A generated book of loans on carbon: exposures, default rates and pledges drawn, prices at levels once published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from financing.base.parameters import Parameters
from financing.base.quantities import BPS_PER_UNIT, Carbon, Money, Price, Rate, rate_from_estimate_up
from financing.market.prices.model import Mark, Marked
from financing.valuation.pools import Lot
from financing.valuation.portfolio.loan_book import ClassRisk, Dependence, LoanBook, basel_loading
from financing.valuation.portfolio.stress import SecuredLoan
from financing.valuation.price_models.processes import on_record

STREAM = "FUTURE_STREAM"
# Yuan a tonne: Suzhou deals of 2023, national market of May 2025, CCER of December 2025.
PRICES = {"PHCER": "30.00", "PHCER_WETLAND": "30.00", "CCER": "67.60", "CEA": "71.30"}
MIX = {"PHCER": 0.40, "PHCER_WETLAND": 0.05, "CCER": 0.20, "CEA": 0.25, STREAM: 0.10}


@dataclass(frozen=True, eq=False)
class CarbonLoans:
    """A generated book, what the simulation assumes of it, and the marks at `at`."""

    book: LoanBook
    dependence: Dependence
    marks: Mapping[str, Mark]

    def secured(self, count: int) -> list[SecuredLoan]:
        """The first `count` loans on issued credits, as single loans with one lot each."""
        issued = [row for row in range(len(self.book)) if not self._kind(row).to_generate][:count]
        return [
            SecuredLoan(
                f"loan-{row}",
                Money(int(self.book.exposure[row])),
                (Lot(f"issuance-{row}", self._kind(row).key, Carbon(int(self.book.collateral[row]))),),
                rate_from_estimate_up(float(self.book.pd[row])),
            )
            for row in issued
        ]

    def _kind(self, row: int) -> ClassRisk:
        return self.book.classes[int(self.book.class_index[row])]


def carbon_loans(parameters: Parameters, on: date, loans: int, seed: int) -> CarbonLoans:
    """`loans` generated loans: log-normal exposures and default rates, each at 60 to 100 % of what its class lends."""
    generator = np.random.default_rng(seed)
    classes = classes_of(parameters, on)
    kinds = generator.choice(len(classes), loans, p=[MIX[each.key] for each in classes])
    exposure = np.exp(generator.normal(np.log(50_000_000), 1.0, loans)).astype(np.int64) + 1
    pd = np.exp(generator.normal(np.log(0.02), 0.8, loans)).clip(0.0003, 0.3)
    advance = np.array([_advance(parameters, on, each.key) for each in classes])[kinds] * generator.uniform(
        0.6, 1, loans
    )
    fen_per_kg = np.array([each.price.amount / 1000 for each in classes])[kinds]
    rule = parameters.portfolio_rule("carbon_loans", on)
    at = datetime(on.year, on.month, on.day, tzinfo=UTC)
    return CarbonLoans(
        book=LoanBook(
            exposure=exposure,
            pd=pd,
            loading=basel_loading(pd),
            class_index=kinds.astype(np.int64),
            collateral=np.ceil(exposure / advance / fen_per_kg).astype(np.int64),
            classes=classes,
        ),
        dependence=Dependence(
            class_correlation=rule.class_correlation,
            wrong_way=rule.wrong_way,
            yield_sd=rule.yield_sd,
            horizon_days=rule.horizon_days,
            unsecured_recovery=Rate(rule.unsecured_recovery_bps),
            lgd_min=Rate(rule.lgd_bps_min),
            discount=Rate(rule.discount_bps),
        ),
        marks={
            key: Marked(key, Price.from_yuan_per_tonne(yuan), at, timedelta(0), "generated")
            for key, yuan in PRICES.items()
        },
    )


def classes_of(parameters: Parameters, on: date) -> tuple[ClassRisk, ...]:
    """Every class with the model on record of its market, and future streams sold as the class they will be."""
    classes = []
    for key in MIX:
        sold_as = parameters.stream_rule("pv_suzhou", on).price_class if key == STREAM else key
        rule = parameters.valuation_rule(sold_as, on)
        model, _ = on_record(parameters.price_process(rule.price_process, on))
        discount = Rate(min(rule.block_bps + rule.quality_bps, BPS_PER_UNIT))
        price = Price.from_yuan_per_tonne(PRICES[sold_as])
        classes.append(ClassRisk(key, price, model, rule.sale_days, discount, to_generate=key == STREAM))
    return tuple(classes)


def _advance(parameters: Parameters, on: date, key: str) -> float:
    if key == STREAM:
        return float(Rate(parameters.stream_rule("pv_suzhou", on).haircut_bps).complement().fraction())
    return float(parameters.collateral_class(key, on).advance.fraction())
