"""Pictures of a carbon-risk report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from financing.base.parameters import load_parameters
from financing.valuation.portfolio.joint import PortfolioLosses
from financing.valuation.price_models.processes import (
    JumpDiffusion,
    MeanReverting,
    fit_by_threshold,
    fit_mean_reverting,
    on_record,
)
from financing.valuation.price_models.series import TRADING_DAYS
from financing.valuation.price_models.tail_risk import simulated_paths
from simulations.drawing import pyplot, saved
from simulations.experiments.carbon_risk.fits import still
from simulations.experiments.carbon_risk.markets import Market

Json = dict[str, Any]
FAN_PATHS = 20_000
FAN_MARKET = "GDEA"
SHOWN_DAYS = 250
BANDS = ((1, 99), (5, 95), (25, 75))
FILL = ("#c9d8ea", "#8fb1d6", "#4f80b8")


def draw_all(report: Json, markets: list[Market], losses: PortfolioLosses, folder: Path) -> list[Path]:
    """fan.png, losses.png, stress.png, reverse.png in `folder`."""
    return [
        _fan(report, next(each for each in markets if each.key == FAN_MARKET), folder / "fan.png"),
        _losses(report, losses, folder / "losses.png"),
        _stress(report, folder / "stress.png"),
        _reverse(report, folder / "reverse.png"),
    ]


def _fan(report: Json, market: Market, path: Path) -> Path:
    """A year of both models from the last price, with the market's own last year before it."""
    last = market.series.prices[-1]
    jumping = still(fit_by_threshold(market.series))
    reverting = fit_mean_reverting(market.series)
    if reverting is None:
        record = next(each for each in load_parameters().price_processes.records if each.key == market.key)
        reverting = on_record(record)[1]
    figure, sides = pyplot().subplots(1, 2, figsize=(11, 4.6), sharey=True)
    shown = market.series.prices[-SHOWN_DAYS:]
    models: tuple[tuple[str, JumpDiffusion | MeanReverting], ...] = (
        ("jump-diffusion, μ = 0", jumping),
        (f"Ornstein–Uhlenbeck, θ = {reverting.theta:.0f}", reverting),
    )
    for axes, (name, model) in zip(sides, models, strict=True):
        paths = simulated_paths(model, last, TRADING_DAYS, FAN_PATHS, report["seed"])
        days = np.arange(TRADING_DAYS + 1)
        for (low, high), colour in zip(BANDS, FILL, strict=True):
            edges = np.percentile(paths, [low, high], axis=0)
            axes.fill_between(days, *edges, color=colour, label=f"{low}–{high} %", linewidth=0)
        axes.plot(days, np.percentile(paths, 50, axis=0), color="#12355b", label="median")
        axes.plot(np.arange(1 - len(shown), 1), shown, color="#444444", linewidth=0.9, label="price")
        axes.axvline(0, color="#999999", linewidth=0.7)
        axes.set(title=name, xlabel="trading days from the last price", xlim=(1 - len(shown), TRADING_DAYS))
    sides[0].set(ylabel="yuan a tonne", ylim=(0, None))
    sides[0].legend(loc="upper left", fontsize=8)
    figure.suptitle(f"{market.key} ({report['data_origin']}): the next year by both models, {FAN_PATHS:,} paths")
    figure.tight_layout()
    return saved(figure, path)


def _losses(report: Json, losses: PortfolioLosses, path: Path) -> Path:
    figure, axes = pyplot().subplots(figsize=(9, 4.6))
    million = losses.total / 1e8
    axes.hist(million, bins=120, color="#8fb1d6", log=True)
    base = report["portfolio"]["base"]
    for key, name, colour in (
        ("expected_loss_yuan", "expected loss", "#2a7f3b"),
        ("var_yuan", "VaR 99.9 %", "#c06a00"),
        ("es_yuan", "ES 99.9 %", "#b01e1e"),
    ):
        axes.axvline(base[key] / 1e6, color=colour, label=f"{name} {base[key] / 1e6:,.1f} M")
    axes.set(xlabel="loss of a year, million yuan", ylabel="paths (logarithmic)", xlim=(0, float(million.max()) * 1.02))
    axes.legend()
    own = report["portfolio"]
    axes.set_title(f"{own['loans']:,} generated loans on carbon, {own['paths']:,} paths")
    figure.tight_layout()
    return saved(figure, path)


def _stress(report: Json, path: Path) -> Path:
    rows = report["stress"]
    figure, axes = pyplot().subplots(figsize=(10, 4.8))
    heights = np.arange(len(rows))
    axes.barh(
        heights - 0.2, [r["expected_loss_yuan"] / 1e6 for r in rows], 0.38, color="#4f80b8", label="expected loss"
    )
    bars = axes.barh(
        heights + 0.2, [r["economic_capital_yuan"] / 1e6 for r in rows], 0.38, color="#c9956b", label="economic capital"
    )
    axes.bar_label(bars, fmt="{:,.0f}", fontsize=8, padding=3)
    axes.set_yticks(heights, [r["scenario"].replace("_", " ") for r in rows])
    axes.invert_yaxis()
    axes.margins(x=0.08)
    axes.set_xlabel("million yuan over one year, 99.9 %")
    axes.legend(loc="upper right")
    axes.set_title(f"{report['portfolio']['loans']:,} generated loans under each scenario, {rows[0]['paths']:,} paths")
    figure.tight_layout()
    return saved(figure, path)


def _reverse(report: Json, path: Path) -> Path:
    reverse = report["reverse"]
    figure, axes = pyplot().subplots(figsize=(9, 4.6))
    fall = np.array(reverse["fall_bps"]) / 100
    for name, colour in (("warn", "#d9a400"), ("call", "#c06a00"), ("liquidate", "#b01e1e")):
        shares = 100 * np.array(reverse["lines"][name]["share_broken"])
        axes.step(fall, shares, where="post", color=colour, label=f"{name} line reached")
    axes.set(xlabel="common fall of all prices, %", ylabel="share of debt, %", xlim=(0, 80), ylim=(0, 102))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    axes.set_title(f"Reverse stress of {reverse['loans']} generated loans on issued credits")
    figure.tight_layout()
    return saved(figure, path)
