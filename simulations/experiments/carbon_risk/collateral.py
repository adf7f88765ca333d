"""Derived haircuts beside those in force, and a roof's future stream under every scenario."""

from __future__ import annotations

from datetime import date
from typing import Any

from financing.base.parameters import Parameters
from financing.base.quantities import Carbon, EmissionFactor, Rate
from financing.valuation.portfolio.stress import stressed_stream
from financing.valuation.price_models.forward_curve import CarryCurve
from financing.valuation.price_models.haircuts import Position, review
from financing.valuation.price_models.processes import on_record
from financing.valuation.streams.income import FutureStream, StreamValue, tonnes_lost
from financing.valuation.streams.pv_yield import calibrated
from financing.valuation.streams.receivables import ElectricityReceivable, value_receivable
from simulations.worlds.carbon_loans import PRICES

Json = dict[str, Any]
# A megawatt roof, five years: the stream whose value the scenarios cut.
ROOF_W = 1_000_000
ROOF_YEARS = 5
OPERATING_MARGIN = "east_china_operating_margin_2019"


def haircut_report(parameters: Parameters, on: date) -> list[Json]:
    """Every class: parts, derived, in force, verdict; and the same after 20 days without a trade."""
    rules = {key: parameters.valuation_rule(key, on) for key in parameters.valuation_rules.names()}
    models = {record.key: on_record(record)[0] for record in parameters.price_processes.records}
    classes = parameters.classes_on(on)
    rows = []
    # Small beside what traded, so that only the add-on for quiet days is due.
    quiet = {key: Position(Carbon(1), Carbon(1_000_000), rule.untraded_days) for key, rule in rules.items()}
    for plain, untraded in zip(review(rules, classes, models), review(rules, classes, models, quiet), strict=True):
        parts = plain.derived
        rows.append(
            {
                "class": plain.asset_class,
                "price_move_bps": parts.price_move.bps,
                "block_bps": parts.block.bps,
                "quality_bps": parts.quality.bps,
                "floor_bps": parts.floor.bps,
                "derived_bps": parts.total.bps,
                "in_force_bps": plain.in_force.bps,
                "verdict": plain.verdict.value,
                "jump_var_bps": plain.jump_var.bps,
                "after_20_quiet_days_bps": untraded.derived.total.bps,
                "verdict_after_20_quiet_days": untraded.verdict.value,
            }
        )
    return rows


def stream_report(parameters: Parameters, on: date) -> Json:
    """Yield, the stream by year, its value under every scenario, and the roof's electricity of a year."""
    rule = parameters.stream_rule("pv_suzhou", on)
    yields = calibrated(rule)
    factors = factors_of(parameters)
    margin = factors[OPERATING_MARGIN]
    stream = FutureStream("generated roof", ROOF_W, on, on, ROOF_YEARS, Rate(10_000))
    curve = CarryCurve(float(PRICES[rule.price_class]), rule.risk_free_bps / 10_000)
    valued = {
        scenario.key: stressed_stream(stream, scenario, rule, yields, margin, factors, curve)
        for scenario in parameters.stress_scenarios_on(on)
    }
    # Doubled defaults leave a stream as it is.
    base = valued["defaults_doubled"]
    receivable = ElectricityReceivable("generated roof", ROOF_W, on.replace(day=1), on.replace(day=1), 12, Rate(7_000))
    electricity = value_receivable(receivable, rule, yields)
    return {
        "yield_h": {"p50": yields.p50, "p90": yields.p90, "performance": yields.performance},
        "months_p50_h": list(yields.months),
        "factor": OPERATING_MARGIN,
        "tonnes_lost_bps": {
            "jiangsu_average_2022": tonnes_lost(margin, factors["jiangsu_average_2022"]).bps,
            "0.42": tonnes_lost(margin, EmissionFactor(420_000)).bps,
        },
        "years": [
            {
                "number": row.number,
                "tonnes_p50": row.reduction_p50.kg / 1000,
                "tonnes_p90": row.reduction_p90.kg / 1000,
                "forward_yuan": row.forward,
                "delivery": row.delivery,
                "discount": row.discount,
                "expected_yuan": row.expected.fen / 100,
                "at_p90_yuan": row.at_p90.fen / 100,
            }
            for row in base.rows
        ],
        "scenarios": {key: _stream_figures(value) for key, value in valued.items()},
        "receivable_12_months_yuan": electricity.at_p90.fen / 100,
    }


def _stream_figures(value: StreamValue) -> dict[str, float]:
    return {
        "tonnes_p90": value.reduction_p90.kg / 1000,
        "expected_yuan": value.expected.fen / 100,
        "at_p90_yuan": value.at_p90.fen / 100,
        "lendable_yuan": value.lendable.fen / 100,
    }


def factors_of(parameters: Parameters) -> dict[str, EmissionFactor]:
    """Every published grid factor by key."""
    return {record.key: record.factor for record in parameters.grid_factors.records}
