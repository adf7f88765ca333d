"""Columns of words: from level counts that nodes add up to numeric columns that every learner can take.

A kept level becomes a 0/1 column. A column with more than `LEVELS` levels also gets one column with the logarithm of
how often the row's level occurs, so a rare place or bank is told from a common one. No label enters. A node withholds
levels that fewer than `MIN_ROWS` of its rows have; a withheld or unknown level has all indicators at 0, and a missing
cell is missing in every derived column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.models.encoding.ramps import FloatArray

LEVELS = 12
MIN_ROWS = 10
Words = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class RawTable:
    """A party's table as it is: `columns`, `numbers` (rows, columns) with NaN = missing, and words by column number.

    A column that occurs in `words` holds None where a cell is missing; its column in `numbers` is not read.
    """

    columns: tuple[str, ...]
    numbers: FloatArray
    words: Mapping[int, Words]

    def level_counts(self, rows: NDArray[np.bool_]) -> dict[int, dict[str, int]]:
        """Counts of levels among `rows` (mask), without levels of fewer than `MIN_ROWS` rows."""
        counts_of = {}
        for j, cells in self.words.items():
            counted = Counter(str(cell) for cell in cells[rows] if cell is not None)
            counts_of[j] = {level: n for level, n in counted.items() if n >= MIN_ROWS}
        return counts_of


@dataclass(frozen=True, slots=True)
class CategoryMap:
    """Merged level counts by column number, and the numeric columns that follow from them."""

    columns: tuple[str, ...]
    counts: Mapping[int, Mapping[str, int]]

    @property
    def sources(self) -> tuple[int, ...]:
        """The raw column behind each numeric column."""
        return tuple(j for j, _ in self._derived())

    @property
    def names(self) -> tuple[str, ...]:
        """A name per numeric column: `column`, `column=level`, or `column#` for the frequency."""
        return tuple(
            self.columns[j] + ("" if level is None else f"={level}" if level else "#") for j, level in self._derived()
        )

    def _derived(self) -> list[tuple[int, str | None]]:
        derived: list[tuple[int, str | None]] = []
        for j in range(len(self.columns)):
            if j not in self.counts:
                derived.append((j, None))
                continue
            derived.extend((j, level) for level in self._kept(j))
            if len(self.counts[j]) > LEVELS:
                derived.append((j, ""))
        return derived

    def _kept(self, j: int) -> list[str]:
        order = sorted(self.counts[j].items(), key=lambda item: (-item[1], item[0]))
        kept = [level for level, _ in order if level][:LEVELS]
        # With two levels one indicator says it all; a column without a common level still says what is missing.
        return (kept[1:] if len(order) == 2 else kept) or kept or ["\0"]

    def expand(self, table: RawTable) -> FloatArray:
        """Numeric columns (rows, derived) of a raw table with this map's columns."""
        out = np.empty((len(table.numbers), len(self._derived())))
        for k, (j, level) in enumerate(self._derived()):
            if level is None:
                out[:, k] = table.numbers[:, j]
                continue
            cells = table.words[j]
            if level:
                out[:, k] = cells == level
            else:
                counts = self.counts[j]
                out[:, k] = [np.log1p(counts.get(cell, 0)) for cell in cells]
            out[np.array([cell is None for cell in cells]), k] = np.nan
        return out


def merge_levels(columns: Sequence[str], counted: Sequence[Mapping[int, Mapping[str, int]]]) -> CategoryMap:
    """Add up the level counts of all nodes of one kind."""
    total: dict[int, Counter[str]] = {}
    for counts in counted:
        for j, levels in counts.items():
            total.setdefault(j, Counter()).update(levels)
    return CategoryMap(tuple(columns), {j: dict(c) for j, c in total.items()})
