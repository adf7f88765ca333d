"""Rows as integers whose size is known beforehand: hat functions over knots, and one cell a level.

In every column a row holds non-negative integers that add up to `UNIT`: it lies between two knots (and is shared by
them), in one level, or in the cell for what is missing. With the constant there are `blocks` such groups, so the
squared length of a row is at most blocks · UNIT² and no entry is beyond UNIT, whatever the row holds. Privacy bounds
rest on exactly this.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.errors import CorruptData
from federated.models.encoding.public_ranges import Levels, Measure, PublicTable
from federated.models.encoding.ramps import FloatArray

UNIT = 256
MOST_BETA = 64.0
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class HatBasis:
    """Columns of an additive model. `knots` gives each `Measure`'s ascending knots on its own scale, by column."""

    public: PublicTable
    knots: dict[str, FloatArray]

    @property
    def blocks(self) -> int:
        """Groups that each hold `UNIT`: one a column, and the constant."""
        return len(self.public.columns) + 1

    @property
    def sizes(self) -> tuple[int, ...]:
        """Cells of every column, in order."""
        return tuple(self._cells(c) + c.optional for c in self.public.columns)

    @property
    def width(self) -> int:
        """Number of cells, with the constant."""
        return sum(self.sizes) + 1

    def _cells(self, column: Measure | Levels) -> int:
        return len(column.levels) if isinstance(column, Levels) else len(self.knots[column.column])

    def units(self, values: FloatArray) -> IntArray:
        """`values` (rows, columns) as (rows, width), constant last. Raises `CorruptData` naming a column."""
        out = np.zeros((len(values), self.width), dtype=np.int64)
        start = 0
        for j, (column, size) in enumerate(zip(self.public.columns, self.sizes, strict=True)):
            part = out[:, start : start + size]
            known = ~np.isnan(values[:, j])
            if not known.all() and not column.optional:
                detail = f"column {column.column} is missing in a row, and is not agreed to be optional"
                raise CorruptData(detail, column=column.column)
            part[~known, -1] = UNIT
            if isinstance(column, Levels):
                code = np.searchsorted(np.asarray(column.levels), values[known, j], side="right") - 1
                part[np.flatnonzero(known), np.maximum(code, 0)] = UNIT
            else:
                _share(part, np.flatnonzero(known), column.spaced(values[known, j]), self.knots[column.column])
            start += size
        out[:, -1] = UNIT
        return out


def scored(units: IntArray, beta: FloatArray) -> FloatArray:
    """Scores (rows,) of `units` (rows, width) with `beta` (width,), |beta| ≤ `MOST_BETA`: exact sums of rounded terms.

    Coefficients count in 2^−30 and products stay below 2^53, so a row's score is the same whatever rows are beside it,
    which a sum in floating point does not promise.
    """
    whole = np.rint(np.clip(beta, -MOST_BETA, MOST_BETA) * 2.0**30)
    return np.asarray((units.astype(np.float64) @ whole) / 2.0**30)


def _share(part: IntArray, rows: NDArray[np.int64], at: FloatArray, knots: FloatArray) -> None:
    """Split `UNIT` between the two knots around each value; beyond the ends all of it goes to the end."""
    at = np.clip(at, knots[0], knots[-1])
    left = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    share = (at - knots[left]) / (knots[left + 1] - knots[left])
    right = np.rint(share * UNIT).astype(np.int64)
    part[rows, left] = UNIT - right
    part[rows, left + 1] = right
