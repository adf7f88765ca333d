"""The write path against its alternative and its ceiling, in one process on one disk.

The same transfers (an entry, two postings, every trigger on) three ways: a commit for each; the writer's group commit
under many submitting threads; and one commit for all, the ceiling that no acknowledged-when-durable path passes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine

from financing.base.quantities import Money
from financing.base.storage.database import open_engine
from financing.base.storage.writer import Writer
from financing.ledger.accounts import CNY, AccountKey, AccountKind, cash
from financing.ledger.entries import EntryKind, balanced, pay, transfer
from financing.ledger.organisations import Organisation
from financing.lending.unit import UnitOfWork

AT = datetime(2026, 1, 1, tzinfo=UTC)
SUBMITTERS = 64


@dataclass(frozen=True, slots=True)
class LedgerSpeed:
    """Durable transfers a second of each path, and what group commit gains over a commit each."""

    transfers: int
    commit_each_per_s: float
    group_commit_per_s: float
    one_commit_per_s: float
    group_over_each: float


def measure_ledger(transfers: int = 2_000) -> LedgerSpeed:
    """Run all three on a fresh SQLite file each (WAL, synchronous=FULL)."""
    with tempfile.TemporaryDirectory() as folder:
        books = _books(Path(folder))
        each = _timed(books, transfers // 4, _commit_each)
        group = _timed(books, transfers, _group_commit)
        one = _timed(books, transfers, _one_commit)
    return LedgerSpeed(transfers, each, group, one, group / each)


def _timed(books: Path, transfers: int, run: Callable[[Engine, int], None]) -> float:
    copy = books.with_name(f"{run.__name__}.db")
    shutil.copyfile(books, copy)
    engine = open_engine(f"sqlite:///{copy}")
    started = time.perf_counter()
    run(engine, transfers)
    elapsed = time.perf_counter() - started
    engine.dispose()
    return transfers / elapsed


def _books(folder: Path) -> Path:
    """A closed file of books in which two organisations have money."""
    path = folder / "books.db"
    url = f"sqlite:///{path}"
    # The schema belongs to the service; asking its command for it keeps this package from importing it.
    subprocess.run(
        [sys.executable, "-m", "credit_api", "migrate", "--database-url", url], check=True, capture_output=True
    )
    engine = open_engine(url)
    writer = Writer(engine, UnitOfWork)

    def fund(unit: UnitOfWork) -> None:
        for name in ("a", "b"):
            unit.organisations.add(Organisation(name, "bank", name, name), AT)
        funding = transfer(AccountKey("a", AccountKind.SETTLEMENT, CNY), cash("a"), Money(10**12))
        unit.ledger.post(balanced(EntryKind.FUNDING, "f", funding), at=AT, actor_id="a")

    writer.execute(fund)
    writer.close()
    engine.dispose()
    return path


def _transfer(unit: UnitOfWork) -> None:
    unit.ledger.post(balanced(EntryKind.TRADE, "t", pay("a", "b", Money(1))), at=AT, actor_id="a")


def _commit_each(engine: Engine, transfers: int) -> None:
    writer = Writer(engine, UnitOfWork, max_batch=1)
    for _ in range(transfers):
        writer.execute(_transfer)
    writer.close()


def _group_commit(engine: Engine, transfers: int) -> None:
    writer = Writer(engine, UnitOfWork)

    def submit() -> None:
        for _ in range(transfers // SUBMITTERS):
            writer.execute(_transfer)

    threads = [threading.Thread(target=submit) for _ in range(SUBMITTERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()


def _one_commit(engine: Engine, transfers: int) -> None:
    writer = Writer(engine, UnitOfWork)

    def all_of_them(unit: UnitOfWork) -> None:
        for _ in range(transfers):
            _transfer(unit)

    writer.execute(all_of_them)
    writer.close()
