"""Many rows in few statements: whole columns in and out of a table, the same on SQLite and PostgreSQL.

PostgreSQL moves them by COPY, SQLite by one prepared statement; the number of statements does not grow with the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from financing.base.errors import CorruptData

Ints = NDArray[np.int64]

# The binary form of COPY: an 11-byte signature, flags and the length of an extension; then rows; then −1 in two bytes.
_SIGNATURE = b"PGCOPY\n\xff\r\n\x00"
_HEADER = len(_SIGNATURE) + 8


def is_postgresql(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def read_integers(connection: Connection, names: Sequence[str], expressions: Sequence[str], tail: str) -> list[Ints]:
    """`SELECT expressions tail` as one int64 array a column; every expression is an integer and never NULL.

    Raises `CorruptData` when a value is NULL.
    """
    if not is_postgresql(connection):
        rows = connection.exec_driver_sql(f"SELECT {', '.join(expressions)} {tail}").fetchall()
        try:
            table = np.array(rows, dtype=np.int64).reshape(len(rows), len(names))
        except (TypeError, ValueError) as error:
            raise CorruptData("a stored number is missing", columns=list(names)) from error
        return [np.ascontiguousarray(table[:, place]) for place in range(len(names))]
    selected = ", ".join(f"({expression})::int8" for expression in expressions)
    with _cursor(connection).copy(f"COPY (SELECT {selected} {tail}) TO STDOUT (FORMAT BINARY)") as copy:
        raw = bytearray().join(bytes(part) for part in copy)
    row = _row_type(names)
    body = memoryview(raw)[_HEADER:-2]
    if len(body) % row.itemsize:
        raise CorruptData("a stored number is missing", columns=list(names))
    records = np.frombuffer(body, dtype=row)
    return [records[name].astype(np.int64) for name in names]


def write_integers(
    connection: Connection, table: str, key: str, columns: Mapping[str, Ints], dates: frozenset[str]
) -> None:
    """Set `columns` of the rows that `columns[key]` names. Those in `dates` are day numbers; −1 is NULL."""
    names = list(columns)
    changed = [name for name in names if name != key]
    if not len(columns[key]):
        return
    if not is_postgresql(connection):
        sets = ", ".join(
            f"{name} = CASE WHEN ?{place} < 0 THEN NULL ELSE date(?{place} * 86400, 'unixepoch') END"
            if name in dates
            else f"{name} = ?{place}"
            for place, name in enumerate(changed, start=2)
        )
        rows = np.column_stack([columns[key], *(columns[name] for name in changed)]).tolist()
        connection.exec_driver_sql(f"UPDATE {table} SET {sets} WHERE {key} = ?1", [tuple(row) for row in rows])
        return
    with _incoming(connection, table, columns) as incoming:
        connection.exec_driver_sql(f"ANALYZE {incoming} ({key})")
        sets = ", ".join(f"{name} = {_from_number(f'i.{name}', name in dates)}" for name in changed)
        connection.exec_driver_sql(f"UPDATE {table} SET {sets} FROM {incoming} i WHERE {table}.{key} = i.{key}")


def insert_integers(connection: Connection, table: str, columns: Mapping[str, Ints], dates: frozenset[str]) -> None:
    """Add rows of integers and, in `dates`, of day numbers (−1 is NULL)."""
    names = list(columns)
    listed = ", ".join(names)
    if not is_postgresql(connection):
        values = ", ".join(
            f"CASE WHEN ?{place} < 0 THEN NULL ELSE date(?{place} * 86400, 'unixepoch') END"
            if name in dates
            else f"?{place}"
            for place, name in enumerate(names, start=1)
        )
        rows = np.column_stack([columns[name] for name in names]).tolist()
        connection.exec_driver_sql(f"INSERT INTO {table} ({listed}) VALUES ({values})", [tuple(row) for row in rows])
        return
    with _incoming(connection, table, columns) as incoming:
        values = ", ".join(_from_number(f"i.{name}", name in dates) for name in names)
        connection.exec_driver_sql(f"INSERT INTO {table} ({listed}) SELECT {values} FROM {incoming} i")


def insert_rows(connection: Connection, table: str, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Add rows of plain values (dates as dates, moments as aware datetimes on PostgreSQL and text on SQLite)."""
    if is_postgresql(connection):
        with _cursor(connection).copy(f"COPY {table} ({', '.join(names)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    listed = [tuple(row) for row in rows]
    if listed:
        marks = ", ".join("?" for _ in names)
        connection.exec_driver_sql(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", listed)


def day_number(connection: Connection, column: str) -> str:
    """SQL for a date column as a day number, −1 for NULL."""
    if is_postgresql(connection):
        return f"COALESCE({column} - DATE '1970-01-01', -1)"
    return f"COALESCE(CAST(julianday({column}) - 2440587.5 AS INTEGER), -1)"


@contextmanager
def _incoming(connection: Connection, table: str, columns: Mapping[str, Ints]) -> Iterator[str]:
    """The columns as a temporary table, for one statement to take them from."""
    incoming, names = f"{table}_incoming", list(columns)
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {incoming}")
    declared = ", ".join(f"{name} int8" for name in names)
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {incoming} ({declared}) ON COMMIT DROP")
    _copy_in(connection, incoming, names, [columns[name] for name in names])
    yield incoming
    connection.exec_driver_sql(f"DROP TABLE {incoming}")


def _from_number(column: str, is_date: bool) -> str:
    return f"DATE '1970-01-01' + NULLIF({column}, -1)::int4" if is_date else column


def _copy_in(connection: Connection, table: str, names: Sequence[str], columns: Sequence[Ints]) -> None:
    row = _row_type(names)
    rows = np.empty(len(columns[0]), dtype=row)
    rows["n"] = len(names)
    for name, column in zip(names, columns, strict=True):
        rows[f"{name}_bytes"], rows[name] = 8, column
    with _cursor(connection).copy(f"COPY {table} ({', '.join(names)}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(_SIGNATURE + bytes(8))
        view = rows.tobytes()
        for start in range(0, len(view), 1 << 22):
            copy.write(view[start : start + (1 << 22)])
        copy.write(b"\xff\xff")


def _row_type(names: Sequence[str]) -> np.dtype[np.void]:
    cells = [part for name in names for part in ((f"{name}_bytes", ">i4"), (name, ">i8"))]
    return np.dtype([("n", ">i2"), *cells])


def _cursor(connection: Connection) -> Any:
    return connection.connection.cursor()


def stored_date(connection: Connection, day: date) -> Any:
    """A date as a bulk statement binds it."""
    return day.isoformat() if connection.dialect.name == "sqlite" else day


def stored_moment(connection: Connection, at: datetime) -> Any:
    """A moment as a bulk statement binds it."""
    if connection.dialect.name == "sqlite":
        return at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    return at
