"""The columnar way through a file of readings: whole columns at once, or not at all.

What it reads, it reads exactly as `csv_readings` does line by line; for anything unusual it declines, and the line
reader finds the line to name.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

STAMP = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z"
DECIMAL = r"\d{1,9}(\.\d{1,4})?"


def columns_of(text: str, names: list[str]) -> tuple[NDArray[np.datetime64], list[NDArray[np.int64]]] | None:
    """(starts, Wh columns) of a file in the plain form `2025-01-01T00:00:00Z,0.25`, or None for any other."""
    if '"' in text:
        return None
    # Half a second to load, which only the first file of a process pays for, and a command without files never.
    import pandas as pd  # noqa: PLC0415

    try:
        table = pd.read_csv(
            io.StringIO(text), dtype=str, keep_default_na=False, skip_blank_lines=False, header=0, names=names
        )
    except (pd.errors.ParserError, ValueError):
        return None
    if not len(table) or not table[names[0]].str.fullmatch(STAMP).all():
        return None
    if not all(table[name].str.fullmatch(DECIMAL).all() for name in names[1:]):
        return None
    try:
        starts = table[names[0]].str.slice(0, 19).to_numpy(dtype="U19").astype("datetime64[s]")
    except ValueError:
        return None
    return starts, [_watt_hours(table[name].to_numpy(dtype=np.float64)) for name in names[1:]]


def _watt_hours(kwh: NDArray[np.float64]) -> NDArray[np.int64]:
    """Wh, half to even. Four decimals below 10⁹ kWh are whole tenths of a Wh, exact in a float once rounded."""
    tenths = np.rint(kwh * 10_000).astype(np.int64)
    whole, rest = tenths // 10, tenths % 10
    up = (rest > 5) | ((rest == 5) & (whole % 2 == 1))
    exact: NDArray[np.int64] = whole + up
    return exact
