"""Scores of rows that are judged, on shares, in an order that a bank draws with its dealer and a grid company cannot.

Who knows the score of a row and the columns of a grid company for it solves for the coefficients of these columns, and
reads labels off them. So an operator that sorts scores must not know whose they are, though a grid company tells it
all that it knows. The grid company's numbers go to the bank behind a mask, the bank puts them into its order, and the
dealer's correction takes that mask off and puts another one on, which the grid company holds in the new order as it is
(permute and share: Chase, Ghosh, Poburinnaya, ASIACRYPT 2020, with a dealer in place of oblivious transfer).

Guarantee: where both follow the protocol, the bank sees uniform numbers, and so does the grid company; neither it nor
the operator learns anything of the order, which the bank and the dealer know. It does not hold against a dealer and an
operator together. A wrong correction adds a number to what is counted in one row's place, after all products, and is
not found: a dealer that also reads counts learns by it in which cell of scores a row is, and nothing of its label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.errors import AggregationFailed
from federated.privacy.vertical.ring import Ring, Tape

Order = NDArray[np.int64]


def _order(tape: Tape, rows: int) -> Order:
    """An order (rows,) of chance."""
    return np.argsort(tape.draw(rows))


def deal(bank: Tape, grid: Tape, sizes: tuple[int, int, int]) -> dict[str, Ring]:
    """As the dealer: what the bank and the grid company are sent. `sizes` are rows, columns of the grid company, and
    numbers a row that are shuffled."""
    rows, columns, vectors = sizes
    mask, before, after = grid.draw(rows, columns), grid.draw(rows, vectors), grid.draw(rows, vectors)
    weighed = mask @ bank.draw(columns) - bank.draw(rows)
    return {"grid": np.asarray(weighed), "bank": np.asarray(before[_order(bank, rows)] - after).ravel()}


class ShuffledGrid:
    """As the grid company, with `columns` (rows, width) as ring elements. `hidden` goes to the bank."""

    def __init__(self, columns: Ring, vectors: int, tape: Tape) -> None:
        self._mask = tape.draw(*columns.shape)
        self.hidden = columns - self._mask
        self._before, self.after = tape.draw(len(columns), vectors), tape.draw(len(columns), vectors)

    def masked(self, weights: Ring, correction: Ring, others: Ring) -> Ring:
        """From the bank's hidden coefficients and the dealer's correction: the own shares of scores and of `others`
        (rows, vectors − 1), for the bank. `after` (rows, vectors) are the own shares in its order."""
        if weights.shape != self._mask.shape[1:] or correction.shape != self._mask.shape[:1]:
            raise AggregationFailed(f"{weights.size} coefficients and {correction.size} corrections do not fit columns")
        score = self._mask @ weights + correction
        return np.asarray(np.column_stack([score, others]) - self._before)


@dataclass
class ShuffledBank:
    """As the bank, with coefficients `weights` (width,) as ring elements. `hidden` goes to the grid company."""

    weights: Ring
    rows: int
    vectors: int
    tape: Tape

    def __post_init__(self) -> None:
        self.hidden = np.asarray(self.weights - self.tape.draw(len(self.weights)))
        self._share = self.tape.draw(self.rows)
        self.order = _order(self.tape, self.rows)

    def shares(self, columns: Ring, masked: Ring, correction: Ring, own: Ring) -> Ring:
        """The own shares (rows, vectors) in the own order, from the grid company's hidden columns and masked numbers,
        and the dealer's correction; `own` (rows, vectors) are the bank's shares, in the pair's order."""
        rows = self.rows
        if columns.size != rows * len(self.weights) or not masked.size == correction.size == rows * self.vectors:
            raise AggregationFailed(f"{columns.size} columns, {masked.size} numbers and {correction.size} corrections")
        ours = own + masked.reshape(rows, self.vectors)
        ours[:, 0] += columns.reshape(rows, -1) @ self.weights + self._share
        return np.asarray(ours[self.order] + correction.reshape(rows, self.vectors))
