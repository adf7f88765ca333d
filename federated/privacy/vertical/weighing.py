"""Products of a grid company's mask and vectors of a bank's, dealt in stock and held against one another before use.

The bank draws vectors s and shares p, the dealer sends the grid company U·s − p for its mask U: shares of U·s, one
vector a step. A wrong one makes a customer's logit wrong by what its dealer knows, and the two gradients before and
after then tell that customer's row to whoever opens them. So more are dealt than are used. The pair puts them into
buckets in an order of its own; one bucket is opened, and of each other the first, which is used, has all others held
against it, as `triples` holds factors. What is compared are not whole vectors of rows but their products with
`CHECKS` random numbers a row, which come of a key that the dealer and the operator do not have: two vectors of errors
that differ, if by 2^63 in one row, have equal ones with a chance of 2^−`CHECKS`.

Guarantee: as in `triples`. What the bank says are differences of vectors and of shares that are used for nothing else.
"""

from __future__ import annotations

import numpy as np

from federated.errors import AggregationFailed
from federated.privacy.vertical.ring import Ring, Tape
from federated.privacy.vertical.triples import bucket_size, dealt

# How many are used of one stock, and by how many numbers a row vectors are compared.
STOCK, CHECKS = 20, 48
# What vectors and shares are drawn for, of the bank's tape.
PURPOSE = "weights"
# A factor of 22 bits times another adds up exactly in a double, so many times.
LIMB, INNER = 22, 256


def multiplied(a: Ring, b: Ring) -> Ring:
    """The product (rows, columns) of two matrices modulo 2^64, by exact products of doubles: ten times as fast."""
    total = np.zeros((len(a), b.shape[1]), dtype=np.uint64)
    for start in range(0, a.shape[1], INNER):
        left, right = _limbs(a[:, start : start + INNER]), _limbs(b[start : start + INNER])
        for i in range(3):
            for j in range(3 - i):
                total += (left[i] @ right[j]).astype(np.uint64) << np.uint64(LIMB * (i + j))
    return total


def _limbs(values: Ring) -> list[np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    low = np.uint64((1 << LIMB) - 1)
    return [((values >> np.uint64(LIMB * k)) & low).astype(np.float64) for k in range(3)]


def deal(mask: Ring, bank: Tape) -> Ring:
    """As the dealer, who knows U (rows, width): what the grid company is sent, (vectors, rows)."""
    total, (rows, width), tape = dealt(STOCK), mask.shape, bank.apart(PURPOSE)
    vectors, shares = tape.draw(total, width), tape.draw(total, rows)
    return np.asarray(multiplied(vectors, np.asarray(mask.T)) - shares)


class Stock:
    """One side's part of `STOCK` products over `rows` rows, each taken once."""

    def __init__(self, rows: int, common: Tape) -> None:
        self._order = np.argsort(common.draw(dealt(STOCK)), kind="stable")
        self._project, self._size, self._taken = common.draw(rows, CHECKS), bucket_size(STOCK), 0

    def _held(self, values: Ring) -> Ring:
        """What is held against what: a bucket that is opened, and firsts of buckets less each other of theirs."""
        ordered = values[self._order]
        opened, buckets = ordered[: self._size], ordered[self._size :].reshape(self._size, STOCK, -1)
        return np.concatenate([opened, (buckets[:1] - buckets[1:]).reshape(-1, values.shape[1])])

    def _next(self, values: Ring) -> Ring:
        return np.asarray(values[self._order[self._size + self._taken - 1]])

    @property
    def empty(self) -> bool:
        """Whether all were taken."""
        return self._taken == STOCK


class BankStock(Stock):
    """The bank's. `told` goes to the grid company."""

    def __init__(self, rows: int, width: int, tape: Tape, common: Tape) -> None:
        super().__init__(rows, common)
        total, own = dealt(STOCK), tape.apart(PURPOSE)
        self._vectors, self._shares = own.draw(total, width), own.draw(total, rows)
        held = [self._held(self._vectors), multiplied(self._held(self._shares), self._project)]
        self.told: Ring = np.concatenate([part.ravel() for part in held])

    def take(self) -> tuple[Ring, Ring]:
        """The next vector (width,) and the own share (rows,) of its product."""
        self._taken += 1
        return self._next(self._vectors), self._next(self._shares)


class GridStock(Stock):
    """The grid company's, with its `mask` (rows, width), what the dealer sent and what the bank told.

    Raises `AggregationFailed` for products that do not agree with one another.
    """

    def __init__(self, mask: Ring, dealt_to: Ring, told: Ring, common: Tape) -> None:
        super().__init__(len(mask), common)
        rows, width = mask.shape
        held = self._size + (self._size - 1) * STOCK
        if dealt_to.size != dealt(STOCK) * rows or told.size != held * (width + CHECKS):
            raise AggregationFailed(f"{dealt_to.size} corrections and {told.size} numbers came for a stock of products")
        self._shares = dealt_to.reshape(-1, rows)
        vectors, shares = told[: held * width].reshape(held, width), told[held * width :].reshape(held, CHECKS)
        own = multiplied(self._held(self._shares), self._project)
        wanted = multiplied(vectors, multiplied(np.asarray(mask.T), self._project))
        if np.any(own + shares != wanted):
            raise AggregationFailed("the dealer's products do not agree with one another: the run is over")

    def take(self) -> Ring:
        """The own share (rows,) of the next product."""
        self._taken += 1
        return self._next(self._shares)
