"""The whole experiment as one report: fits, anchors, haircuts, streams, a loan book, stress and reverse stress."""

from __future__ import annotations

import platform
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from financing.base.parameters import load_parameters
from financing.valuation.portfolio.joint import PortfolioLosses, simulate
from simulations.experiments.carbon_risk.book import portfolio_report, reverse_report, stress_report
from simulations.experiments.carbon_risk.collateral import haircut_report, stream_report
from simulations.experiments.carbon_risk.fits import anchor_report, co_movement, market_report
from simulations.experiments.carbon_risk.markets import Market, generated_markets, markets_from
from simulations.worlds.carbon_loans import carbon_loans

Json = dict[str, Any]
Say = Callable[[str], object]


def carbon_risk(
    data: Path | None, on: date, seed: int, paths: int, loans: int, say: Say
) -> tuple[Json, list[Market], PortfolioLosses]:
    """The report, the markets and the base losses behind it. Raises `FinancingError` for data that cannot be read."""
    parameters = load_parameters()
    markets = markets_from(data) if data else generated_markets(parameters, on, seed)
    say("fitting price models")
    processes = {each.key: parameters.price_process(each.key, on) for each in markets}
    world = carbon_loans(parameters, on, loans, seed)
    say(f"{paths:,} paths of {loans:,} generated loans")
    losses = simulate(world.book, world.dependence, paths, seed)
    report = {
        "experiment": "carbon_risk",
        "data_origin": "public copies of exchange prices" if data else "generated",
        "book": "generated",
        "on": on.isoformat(),
        "seed": seed,
        "markets": [market_report(each, processes[each.key]) for each in markets],
        "co_movement_20_days": co_movement(markets, 20) if data else {},
        "anchors": {key: anchor_report(process, seed) for key, process in processes.items()},
        "haircuts": haircut_report(parameters, on),
        "streams": stream_report(parameters, on),
        "portfolio": portfolio_report(world, losses, paths, seed),
        "stress": stress_report(parameters, on, world, paths // 5, seed, say),
        "reverse": reverse_report(world, parameters, on),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    return report, markets, losses
