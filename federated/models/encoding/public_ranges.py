"""Public knowledge of columns: ranges and levels that are agreed in advance and say nothing about anybody's rows.

They are dated TOML texts, one a table, written from code books and from what a unit can hold at most; every bank has
them beforehand. A value beyond a range counts as the range's end, so a range that is too tight costs accuracy and never
privacy.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass

import numpy as np

from federated.errors import CorruptData
from federated.models.encoding.ramps import FloatArray


@dataclass(frozen=True, slots=True)
class Measure:
    """A number between `low` and `high`. `unit` > 0: spaced by sign(x)·log(1 + |x|/unit); 0: evenly.

    `optional`: may be missing (NaN), which is then a cell of its own.
    """

    column: str
    low: float
    high: float
    unit: float = 0.0
    optional: bool = False
    protected: bool = False

    def spaced(self, values: FloatArray) -> FloatArray:
        """`values` cut to the range and on the column's own scale, same shape; NaN stays NaN."""
        cut = np.clip(np.asarray(values, dtype=np.float64), self.low, self.high)
        return np.asarray(np.sign(cut) * np.log1p(np.abs(cut) / self.unit)) if self.unit else cut

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends of the range on the column's own scale."""
        low, high = self.spaced(np.array([self.low, self.high])).tolist()
        return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Levels:
    """A code or a small count: a value belongs to the largest of the ascending `levels` that it reaches."""

    column: str
    levels: tuple[float, ...]
    optional: bool = False
    protected: bool = False


PublicColumn = Measure | Levels


@dataclass(frozen=True, slots=True)
class PublicTable:
    """The public description of a table's columns, in order. `digest` (SHA-256) names this very text."""

    table: str
    columns: tuple[PublicColumn, ...]
    digest: str

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(c.column for c in self.columns)

    @property
    def measures(self) -> tuple[tuple[int, Measure], ...]:
        """The columns that need knots, with their places."""
        return tuple((j, c) for j, c in enumerate(self.columns) if isinstance(c, Measure))

    def unprotected(self) -> PublicTable:
        """The table without the columns that a lender may not decide on."""
        kept = tuple(c for c in self.columns if not c.protected)
        return PublicTable(self.table, kept, hashlib.sha256(f"{self.digest} unprotected".encode()).hexdigest())


def public_table_of(table: str, raw: bytes) -> PublicTable:
    """The public ranges that a TOML text states for `table`. Raises `CorruptData` if they contradict."""
    columns = tuple(_column(table, entry) for entry in tomllib.loads(raw.decode())["columns"])
    return PublicTable(table, columns, hashlib.sha256(raw).hexdigest())


def _column(table: str, entry: dict[str, object]) -> PublicColumn:
    name = str(entry["column"])
    flags = {flag: bool(entry.get(flag, False)) for flag in ("optional", "protected")}
    if "levels" in entry:
        given = entry["levels"]
        levels = tuple(float(v) for v in given) if isinstance(given, list) else ()
        if not levels or list(levels) != sorted(set(levels)):
            raise CorruptData(f"{table}: levels of {name} do not ascend", party=table, column=name)
        return Levels(name, levels, **flags)
    low, high, unit = (float(str(entry.get(field, 0))) for field in ("low", "high", "unit"))
    if not low < high or unit < 0:
        raise CorruptData(f"{table}: the range of {name} is empty", party=table, column=name)
    return Measure(name, low, high, unit, **flags)
