"""Labels that follow with certainty from counts of defaults: by block of the score, and by bank or group beside it.

The operator puts rows into cells by their summed logit, so it knows who (by position) is in which block and of which
bank. Whatever it is told is a sum of labels over a set of rows. Of rows that lie in the same sets only their number
counts; for each such part the attack asks by linear programming how many defaults all sums together leave it, and
where that is none or all, each member's label is certain. So totals minus parts, and crossings of groups, are tried as
well as single counts of one class. No label is guessed. Source: homogeneity attack, Machanavajjhala et al.,
"l-Diversity", ICDE 2006; bounds of cells from margins: Dobra, Fienberg, PNAS 2000.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

IntArray = NDArray[np.int64]
Sums = Sequence[tuple[IntArray, int]]
# What the solver may be off by.
TOLERANCE = 1e-6


def certain_labels(rows: int, sums: Sums) -> int:
    """Of how many of `rows` rows the label is known for sure. `sums` are (members, defaults among them)."""
    member = np.zeros((len(sums), rows), dtype=np.float64)
    for i, (members, _) in enumerate(sums):
        member[i, members] = 1.0
    parts, sizes = np.unique(member, axis=1, return_counts=True)
    defaults = np.array([count for _, count in sums], dtype=np.float64)
    bounds = [(0.0, float(size)) for size in sizes]
    not_all, not_none = np.zeros(len(sizes), dtype=np.bool_), np.zeros(len(sizes), dtype=np.bool_)
    for part in range(len(sizes)):
        for sign, shown in ((1.0, not_all), (-1.0, not_none)):
            if shown[part]:
                continue
            wanted = np.zeros(len(sizes))
            wanted[part] = sign
            found = linprog(wanted, A_eq=parts, b_eq=defaults, bounds=bounds)
            if found.status != 0:
                raise ValueError(f"no labels have these sums: {found.message}")
            # Numbers of defaults are whole. What one solution shows of other parts need not be asked again.
            not_all |= found.x <= sizes - 1.0 + TOLERANCE
            not_none |= found.x >= 1.0 - TOLERANCE
    return int(sizes[~(not_all & not_none)].sum())


def largest_chance(sums: Sums) -> float:
    """The largest share of one class in a set that is counted: how far a label can be guessed from its count alone."""
    shares = [defaults / len(members) for members, defaults in sums if len(members)]
    return max((max(share, 1.0 - share) for share in shares), default=0.5)
