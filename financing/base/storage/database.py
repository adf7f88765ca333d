"""Engines for the embedded default (SQLite) and PostgreSQL: the same code by URL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url

# Any fixed number: every writer of one database asks for the same advisory lock.
WRITER_LOCK = 0x7461_6E78_696E


def open_engine(url: str) -> Engine:
    """An engine for `url`. SQLite gets WAL, synchronous=FULL and enforced foreign keys on every connection."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"), pool_size=8, pool_pre_ping=True, hide_parameters=True
        )
    if parsed.get_backend_name() != "sqlite":
        raise ValueError(f"{parsed.get_backend_name()} is not supported: use sqlite or postgresql")
    engine = create_engine(parsed, connect_args={"timeout": 30, "check_same_thread": False}, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own implicit BEGIN would not cover savepoints; SQLAlchemy's "begin" event issues it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    # The default cache of 2 MB is smaller than the indexes that every order touches, and a checkpoint every 4 MB of log
    # stops the writer too often; what is durable is decided by the log alone.
    tuning = ("cache_size=-65536", "wal_autocheckpoint=8000")
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000", *tuning):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("tanxin_writer", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def lock_for_writing(connection: Connection) -> None:
    """Make this transaction the only writer until it ends, across processes (SQLite already is, by BEGIN IMMEDIATE)."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": WRITER_LOCK})
