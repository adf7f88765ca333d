"""The joint simulation of a generated loan book: seconds and memory, beside drawing every loan on every path.

Both run in a fresh process, so that the peak memory is theirs. Drawing everything is measured on fewer paths, with the
same factors' distribution; its expected loss has to agree within the errors of both.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
from scipy import special

from financing.base.parameters import load_parameters
from financing.valuation.portfolio.joint import simulate
from financing.valuation.portfolio.loan_book import LoanBook
from financing.valuation.portfolio.portfolio_risk import assess
from financing.valuation.price_models.tail_risk import tail_of
from simulations.worlds.carbon_loans import carbon_loans

ON = date(2026, 11, 20)
BRUTE_PATHS = 1_000


@dataclass(frozen=True, slots=True)
class PortfolioSpeed:
    """Figures of one run; money in yuan, `defaults_*` a path."""

    population: str
    loans: int
    paths: int
    seed: int
    seconds: float
    peak_memory_mib: float
    exposure_yuan: float
    expected_loss_yuan: float
    expected_loss_error_yuan: float
    var_999_yuan: float
    es_999_yuan: float
    economic_capital_yuan: float
    economic_capital_error_yuan: float
    us_per_path: float
    brute_us_per_path: float
    brute_over_ours: float
    defaults_expected: float
    defaults_brute: float
    defaults_brute_error: float


def measured_portfolio(say: Callable[[str], object], quick: bool = False, seed: int = 2024) -> dict[str, Any]:
    """100,000 paths of 10,000 generated loans (`quick`: 10,000 of 2,000)."""
    loans, paths = (2_000, 10_000) if quick else (10_000, 100_000)
    say(f"{paths:,} paths of {loans:,} generated loans")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
        return asdict(alone.submit(measure, loans, paths, seed).result())


def measure(loans: int, paths: int, seed: int) -> PortfolioSpeed:
    """Run in this process; the peak memory is the process's."""
    world = carbon_loans(load_parameters(), ON, loans, seed)
    started = time.perf_counter()
    losses = simulate(world.book, world.dependence, paths, seed)
    risk = assess(world.book, losses)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started = time.perf_counter()
    counts = _every_loan(world.book, BRUTE_PATHS, seed)
    brute = (time.perf_counter() - started) / BRUTE_PATHS
    return PortfolioSpeed(
        population="generated",
        loans=loans,
        paths=paths,
        seed=seed,
        seconds=seconds,
        peak_memory_mib=peak,
        exposure_yuan=risk.exposure.fen / 100,
        expected_loss_yuan=risk.expected_loss.fen / 100,
        expected_loss_error_yuan=risk.expected_loss_error.fen / 100,
        var_999_yuan=risk.var.fen / 100,
        es_999_yuan=risk.expected_shortfall.fen / 100,
        economic_capital_yuan=risk.economic_capital.fen / 100,
        economic_capital_error_yuan=tail_of(losses.total, 0.999).var_error / 100,
        us_per_path=seconds / paths * 1e6,
        brute_us_per_path=brute * 1e6,
        brute_over_ours=brute / (seconds / paths),
        defaults_expected=float(world.book.pd.sum()),
        defaults_brute=float(counts.mean()),
        defaults_brute_error=float(counts.std() / np.sqrt(BRUTE_PATHS)),
    )


def _every_loan(book: LoanBook, paths: int, seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Defaults of each path (paths,) by a normal draw for every loan, in single precision."""
    generator = np.random.default_rng(seed)
    limit = special.ndtri(book.pd).astype(np.float32)
    weight = book.loading.astype(np.float32)
    rest = np.sqrt(1 - weight**2)
    counts = np.empty(paths)
    for path in range(paths):
        factor = np.float32(generator.standard_normal())
        own = generator.standard_normal(len(book), dtype=np.float32)
        counts[path] = np.count_nonzero(weight * factor + rest * own < limit)
    return counts
