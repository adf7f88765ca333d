"""How many defaults have a score in which band: counted between the operator, who knows bands, and a node, who knows
labels or groups, with the other node of the pair as dealer.

The operator holds the sum of both logits of a row (they come masked) and so its cell C (rows, cells); the holder has
columns V (rows, vectors). CᵀV is computed by a product of matrices on shares: the dealer draws masks of both and
corrects their product, and sees neither. Guarantee, if no two collude: the holder learns nothing of a row's score, the
dealer nothing at all, the operator the counts.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numpy as np

from federated.errors import AggregationFailed
from federated.privacy.vertical.dealer import KEY_BYTES
from federated.privacy.vertical.ring import Ring, Tape

MOST_COUNTS = 1 << 20


@dataclass(frozen=True, slots=True)
class Dealt:
    """A key for the operator, a key and a correction (cells, vectors) for the holder of the vectors."""

    operator_key: bytes
    holder_key: bytes
    correction: Ring


def deal(rows: int, cells: int, vectors: int) -> Dealt:
    """As the dealer. Raises `AggregationFailed` for counts that are none, or too many to be anybody's."""
    if not (cells > 0 and vectors > 0 and cells * vectors <= MOST_COUNTS):
        raise AggregationFailed(f"{cells} cells of {vectors} vectors cannot be counted")
    operator, holder = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(KEY_BYTES)
    tape = Tape(operator)
    mask, share = tape.draw(rows, cells), tape.draw(cells, vectors)
    return Dealt(operator, holder, np.asarray(mask.T @ Tape(holder).draw(rows, vectors) - share))


class Counter:
    """As the operator: `cell` (rows,) numbers below `cells`."""

    def __init__(self, cell: np.ndarray[tuple[int], np.dtype[np.int64]], cells: int, vectors: int, key: bytes) -> None:
        self._one_hot = (cell[:, None] == np.arange(cells)).astype(np.uint64)
        tape = Tape(key)
        self.hidden = np.asarray(self._one_hot - tape.draw(len(cell), cells))
        self._share = tape.draw(cells, vectors)

    def own(self, opened: Ring) -> Ring:
        """The own share (cells, vectors) of the counts, from the holder's hidden vectors."""
        if opened.shape != (len(self._one_hot), self._share.shape[1]):
            raise AggregationFailed(f"hidden vectors of {opened.shape} came for {len(self._one_hot)} rows")
        return np.asarray(self._share + self._one_hot.T @ opened)


def answer(vectors: Ring, key: bytes, correction: Ring, hidden: Ring) -> tuple[Ring, Ring]:
    """As the holder: `vectors` behind a mask for the operator, and the own share (cells, vectors) of the counts."""
    if hidden.ndim != 2 or len(hidden) != len(vectors) or correction.shape != (hidden.shape[1], vectors.shape[1]):
        raise AggregationFailed(f"hidden cells of {hidden.shape} came for {len(vectors)} rows")
    mask = Tape(key).draw(*vectors.shape)
    return np.asarray(vectors - mask), np.asarray(correction + hidden.T @ mask)
