"""A generated loan book: joint simulation, stress and reverse stress with the exact coverage rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

from financing.base.parameters import Parameters
from financing.base.quantities import Money, Rate
from financing.lending.collateral.coverage import CoverageStatus, coverage
from financing.lending.collateral.margin import cash_cure
from financing.valuation.pools import PoolValuation
from financing.valuation.portfolio.joint import PortfolioLosses, simulate
from financing.valuation.portfolio.loan_book import LoanBook
from financing.valuation.portfolio.portfolio_risk import PortfolioRisk, assess
from financing.valuation.portfolio.reverse_stress import break_curve
from financing.valuation.portfolio.stress import stressed_book, stressed_loan
from financing.valuation.streams.pv_yield import calibrated
from simulations.experiments.carbon_risk.collateral import OPERATING_MARGIN, factors_of
from simulations.worlds.carbon_loans import CarbonLoans

Json = dict[str, Any]
Say = Callable[[str], object]
SINGLE_LOANS = 500
LINES = {
    "warn": {CoverageStatus.WARN, CoverageStatus.CALL, CoverageStatus.LIQUIDATE},
    "call": {CoverageStatus.CALL, CoverageStatus.LIQUIDATE},
    "liquidate": {CoverageStatus.LIQUIDATE},
}


def portfolio_report(world: CarbonLoans, losses: PortfolioLosses, paths: int, seed: int) -> Json:
    """Figures of the drawn `losses`, and of the same book without wrong-way risk."""
    apart = replace(world.dependence, wrong_way=0.0)
    without = assess(world.book, simulate(world.book, apart, paths, seed))
    return {
        "loans": len(world.book),
        "paths": paths,
        "base": _risk(assess(world.book, losses)),
        "without_wrong_way": _risk(without),
        "wrong_way": world.dependence.wrong_way,
    }


def _risk(risk: PortfolioRisk) -> Json:
    return {
        "exposure_yuan": risk.exposure.fen / 100,
        "expected_loss_yuan": risk.expected_loss.fen / 100,
        "expected_loss_error_yuan": risk.expected_loss_error.fen / 100,
        "var_yuan": risk.var.fen / 100,
        "var_error_yuan": risk.var_error.fen / 100,
        "es_yuan": risk.expected_shortfall.fen / 100,
        "economic_capital_yuan": risk.economic_capital.fen / 100,
        "herfindahl": risk.herfindahl,
        "equal_loans": risk.equal_loans,
        "classes": [
            {
                "class": row.key,
                "exposure_yuan": row.exposure.fen / 100,
                "expected_loss_yuan": row.expected_loss.fen / 100,
                "tail_yuan": row.tail.fen / 100,
            }
            for row in risk.classes
        ],
        "names": [
            {
                "loan": row.row,
                "exposure_yuan": row.exposure.fen / 100,
                "tail_yuan": row.tail.fen / 100,
                "capital_freed_yuan": row.capital_freed.fen / 100,
            }
            for row in risk.names
        ],
    }


def stress_report(parameters: Parameters, on: date, world: CarbonLoans, paths: int, seed: int, say: Say) -> list[Json]:
    """The book and its first single loans under every scenario; what is unknown of an unpriced loan stays None."""
    yields, factors = calibrated(parameters.stream_rule("pv_suzhou", on)), factors_of(parameters)
    rules = {key: parameters.valuation_rule(key, on) for key in parameters.valuation_rules.names()}
    single = world.secured(SINGLE_LOANS)
    classes = parameters.classes_on(on)
    rows: list[Json] = [{"scenario": "base", "paths": paths} | _tail(world.book, world, paths, seed)]
    for scenario in parameters.stress_scenarios_on(on):
        say(f"stress: {scenario.key}")
        book = stressed_book(world.book, scenario, rules, yields, factors[OPERATING_MARGIN], factors)
        stressed = [stressed_loan(loan, scenario, world.marks, classes, rules, _status, cash_cure) for loan in single]
        rows.append(
            {
                "scenario": scenario.key,
                "paths": paths,
                **_tail(book, world, paths, seed),
                "single_loans": len(stressed),
                "statuses": dict(sorted(Counter(each.status for each in stressed).items())),
                "calls": sum(each.status in ("call", "liquidate") for each in stressed),
                "cure_yuan": _summed([each.cure for each in stressed]),
                "expected_loss_single_yuan": _summed([each.expected_loss for each in stressed]),
            }
        )
    return rows


def _summed(amounts: list[Money | None]) -> float | None:
    """Yuan, or None where one of them is unknown."""
    known = [amount.fen for amount in amounts if amount is not None]
    return sum(known) / 100 if len(known) == len(amounts) else None


def _tail(book: LoanBook, world: CarbonLoans, paths: int, seed: int) -> dict[str, float]:
    risk = assess(book, simulate(book, world.dependence, paths, seed), 0.999)
    return {
        "expected_loss_yuan": risk.expected_loss.fen / 100,
        "es_yuan": risk.expected_shortfall.fen / 100,
        "economic_capital_yuan": risk.economic_capital.fen / 100,
    }


def reverse_report(world: CarbonLoans, parameters: Parameters, on: date) -> Json:
    """Share of debt on each line by fall, and the smallest fall that brings a share there."""
    single = world.secured(SINGLE_LOANS)
    classes = parameters.classes_on(on)
    falls = [Rate(bps) for bps in range(0, 10_001, 100)]
    report: Json = {"loans": len(single), "fall_bps": [fall.bps for fall in falls], "lines": {}}
    for name, statuses in LINES.items():
        curve = break_curve(single, world.marks, classes, lambda d, p, s=statuses: coverage(d, p).status in s)  # type: ignore[misc]
        shares = [curve.broken_at(fall).fen / curve.debt.fen for fall in falls]
        reached = {str(share): curve.fall_breaking(Rate(share * 100)) for share in (1, 10, 50, 100)}
        first = curve.loans[0]
        report["lines"][name] = {
            "share_broken": [round(share, 6) for share in shares],
            "fall_breaking_bps": {share: fall.bps if fall is not None else None for share, fall in reached.items()},
            "first_loan": first[0],
            "first_fall_bps": first[1].bps if first[1] is not None else None,
        }
    return report


def _status(debt: Money, pool: PoolValuation) -> str:
    return coverage(debt, pool).status.label
