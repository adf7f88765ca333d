"""Readings as CSV: `interval_start` (ISO 8601 with zone), `generation_kwh`, optionally `export_kwh`.

kWh carry at most four decimals and become Wh rounded half to even. Every refusal names the line (the header is 1).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation

import numpy as np

from financing.errors import CorruptData, FinancingError, ReadingRejected
from financing.metering.readings import ReadingBatch
from financing.quantities import Energy, require_utc

REQUIRED = ("interval_start", "generation_kwh")
OPTIONAL = "export_kwh"


def parse_readings(content: bytes, meter_id: str, interval_minutes: int) -> ReadingBatch:
    """Parse a CSV file. Raises `CorruptData` if it is not such a file, `ReadingRejected` for a forbidden value."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorruptData("the readings are not UTF-8", byte=error.start) from error
    rows = csv.reader(io.StringIO(text), strict=True)
    has_export = _header(next(rows, []))
    starts: list[int] = []
    generation: list[int] = []
    export: list[int] = []
    try:
        for row in rows:
            line = rows.line_num
            if len(row) != 2 + has_export:
                raise CorruptData(f"line {line}: expected {2 + has_export} columns, found {len(row)}", line=line)
            starts.append(_start(row[0], line))
            generation.append(_watt_hours(row[1], "generation_kwh", line))
            if has_export:
                export.append(_watt_hours(row[2], OPTIONAL, line))
    except csv.Error as error:
        raise CorruptData(f"line {rows.line_num}: {error}", line=rows.line_num) from error
    if not starts:
        raise CorruptData("the file holds no reading")
    return ReadingBatch(
        meter_id,
        interval_minutes,
        np.array(starts, dtype="datetime64[s]"),
        np.array(generation, dtype=np.int64),
        np.array(export, dtype=np.int64) if has_export else None,
    )


def _header(names: Sequence[str]) -> bool:
    columns = tuple(name.strip() for name in names)
    if columns not in (REQUIRED, (*REQUIRED, OPTIONAL)):
        raise CorruptData(f"line 1: columns are {', '.join(REQUIRED)} and optionally {OPTIONAL}", columns=columns)
    return len(columns) == 3


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
