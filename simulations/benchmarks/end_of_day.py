"""End of day and revaluation of a whole generated book, on real tables: seconds, statements, memory, growth.

The same day is closed on books of growing size, so that seconds a loan and statements can be compared; the
revaluation is measured by itself (arrays in, standings out) and stored.
"""

from __future__ import annotations

import itertools
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Engine, event

from financing.base.context import Actor, Context
from financing.base.parameters import load_parameters
from financing.base.storage.database import open_engine
from financing.lending.business_day.closing import close_day
from financing.lending.collateral.coverage import ClassTable, statuses, value_pledges
from financing.lending.unit import UnitOfWork
from simulations.benchmarks.generated_book import BANK, BookSize, seed_book

DAY = date(2026, 3, 10)


@dataclass(frozen=True, slots=True)
class DaySpeed:
    """One closed date: seconds of seeding and of each of two dates, and SQL statements of the second."""

    database: str
    population: str
    loans: int
    pledges: int
    seed_s: float
    first_day_s: float
    second_day_s: float
    us_per_loan: float
    statements: int
    parked: int
    new_calls: int
    peak_memory_mib: float


def measure_days(url: str, loans: int, pledges_per_loan: int) -> DaySpeed:
    """Seed a fresh database at `url` and close two business dates of its one bank."""
    engine = migrated(url)
    try:
        started = time.perf_counter()
        with engine.execution_options(tanxin_writer=True).begin() as connection:
            seed_book(connection, context_at(DAY), BookSize(loans, pledges_per_loan), DAY)
        if engine.dialect.name == "postgresql":
            with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                connection.exec_driver_sql("VACUUM ANALYZE")
        seeded = time.perf_counter() - started
        first, _, _ = _close(engine, DAY)
        second, closed, statements = _close(engine, DAY + timedelta(days=1))
        calls = next(step for step in closed.steps if step["step"] == "call_margins")
        return DaySpeed(
            database=engine.dialect.name,
            population="generated",
            loans=loans,
            pledges=loans * pledges_per_loan,
            seed_s=seeded,
            first_day_s=first,
            second_day_s=second,
            us_per_loan=second / loans * 1e6,
            statements=statements,
            parked=closed.parked,
            new_calls=int(calls["called"]),
            peak_memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )
    finally:
        engine.dispose()


def measure_revaluation(pledges: int, loans: int, *, seed: int = 2024) -> dict[str, Any]:
    """Arrays of pledges to standings of loans, in this process: the compute alone, best of three."""
    draw = np.random.default_rng(seed)
    loan, kind = draw.integers(0, loans, pledges), draw.integers(0, 4, pledges)
    kg, debt = draw.integers(1_000, 5_000_000, pledges), draw.integers(100_000, 50_000_000, loans)
    table = ClassTable(
        keys=("PHCER", "PHCER_WETLAND", "CCER", "CEA"),
        price=np.array([3_000, 2_900, 8_000, 7_500]),
        haircut_bps=np.array([5_500, 6_500, 3_500, 3_000]),
        advance_bps=np.array([4_500, 3_500, 6_500, 7_000]),
        warn_bps=np.array([5_500, 4_500, 7_000, 7_500]),
        call_bps=np.array([6_500, 5_500, 7_500, 8_000]),
        liquidate_bps=np.array([7_500, 6_500, 8_500, 9_000]),
    )
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        counted = statuses(debt, value_pledges(loan, kind, kg, table, loans))
        seconds.append(time.perf_counter() - started)
    return {
        "population": "generated",
        "pledges": pledges,
        "loans": loans,
        "compute_s": min(seconds),
        "standings": np.bincount(counted, minlength=6).tolist(),
    }


def measured_growth(url_of: Callable[[int], str], sizes: tuple[int, ...], say: Callable[[str], None]) -> dict[str, Any]:
    """The same day on books of each size: the reports, and seconds a loan of the largest over those of the smallest."""
    reports = []
    for loans in sizes:
        say(f"end of day: {loans:,} generated loans")
        reports.append(measure_days(url_of(loans), loans, 1))
        say(f"  {reports[-1].second_day_s:.1f} s, {reports[-1].statements} statements")
    return {
        "books": [asdict(report) for report in reports],
        "per_loan_largest_over_smallest": reports[-1].us_per_loan / reports[0].us_per_loan,
        "statements_differ": len({report.statements for report in reports}) > 1,
    }


def context_at(day: date) -> Context:
    numbers = itertools.count()
    at = datetime(day.year, day.month, day.day, 15, 59, 59, tzinfo=UTC)
    return Context(Actor(BANK, "bank"), at, lambda prefix: f"{prefix}_{day}_{next(numbers)}", load_parameters())


def migrated(url: str) -> Engine:
    subprocess.run(
        [sys.executable, "-m", "credit_api", "migrate", "--database-url", url], check=True, capture_output=True
    )
    return open_engine(url)


def _close(engine: Engine, day: date) -> tuple[float, Any, int]:
    with counted(engine) as statements:
        started = time.perf_counter()
        with engine.execution_options(tanxin_writer=True).begin() as connection:
            closed = close_day(UnitOfWork(connection), context_at(day), day)
        return time.perf_counter() - started, closed, statements[0]


@contextmanager
def counted(engine: Engine) -> Iterator[list[int]]:
    """Count the statements that the engine sends; many rows by one prepared statement are one."""
    count = [0]

    def one_more(*_: object) -> None:
        count[0] += 1

    event.listen(engine, "before_cursor_execute", one_more)
    try:
        yield count
    finally:
        event.remove(engine, "before_cursor_execute", one_more)
