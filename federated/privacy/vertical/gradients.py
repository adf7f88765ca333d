"""How many gradients of both sides a run may open: each is an equation about labels and about columns.

An operator opens gradients of banks' columns, and the bank that fits those of grid companies' columns. Whoever makes
others compute them at points of its choosing, with an answer of its own for one customer at a time, reads that customer
off the difference of two: a bank with other code reads a row of the grid company's columns by two gradients, which
shares without MACs do not stop. Honest runs took 18 to 80 gradients on five public sets.
"""

from __future__ import annotations

FEWEST, MOST, ROWS_A_GRADIENT = 80, 160, 10


def most_gradients(rows: int) -> int:
    """How many gradients of both sides a run over so many rows may open."""
    return min(MOST, max(FEWEST, rows // ROWS_A_GRADIENT))
