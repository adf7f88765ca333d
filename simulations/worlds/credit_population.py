"""A generated population of firms, with bank files, electricity behaviour and defaults that depend on both.

Everything here is generated; no value is taken from a real firm. For firm i, all draws independent unless stated:

latent factors        h ~ N(0, 1) solvency as its books show it; a ~ N(0, 1) activity of its plant, corr(h, a) = 0.3;
                      m ~ N(0, 1) payment morale.
default               P(y = 1) = σ(b − 0.75·h − 0.85·a − 0.45·m + 0.5·max(0, −h)·max(0, −a) + 0.35·s), where s = 1 if
                      idle_days_90d > 20 and line_utilisation > 0.7, and b is solved by bisection so that the mean
                      probability is `default_rate`.
bank file             leverage = σ(0.2 − 0.8·h + ε), current_ratio = exp(0.35 + 0.35·h + 0.4ε),
                      revenue_growth = 0.05 + 0.10·h + 0.06·a + 0.12ε, interest_cover = exp(1.2 + 0.6·h + 0.6ε),
                      line_utilisation = σ(−0.2 − 0.6·h − 0.3·m + ε),
                      late_payments_12m ~ Poisson(exp(−1.1 − 0.6·m − 0.3·h)),
                      relationship_years = Exp(mean 6), account_inflow_trend = 0.05·h + 0.08·a + 0.15ε.
electricity           usage_trend_12m = 0.02 + 0.12·a + 0.10ε, usage_volatility = exp(−1.6 − 0.35·a + 0.4ε),
                      idle_days_90d ~ Poisson(exp(1.6 − 0.8·a)) cut at 90, load_factor = σ(0.2 + 0.6·a + 0.6ε),
                      night_share = σ(−1.0 + 0.5ε), capacity_utilisation = σ(0.4 + 0.5·a + 0.7ε),
                      bill_delay_days = max(0, −1 + 4·exp(−0.5·m)·u), u ~ U(0, 2),
                      self_generation_share = 0 for 70 % of firms, else Beta(2, 6).
missing               interest_cover 8 %, account_inflow_trend 5 %, bill_delay_days 4 %, usage_trend_12m 6 %, at random.
coverage, consent     5 % of firms are served by neither grid company; 6 % do not open electricity data; 3 % do not
                      consent to model training. ε ~ N(0, 1) anew in every formula.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulations.worlds.columns import load_schema
from simulations.worlds.credit_nodes import CreditTables, memberships

DEFAULT_FIRMS = 12_000
DEFAULT_RATE = 0.12
Vector = NDArray[np.float64]


def _sigmoid(x: Vector) -> Vector:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def _intercept(raw: Vector, rate: float) -> float:
    low, high = -30.0, 30.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _sigmoid(raw + middle).mean() < rate else (low, middle)
    return (low + high) / 2


def _bank_file(rng: np.random.Generator, h: Vector, a: Vector, m: Vector) -> dict[str, Vector]:
    def noise() -> Vector:
        return rng.normal(size=len(h))

    return {
        "leverage": _sigmoid(0.2 - 0.8 * h + noise()),
        "current_ratio": np.exp(0.35 + 0.35 * h + 0.4 * noise()),
        "revenue_growth": 0.05 + 0.10 * h + 0.06 * a + 0.12 * noise(),
        "interest_cover": np.exp(1.2 + 0.6 * h + 0.6 * noise()),
        "line_utilisation": _sigmoid(-0.2 - 0.6 * h - 0.3 * m + noise()),
        "late_payments_12m": rng.poisson(np.exp(-1.1 - 0.6 * m - 0.3 * h)).astype(np.float64),
        "relationship_years": rng.exponential(6.0, len(h)),
        "account_inflow_trend": 0.05 * h + 0.08 * a + 0.15 * noise(),
    }


def _electricity(rng: np.random.Generator, a: Vector, m: Vector) -> dict[str, Vector]:
    def noise() -> Vector:
        return rng.normal(size=len(a))

    has_panels = rng.random(len(a)) >= 0.7
    return {
        "usage_trend_12m": 0.02 + 0.12 * a + 0.10 * noise(),
        "usage_volatility": np.exp(-1.6 - 0.35 * a + 0.4 * noise()),
        "idle_days_90d": np.minimum(rng.poisson(np.exp(1.6 - 0.8 * a)), 90).astype(np.float64),
        "load_factor": _sigmoid(0.2 + 0.6 * a + 0.6 * noise()),
        "night_share": _sigmoid(-1.0 + 0.5 * noise()),
        "capacity_utilisation": _sigmoid(0.4 + 0.5 * a + 0.7 * noise()),
        "bill_delay_days": np.maximum(0.0, -1.0 + 4.0 * np.exp(-0.5 * m) * rng.uniform(0.0, 2.0, len(a))),
        "self_generation_share": np.where(has_panels, rng.beta(2.0, 6.0, len(a)), 0.0),
    }


def _drop(rng: np.random.Generator, columns: dict[str, Vector], shares: dict[str, float]) -> None:
    for name, share in shares.items():
        columns[name] = np.where(rng.random(len(columns[name])) < share, np.nan, columns[name])


def generate_population(
    firms: int = DEFAULT_FIRMS, seed: int = 2024, default_rate: float = DEFAULT_RATE
) -> CreditTables:
    """A population of `firms` firms, ids `FIRM-00001` …, in three banks and two grid companies. Seeded.

    Raises `ValueError` for fewer than 300 firms or a default rate outside (0, 1).
    """
    if firms < 300 or not 0.0 < default_rate < 1.0:
        raise ValueError("a population has at least 300 firms and a default rate between 0 and 1")
    rng = np.random.default_rng(seed)
    h, other, m = rng.normal(size=(3, firms))
    a = 0.3 * h + np.sqrt(1 - 0.3**2) * other
    bank, grid = _bank_file(rng, h, a, m), _electricity(rng, a, m)
    stressed = (grid["idle_days_90d"] > 20) & (bank["line_utilisation"] > 0.7)
    raw = -0.75 * h - 0.85 * a - 0.45 * m + 0.5 * np.maximum(0, -h) * np.maximum(0, -a) + 0.35 * stressed
    labels = (rng.random(firms) < _sigmoid(raw + _intercept(raw, default_rate))).astype(np.int64)
    _drop(rng, bank, {"interest_cover": 0.08, "account_inflow_trend": 0.05})
    _drop(rng, grid, {"bill_delay_days": 0.04, "usage_trend_12m": 0.06})
    served, opens, trains = rng.random(firms) >= 0.05, rng.random(firms) >= 0.06, rng.random(firms) >= 0.03
    banks, grids = memberships(firms, seed)
    schema = load_schema("generated-firms")
    return CreditTables(
        schema=schema,
        subjects=tuple(f"FIRM-{i + 1:05d}" for i in range(firms)),
        labels=labels,
        bank_values=np.column_stack([bank[c] for c in schema.bank.columns]),
        grid_values=np.column_stack([grid[c] for c in schema.grid.columns]),
        bank_of=banks,
        grid_of=tuple(g if s else "" for g, s in zip(grids, served, strict=True)),
        trains=trains,
        opens_electricity=opens,
    )
