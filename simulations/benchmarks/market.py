"""The market: matching beside peers, durable orders over HTTP, and what survives being killed."""

from __future__ import annotations

import asyncio
import os
import platform
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median, quantiles
from typing import Any

from financing.base.storage.database import open_engine
from financing.lending.unit import UnitOfWork
from financing.market.order_book.audit import verify_books
from simulations.benchmarks.market_load import Load, requests_of, run_load
from simulations.benchmarks.market_matching import measure_matching
from simulations.benchmarks.market_service import open_market, start

CLIENTS = 64
Say = Callable[[str], None]
Part = Callable[[Say], dict[str, Any]]


def parts_of(*, quick: bool) -> dict[str, Part]:
    """The parts by name, in the size asked for."""
    return {
        "matching": lambda say: _matching(40_000 if quick else 400_000, say),
        "http": lambda say: measure_http(60 if quick else 400, say),
        "kill": lambda say: measure_kills(3 if quick else 200, say),
    }


def measured(parts: dict[str, Part], say: Say, *, quick: bool) -> dict[str, Any]:
    """Run the parts; hardware and size stand beside the figures."""
    report: dict[str, Any] = {
        "quick": quick,
        "hardware": {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()},
    }
    for name, run in parts.items():
        say(name)
        report[name] = run(say)
    return report


def _matching(orders: int, say: Say) -> dict[str, Any]:
    say(f"{orders:,} orders of one random crossing flow through each engine")
    return measure_matching(orders)


def measure_http(each: int, say: Say, clients: int = CLIENTS) -> dict[str, Any]:
    """Acknowledged orders a second of `clients` connections on SQLite with synchronous=FULL, and the books after."""
    with tempfile.TemporaryDirectory() as folder:
        say(f"a service with {clients} participants holding issued credits")
        service = open_market(Path(folder), clients, 1_200)
        try:
            asyncio.run(run_load(service, requests_of(service, clients, 5, seed=1)))
            say(f"{clients} clients, {each} orders each")
            load = asyncio.run(run_load(service, requests_of(service, clients, each, seed=2)))
        finally:
            service.stop()
        audit = _audited(Path(folder))
    return {
        "clients": clients,
        "orders": len(load.acknowledged),
        "refused": sum(count for status, count in load.statuses.items() if status != 201),
        "orders_per_s": len(load.acknowledged) / load.seconds,
        "traded_at_once": load.filled / max(len(load.acknowledged), 1),
        "median_ms": 1_000 * median(load.latencies),
        "p99_ms": 1_000 * quantiles(load.latencies, n=100)[98],
        **audit,
    }


def measure_kills(kills: int, say: Say, clients: int = 16) -> dict[str, Any]:
    """Kill the service with SIGKILL under load, again and again; every acknowledged order must be in the journal.

    The books stay in place from kill to kill, so each start goes on from what the last one left; every 25 kills a
    fresh market is opened, so that the check of the whole journal stays quick.
    """
    rng = Random(9)
    acknowledged = lost = diverged = events = 0
    done = 0
    while done < kills:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            opened = open_market(home, clients, 400)
            service = opened
            for _ in range(min(25, kills - done)):
                load = _killed(service, rng, clients)
                lost += _missing(home, load.acknowledged)
                acknowledged += len(load.acknowledged)
                audit = _audited(home)
                diverged += not audit["agrees"]
                events = max(events, audit["events"])
                done += 1
                service = start(home)
                service.keys, service.traders = opened.keys, opened.traders
                service.instrument = opened.instrument
            service.stop()
            say(f"{done} kills, {acknowledged} acknowledged, {lost} lost, {diverged} books diverged")
    return {
        "kills": kills,
        "acknowledged": acknowledged,
        "lost": lost,
        "diverged": diverged,
        "largest_journal_events": events,
    }


def _killed(service: Any, rng: Random, clients: int) -> Load:
    requests = requests_of(service, clients, 400, seed=rng.randrange(10**9))
    killer = threading.Timer(rng.uniform(0.05, 0.4), service.kill)
    killer.start()
    load = asyncio.run(run_load(service, requests))
    killer.join()
    return load


def _missing(home: Path, acknowledged: list[str]) -> int:
    """How many acknowledged orders the journal does not hold."""
    engine = open_engine(f"sqlite:///{home / 'tanxin.db'}")
    with engine.connect() as connection:
        unit = UnitOfWork(connection)
        journaled = {
            getattr(recorded.event, "order_id", "")
            for listed in unit.orders.instruments()
            for recorded in unit.journal.after(listed.id, 0)
            if recorded.event.kind == "placed"
        }
    engine.dispose()
    return sum(order_id not in journaled for order_id in acknowledged)


def _audited(home: Path) -> dict[str, Any]:
    """Rebuild every book from its journal, hold it against orders, trades and reservations, and check the ledger."""
    engine = open_engine(f"sqlite:///{home / 'tanxin.db'}")
    try:
        with engine.connect() as connection:
            unit = UnitOfWork(connection)
            books = verify_books(unit)
            unit.ledger.verify()
            unit.serials.verify()
    finally:
        engine.dispose()
    return {
        "agrees": True,
        "events": sum(book.events for book in books),
        "trades": sum(book.trades for book in books),
        "state_hash": books[0].state_hash if books else "",
    }
