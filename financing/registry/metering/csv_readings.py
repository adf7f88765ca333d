"""Readings as CSV: `interval_start` (ISO 8601 with zone), `generation_kwh`, optionally `export_kwh`, `register_kwh`.

kWh carry at most four decimals and become Wh rounded half to even. Every refusal names the line (the header is 1).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
from numpy.typing import NDArray

from financing.base.errors import CorruptData, FinancingError, ReadingRejected
from financing.base.quantities import Energy, require_utc
from financing.registry.metering.csv_columns import columns_of
from financing.registry.metering.readings import ReadingBatch

REQUIRED = ("interval_start", "generation_kwh")
OPTIONAL = ("export_kwh", "register_kwh")


def parse_readings(content: bytes, meter_id: str, interval_minutes: int) -> ReadingBatch:
    """Parse a CSV file. Raises `CorruptData` if it is not such a file, `ReadingRejected` for a forbidden value."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorruptData("the readings are not UTF-8", byte=error.start) from error
    rows = csv.reader(io.StringIO(text), strict=True)
    names = _header(next(rows, []))
    whole = columns_of(text, names)
    starts, columns = whole if whole is not None else _by_line(rows, names)
    by_name = dict(zip(names[1:], columns, strict=True))
    return ReadingBatch(
        meter_id,
        interval_minutes,
        starts,
        by_name["generation_kwh"],
        by_name.get("export_kwh"),
        by_name.get("register_kwh"),
    )


def _by_line(rows: Any, names: list[str]) -> tuple[NDArray[np.datetime64], list[NDArray[np.int64]]]:
    starts: list[int] = []
    columns: list[list[int]] = [[] for _ in names[1:]]
    try:
        for row in rows:
            line = rows.line_num
            if len(row) != len(names):
                raise CorruptData(f"line {line}: expected {len(names)} columns, found {len(row)}", line=line)
            starts.append(_start(row[0], line))
            for column, name, value in zip(columns, names[1:], row[1:], strict=True):
                column.append(_watt_hours(value, name, line))
    except csv.Error as error:
        raise CorruptData(f"line {rows.line_num}: {error}", line=rows.line_num) from error
    if not starts:
        raise CorruptData("the file holds no reading")
    return np.array(starts, dtype="datetime64[s]"), [np.array(column, dtype=np.int64) for column in columns]


def _header(names: Sequence[str]) -> list[str]:
    columns = [name.strip() for name in names]
    optional = columns[2:]
    known = tuple(columns[:2]) == REQUIRED and optional == [name for name in OPTIONAL if name in optional]
    if not known:
        raise CorruptData(
            f"line 1: columns are {', '.join(REQUIRED)} and optionally {', '.join(OPTIONAL)}", columns=columns
        )
    return columns


def _start(text: str, line: int) -> int:
    try:
        at = require_utc(datetime.fromisoformat(text.strip()))
    except (ValueError, FinancingError) as error:
        raise ReadingRejected(f"line {line}: interval_start is not ISO 8601 with a zone", line=line) from error
    if at.microsecond:
        raise ReadingRejected(f"line {line}: interval_start is off the meter's grid", line=line)
    return int(at.timestamp())


def _watt_hours(text: str, column: str, line: int) -> int:
    try:
        kwh = Decimal(text.strip())
    except InvalidOperation as error:
        raise ReadingRejected(f"line {line}: {column} is not a number", line=line, column=column) from error
    if not kwh.is_finite():
        raise ReadingRejected(f"line {line}: {column} is not a finite number", line=line, column=column)
    if kwh < 0:
        raise ReadingRejected(f"line {line}: {column} is negative", line=line, column=column)
    if kwh != round(kwh, 4) if kwh < 10**15 else True:
        raise ReadingRejected(f"line {line}: {column} is finer than 0.0001 kWh or too large", line=line, column=column)
    return Energy.from_kwh(kwh).wh
