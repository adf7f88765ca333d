"""Import of published half-hourly research files (mean kW, local clock without zone) as meter readings.

Such files are simulations or research meters: small negative night values are sensor or model noise. They are clipped
to zero and counted, which is allowed here only; a real meter's negative reading is refused by `ReadingBatch`.
"""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from financing.base.errors import CorruptData, ReadingRejected
from financing.base.quantities import require_utc
from financing.registry.metering.readings import ReadingBatch

INTERVAL_MINUTES = 30
WH_PER_KW_HALF_HOUR = 500


@dataclass(frozen=True, slots=True, eq=False)
class ImportedReadings:
    """The batch and how many half-hours were negative and clipped to zero."""

    batch: ReadingBatch
    clipped: int


def import_half_hourly_kw(
    path: Path,
    meter_id: str,
    generation_column: str,
    first_start: datetime,
    *,
    consumption_column: str | None = None,
    scale: int = 1,
) -> ImportedReadings:
    """Read one plant from a CSV or CSV.GZ file with a `timestamp` column and columns in kW.

    The file's clock has no zone, so its first row is placed at `first_start` (aware) and every other row keeps its
    distance from it. `scale` enlarges the plant by a whole factor. With `consumption_column`, export is generation
    less consumption where positive. Raises `CorruptData` for an unreadable file or column, `ReadingRejected` for a
    missing or non-finite value.
    """
    rows = _rows(path)
    clock = _clock(path, [row["timestamp"] for row in rows] if rows and "timestamp" in rows[0] else [])
    generation_kw = _column(path, rows, generation_column)
    origin = np.datetime64(int(require_utc(first_start).timestamp()), "s")
    generation = _watt_hours(generation_kw * scale)
    export = None
    if consumption_column is not None:
        consumption = _watt_hours(_column(path, rows, consumption_column) * scale)
        export = np.maximum(generation - consumption, 0)
    batch = ReadingBatch(meter_id, INTERVAL_MINUTES, origin + (clock - clock[0]), generation, export)
    return ImportedReadings(batch, int((generation_kw < 0).sum()))


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise CorruptData(f"{path.name}: not a readable CSV file: {error}", file=path.name) from error
    return list(csv.DictReader(text.splitlines()))


def _clock(path: Path, texts: list[str]) -> NDArray[np.datetime64]:
    try:
        clock = np.array(texts, dtype="datetime64[s]")
    except ValueError as error:
        raise CorruptData(f"{path.name}: timestamp is not a time: {error}", file=path.name) from error
    if not len(clock):
        raise CorruptData(f"{path.name}: no rows with a timestamp", file=path.name)
    return clock


def _column(path: Path, rows: list[dict[str, str]], column: str) -> NDArray[np.float64]:
    try:
        values = np.array([float(row[column]) for row in rows])
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptData(f"{path.name}: column {column} is absent or not numeric", file=path.name) from error
    if not np.isfinite(values).all():
        raise ReadingRejected(f"{path.name}: column {column} has a missing value", file=path.name)
    return values


def _watt_hours(kilowatts: NDArray[np.float64]) -> NDArray[np.int64]:
    clipped: NDArray[np.float64] = np.rint(np.maximum(kilowatts, 0.0) * WH_PER_KW_HALF_HOUR)
    return clipped.astype(np.int64)
