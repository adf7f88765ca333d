"""Labels that follow with certainty from counts of defaults by cell of the score, and by bank inside each cell.

The operator puts rows into cells by their summed logit, so it knows who (by position) is in which cell and of which
bank; where all or none of a counted group defaulted, it knows the label of each of its members. No label is guessed:
what is counted here is certain. Source: homogeneity attack, Machanavajjhala et al., "l-Diversity", ICDE 2006.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from federated.models.encoding.ramps import FloatArray


def certain_labels(counts: Iterable[tuple[FloatArray, FloatArray]]) -> int:
    """Of how many rows the label is known for sure. `counts` are (rows, defaults), (cells,) each, a disjoint group."""
    known = 0.0
    for rows, defaults in counts:
        alike = np.isclose(defaults, 0.0) | np.isclose(defaults, rows)
        known += float(rows[alike].sum())
    return round(known)
