"""Every market's fits beside the record, and the tails both models give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from financing.base.errors import FinancingError
from financing.base.parameters.risk import PriceProcess
from financing.valuation.price_models.processes import (
    JUMPS_A_YEAR_MAX,
    JumpDiffusion,
    default_model,
    fit_all,
    on_record,
)
from financing.valuation.price_models.series import TRADING_DAYS, dickey_fuller, historic_var, volatility
from financing.valuation.price_models.tail_risk import TailRisk, jump_tail, reverting_tail, simulated_tail
from simulations.experiments.carbon_risk.markets import Market

Json = dict[str, Any]
HORIZONS = (10, 20, 63)
SALE_DAYS = 20
TAIL_PATHS = 400_000


def market_report(market: Market, process: PriceProcess) -> Json:
    """One market: the record, and what this data gives or why it gives nothing."""
    base: Json = {"key": market.key, "origin": market.origin, "record": _of_record(process)}
    try:
        fits = fit_all(market.series)
        history = [historic_var(market.series, days) for days in HORIZONS]
    except FinancingError as refusal:
        return base | {"found": None, "refused": {"code": refusal.code, "detail": refusal.detail}}
    reverting = fits.mean_reverting
    fitted = {
        "closes": fits.closes,
        "last": market.series.prices[-1],
        "volatility": volatility(market.series),
        "dickey_fuller_t": fits.dickey_fuller_t,
        "augmented_t": {str(lags): dickey_fuller(market.series, lags) for lags in (1, 5)},
        "default": fits.default,
        "mean_reverting": reverting and asdict(reverting) | {"half_life_days": reverting.half_life_days},
        "threshold": _jumps(fits.threshold),
        "likelihood": _jumps(fits.likelihood)
        | {"log_likelihood": fits.log_likelihood, "at_bound": fits.likelihood.jump_rate > 0.999 * JUMPS_A_YEAR_MAX},
        "historic_var_pct": [100 * each for each in history],
        "one_year_var_pct": {
            "jump_diffusion": 100 * jump_tail(still(fits.threshold), TRADING_DAYS).var,
            "ornstein_uhlenbeck": reverting
            and 100 * reverting_tail(reverting, market.series.prices[-1], TRADING_DAYS).var,
        },
    }
    return base | {"found": fitted, "refused": None}


def anchor_report(process: PriceProcess, seed: int) -> Json:
    """The 20-day tail of the record's parameters, μ = 0: on record, exact, drawn."""
    model, reverting = on_record(process)
    return {
        "record_pct": [process.merton_var_pct, process.merton_es_pct],
        "exact_pct": _pct(jump_tail(model, SALE_DAYS)),
        "drawn_pct": _pct(drawn := simulated_tail(model, SALE_DAYS, TAIL_PATHS, seed)),
        "drawn_error_pct": [100 * drawn.var_error, 100 * drawn.es_error],
        "paths": TAIL_PATHS,
        "one_year_var_pct": {
            "jump_diffusion": 100 * jump_tail(model, TRADING_DAYS).var,
            "ornstein_uhlenbeck": 100 * reverting_tail(reverting, process.theta, TRADING_DAYS).var,
        },
    }


def still(model: JumpDiffusion) -> JumpDiffusion:
    """The model without its drift: what a price did on average in some years is no promise (μ = 0, as on record)."""
    return replace(model, drift=0.0)


def co_movement(markets: Sequence[Market], days: int) -> dict[str, float]:
    """Correlations of `days`-day log returns between markets that share at least a year of days."""
    pairs = {}
    for place, one in enumerate(markets):
        for other in markets[place + 1 :]:
            left = dict(zip(one.series.days, one.series.prices, strict=True))
            right = dict(zip(other.series.days, other.series.prices, strict=True))
            common = sorted(set(left) & set(right))
            if len(common) > TRADING_DAYS:
                logs = np.log([[left[day], right[day]] for day in common])
                moves = logs[days:] - logs[:-days]
                pairs[f"{one.key}-{other.key}"] = float(np.corrcoef(moves.T)[0, 1])
    return pairs


def _jumps(model: JumpDiffusion) -> Json:
    return asdict(model) | {"volatility": model.volatility, "tail_20_pct": _pct(jump_tail(still(model), SALE_DAYS))}


def _of_record(process: PriceProcess) -> Json:
    chosen = process.model_dump(mode="json", exclude={"source", "citations", "file", "valid_from", "valid_until"})
    default = default_model(process.dickey_fuller_t, reverts=True)
    return chosen | {"half_life_days": on_record(process)[1].half_life_days, "default": default}


def _pct(tail: TailRisk) -> list[float]:
    return [100 * tail.var, 100 * tail.es]
