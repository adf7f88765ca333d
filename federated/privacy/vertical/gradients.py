"""How many gradients of both sides a run may open: each is an equation about labels and about columns.

The bank that fits opens them. If it has other code, and adds 2^(9·j) to the residual of its customer j, it reads rows
of the grid company's columns off the difference of two, of seven customers a gradient, which shares without MACs do not
stop. Honest runs took 18 to 80 gradients on five public sets.
"""

from __future__ import annotations

FEWEST, MOST, ROWS_A_GRADIENT = 80, 160, 10


def most_gradients(rows: int) -> int:
    """How many gradients of both sides a run over so many rows may open."""
    return min(MOST, max(FEWEST, rows // ROWS_A_GRADIENT))
