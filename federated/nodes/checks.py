"""What a party's table must satisfy before a node stores it. Refusals name party and column."""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from federated.errors import CorruptData, DataMissing, SchemaMismatch
from federated.models.encoding.ramps import FloatArray

GZIP_MAGIC = b"\x1f\x8b"


def check_table(
    party: str, columns: Sequence[str], subjects: Sequence[str], values: FloatArray, labels: Sequence[int] | None
) -> None:
    """Raise `CorruptData` or `SchemaMismatch` unless the table can be stored at `party`.

    `values` has shape (subjects, columns), NaN = missing. `labels` (banks only) are 0 = paid, 1 = defaulted.
    """
    if values.shape != (len(subjects), len(columns)):
        detail = f"{party}: expected {len(columns)} columns for {len(subjects)} rows, got {values.shape}"
        raise SchemaMismatch(detail, party=party)
    if not subjects:
        raise CorruptData(f"{party}: no rows", party=party)
    seen: set[str] = set()
    for subject in subjects:
        if not subject or subject in seen:
            raise CorruptData(f"{party}: id {subject!r} is empty or occurs twice", party=party, column="id")
        seen.add(subject)
    for j, column in enumerate(columns):
        if np.any(np.isinf(values[:, j])):
            raise CorruptData(f"{party}: column {column} holds an infinite value", party=party, column=column)
        if np.all(np.isnan(values[:, j])):
            raise CorruptData(f"{party}: column {column} is empty in every row", party=party, column=column)
    if labels is not None:
        _check_labels(party, len(subjects), labels)


def _check_labels(party: str, rows: int, labels: Sequence[int]) -> None:
    if len(labels) != rows:
        raise CorruptData(f"{party}: {len(labels)} labels for {rows} rows", party=party, column="y")
    classes = set(labels)
    if not classes <= {0, 1}:
        raise CorruptData(f"{party}: column y holds something else than 0 and 1", party=party, column="y")
    if len(classes) < 2:
        raise CorruptData(f"{party}: column y has one class only, nothing can be learnt", party=party, column="y")


def read_csv(path: Path, party: str, expected: Sequence[str]) -> list[list[str]]:
    """Rows of a UTF-8 CSV file, plain or gzip, whose header must be `expected` in this order.

    Raises `DataMissing`, `CorruptData` (unreadable, ragged) or `SchemaMismatch` (columns missing, unknown, reordered).
    """
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == GZIP_MAGIC else raw).decode("utf-8")
    except FileNotFoundError:
        raise DataMissing(f"{party}: {path.name} does not exist", party=party, file=path.name) from None
    except (OSError, EOFError, ValueError) as error:
        raise CorruptData(f"{party}: {path.name} cannot be read: {error}", party=party, file=path.name) from error
    rows = list(csv.reader(text.splitlines()))
    header = rows[0] if rows else []
    missing = [c for c in expected if c not in header]
    unknown = [c for c in header if c not in expected]
    if missing or unknown or header != list(expected):
        detail = f"{party}: {path.name} lacks columns {missing} and has unknown columns {unknown}"
        if not missing and not unknown:
            detail = f"{party}: {path.name} has its columns in another order or twice"
        raise SchemaMismatch(detail, party=party, file=path.name, missing=missing, unknown=unknown)
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(expected):
            detail = f"{party}: {path.name} line {number} has {len(row)} fields"
            raise CorruptData(detail, party=party, file=path.name, line=number)
    return rows[1:]


def numbers(rows: Sequence[Sequence[str]], columns: Sequence[str], first: int, party: str) -> FloatArray:
    """Cells from field `first` on as floats, an empty cell as NaN. Raises `CorruptData` naming column and line."""
    values = np.empty((len(rows), len(columns)))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            values[i, j] = _number(row[first + j], party, column, i + 2)
    return values


def _number(cell: str, party: str, column: str, line: int) -> float:
    if not cell.strip():
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        value = math.inf
    if not math.isfinite(value):
        raise CorruptData(
            f"{party}: column {column} line {line} is not a finite number: {cell[:40]!r}",
            party=party,
            column=column,
            line=line,
        )
    return value
