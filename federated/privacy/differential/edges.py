"""Knots of a column from noisy counts of public cells: quantiles that give no record's value away.

Every `Measure` has the same number of even cells over its public range, on its own scale, and one for missing. A record
is counted once a column, `COUNT` units each, so it moves the vector by COUNT·√columns at most.
"""

from __future__ import annotations

import numpy as np

from federated.errors import CorruptData
from federated.models.encoding.hats import IntArray
from federated.models.encoding.public_ranges import PublicTable
from federated.models.encoding.ramps import FloatArray

# Units of one count: fine enough that noise of a few counts is a fine integer grid.
COUNT = 16


def edge_length(public: PublicTable, cells: int) -> int:
    """Numbers in the vector of counts."""
    return len(public.measures) * (cells + 1)


def edge_bound_squared(public: PublicTable) -> int:
    """Square of the farthest that one record moves the counts, in units."""
    return len(public.measures) * COUNT**2


def edge_counts(public: PublicTable, values: FloatArray, cells: int) -> IntArray:
    """Counts in units, (edge_length,), of `values` (rows, columns)."""
    parts = []
    for j, column in public.measures:
        low, high = column.ends
        known = ~np.isnan(values[:, j])
        if not known.all() and not column.optional:
            detail = f"column {column.column} is missing in a row, and is not agreed to be optional"
            raise CorruptData(detail, column=column.column)
        place = (column.spaced(values[known, j]) - low) / (high - low) * cells
        counts = np.bincount(np.clip(place.astype(np.int64), 0, cells - 1), minlength=cells)
        parts.append(np.append(counts, (~known).sum()))
    return np.asarray(np.concatenate(parts) * COUNT if parts else np.zeros(0), dtype=np.int64)


def knots_from(public: PublicTable, noisy: FloatArray, cells: int, knots: int) -> dict[str, FloatArray]:
    """At most `knots` ascending knots a `Measure` from noisy counts (edge_length,): even quantiles, a cell apart.

    Post-processing: negative counts count as none, and a column whose counts are all noise gets its range's ends.
    """
    by_column = {}
    for (_, column), row in zip(public.measures, np.reshape(noisy, (-1, cells + 1)), strict=True):
        low, high = column.ends
        edges = np.linspace(low, high, cells + 1)
        mass = np.concatenate([[0.0], np.cumsum(np.maximum(row[:-1], 0.0))])
        # A sliver in every cell keeps the distribution invertible.
        mass = mass / max(mass[-1], 1.0) + 1e-9 * np.arange(cells + 1)
        wanted = np.interp(np.linspace(0.0, mass[-1], knots), mass, edges)
        kept = [float(wanted[0])]
        for place in wanted[1:]:
            if place - kept[-1] >= 0.999 * (high - low) / cells:
                kept.append(float(place))
        by_column[column.column] = np.array(kept if len(kept) > 1 else [low, high])
    return by_column
