"""How many defaults have a score in which band: counted between the operator, who knows bands, and a node, who knows
labels or groups, with the other node of the pair and a third node as dealers.

The operator holds the sum of both logits of a row (they come masked) and so its cell C (rows, cells); the holder has
columns V (rows, vectors). CᵀV is computed by a product of matrices on shares: dealers know the mask of C, which the
operator draws, and each draws a mask of V, with the holder; their sum hides V from the operator and each dealer. A
dealer corrects the product of the one mask and the other. Guarantee, if no two collude: the holder learns nothing of a
row's score, a dealer nothing at all, and the operator only what shares of all nodes add up to. The operator and one of
two dealers together learn no more than that; where there is one dealer, in a run of one bank and one grid company, they
read the holder's V. A correction is added to a count once, so one that is wrong by δ shifts it by δ, which whoever sent
it knew: nothing is read by it, and a tag (below) finds it.

Since the operator knows who is counted, a grid company adds a mask to what shares add up to that it has in common with
one bank, the reader, alone. The operator passes masked counts on to the reader, who does not know who is counted,
and each count comes with its multiple by a key (`tagged`) that nodes have and the operator has not: one that was
changed on the way is found out but for a chance of 2⁻⁴⁰, as long as the change is below 2²⁴.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.errors import AggregationFailed
from federated.privacy.vertical.ring import Ring, Tape

MOST_COUNTS = 1 << 20
# Rows that a count may have: a changed tag goes unnoticed the more easily the more twos a change is divisible by.
MOST_ROWS = 1 << 24


def deal(rows: int, cells: int, vectors: int, operator_key: bytes, holder_key: bytes, number: int) -> Ring:
    """As the dealer of this `number`, from 0: the holder's correction (cells, vectors).

    Raises `AggregationFailed` for counts that are none, or too many to be anybody's.
    """
    if not (0 < rows < MOST_ROWS and cells > 0 and vectors > 0 and cells * vectors <= MOST_COUNTS):
        raise AggregationFailed(f"{cells} cells of {vectors} vectors of {rows} rows cannot be counted")
    tape = Tape(operator_key)
    mask = tape.draw(rows, cells)
    share = [tape.draw(cells, vectors) for _ in range(number + 1)][number]
    return np.asarray(mask.T @ Tape(holder_key).draw(rows, vectors) - share)


@dataclass(frozen=True, slots=True)
class Layout:
    """Counts that are added up: of `names` by `cells`."""

    cells: int
    names: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Cells, vectors and their tags."""
        return self.cells, 2 * len(self.names)

    def read(self, total: Ring, masks: Ring, key: int) -> dict[str, Ring]:
        """As the reader: counts by name, by cell, from counts (n,) behind `masks` of `shape`.

        Raises `AggregationFailed` for counts that were changed.
        """
        if total.shape != (masks.size,):
            raise AggregationFailed(f"counts of {total.shape} came where {masks.size} were agreed")
        plain, tags = np.split(total.reshape(self.shape) - masks, 2, axis=1)
        if np.any(tags != plain * np.uint64(key)):
            raise AggregationFailed("counts were changed on the way to the reader")
        return {name: np.asarray(plain[:, i]) for i, name in enumerate(self.names)}


def counted(values: Ring) -> NDArray[np.int64]:
    """Counts as integers. Raises `AggregationFailed` for one that nobody's rows can have."""
    if np.any(values >= MOST_ROWS):
        raise AggregationFailed(f"a count of {MOST_ROWS:,} rows or more came")
    return values.astype(np.int64)


def tagged(vectors: Ring, key: int) -> Ring:
    """Vectors (rows, n) and, beside them, their multiples by a key of 64 bits: (rows, 2 n)."""
    return np.hstack([vectors, vectors * np.uint64(key)])


class Counter:
    """As the operator: `cell` (rows,) numbers below `cells`. So many `dealers` were told its `key`."""

    def __init__(self, cell: NDArray[np.int64], cells: int, vectors: int, key: bytes, dealers: int) -> None:
        self._one_hot = (cell[:, None] == np.arange(cells)).astype(np.uint64)
        tape = Tape(key)
        self.hidden = np.asarray(self._one_hot - tape.draw(len(cell), cells))
        self._share = np.sum([tape.draw(cells, vectors) for _ in range(dealers)], axis=0, dtype=np.uint64)

    def own(self, opened: Ring) -> Ring:
        """The own share (cells, vectors) of the counts, from the holder's hidden vectors."""
        if opened.shape != (len(self._one_hot), self._share.shape[1]):
            raise AggregationFailed(f"hidden vectors of {opened.shape} came for {len(self._one_hot)} rows")
        return np.asarray(self._share + self._one_hot.T @ opened)


def answer(vectors: Ring, keys: Sequence[bytes], correction: Ring, hidden: Ring) -> tuple[Ring, Ring]:
    """As the holder: `vectors` behind masks for the operator, and the own share (cells, vectors) of the counts.

    `keys` are those in common with each dealer, `correction` the sum of theirs.
    """
    if hidden.ndim != 2 or len(hidden) != len(vectors) or correction.shape != (hidden.shape[1], vectors.shape[1]):
        raise AggregationFailed(f"hidden cells of {hidden.shape} came for {len(vectors)} rows")
    mask = np.sum([Tape(key).draw(*vectors.shape) for key in keys], axis=0, dtype=np.uint64)
    return np.asarray(vectors - mask), np.asarray(correction + hidden.T @ mask)
