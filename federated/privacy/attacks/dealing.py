"""What does a dealer read that deals wrongly, and what does an operator read that knows a dealer's keys?

A dealer that makes one correction wrong by e has the residual of one row shifted by a multiple of e, and so the opened
gradient of both sides by that multiple of the row: the difference of two gradients at the same coefficients is the
row's columns. Sides that check triples end the run; `Trusting` ones, which believe the dealer, are what it is compared
with. And whoever holds what a side hides and the key of its mask takes the mask off. Success is what is read of the
true numbers, exactly. Source: additive attacks on unauthenticated triples, Damgård, Pastro, Smart, Zakarias (CRYPTO
2012), who authenticate shares against them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from federated.errors import AggregationFailed
from federated.privacy.vertical.dealer import Dealer
from federated.privacy.vertical.party import PRODUCTS, PairSide
from federated.privacy.vertical.ring import COLUMN_BITS, FloatArray, Ring, Tape
from federated.privacy.vertical.weighing import GridStock, Stock

ROLES = ("bank", "grid")
# How near to a whole step of a column a shift has to be.
BLURRED = 0.3
# The bank's part of logits (rows,), and coefficients of the grid company's columns.
Point = tuple[FloatArray, FloatArray]


class Trusting(PairSide):
    """A side that believes whatever triples it is dealt."""

    def _check(self, tag: Ring) -> None:
        del tag

    def _checked_stock(self, dealt_to: Ring, told: Ring) -> GridStock:
        return BelievedStock(self._mask, dealt_to, told, self.common)


class BelievedStock(GridStock):
    """A stock of products that is held against nothing."""

    def __init__(self, mask: Ring, dealt_to: Ring, told: Ring, common: Tape) -> None:
        del told
        Stock.__init__(self, len(mask), common)
        self._shares = dealt_to.reshape(-1, len(mask))


def hidden_from_each_other(sides: Mapping[str, PairSide], dealer: Dealer) -> None:
    """Begin a run of the pair, as its nodes do."""
    dealer.columns({role: side.seen_columns().shape[1] for role, side in sides.items()})
    hidden = {role: side.hidden_columns() for role, side in sides.items()}
    sides["bank"].take_hidden(hidden["grid"])
    sides["grid"].take_hidden(hidden["bank"])


def opened_gradients(sides: Mapping[str, PairSide], dealer: Dealer, point: Point, error: int, at: int) -> Ring:
    """Both sides' gradients (width,), banks' first, as they are opened, where the correction `at` is wrong by `error`.

    Raises what sides refuse with.
    """
    logits, weights = point
    widths = {role: side.seen_columns().shape[1] for role, side in sides.items()}
    sides["grid"].take_weights(sides["bank"].weigh(weights), dealer.weighed())
    opened = {"bank": sides["bank"].open(logits), "grid": sides["grid"].open()}
    corrections, owed = dealer.products(PRODUCTS), dealer.gradients(widths)
    corrections[[at % len(corrections)]] += np.uint64(error)
    dealt = {"bank": owed["grid"], "grid": np.concatenate([corrections, owed["bank"]])}
    crossed = {role: sides[role].cross(opened[other], dealt[role]) for role, other in _both()}
    for role, other in _both():
        sides[role].cube(crossed[other])
    handed = {other: sides[role].hand_over() for role, other in _both()}
    return np.concatenate([sides[role].receive(handed[role][0], widths[role]) + handed[role][1] for role in ROLES])


def row_by_wrong_correction(
    sides: Mapping[str, PairSide],
    dealer: Dealer,
    point: Point,
    error: int,
    rng: np.random.Generator,
    tries: int = 60,
) -> FloatArray | None:
    """The columns (both widths,) of one row on both sides, None if the sides refuse or the dealer hits no product.

    The dealer does not know which triples are used, so it tries again; a product of u³ shifts the residual by the error
    times the cubic's last factor, which is public.
    """
    hidden_from_each_other(sides, dealer)
    zero, one = np.zeros(1, dtype=np.uint64), np.ones(1, dtype=np.uint64)
    unit = int(sides["bank"].curve.share(zero, zero, one, constant=False).astype(np.int64)[0]) * error
    try:
        right = opened_gradients(sides, dealer, point, 0, 0)
        for _ in range(tries):
            wrong = opened_gradients(sides, dealer, point, error, int(rng.integers(1 << 62)))
            shift = (right - wrong).astype(np.int64)
            shares = shift / unit
            found = np.rint(shares)
            # Roundings of shares blur what is not the row's.
            clear = np.abs(shares - found).max() < BLURRED and np.abs(found).max() <= 1 << COLUMN_BITS
            if found.any() and clear:
                return np.asarray(found / 2.0**COLUMN_BITS, dtype=np.float64)
    except AggregationFailed:
        return None
    return None


def unmasked(hidden: Ring, keys: Iterable[bytes], plain: int, largest: int) -> Ring | None:
    """The first `plain` columns of what was `hidden`, numbers up to `largest` in magnitude, if one of `keys` draws its
    mask."""
    for key in keys:
        found = (hidden + Tape(key).draw(*hidden.shape))[:, :plain]
        if np.all(np.abs(found.astype(np.int64)) <= largest):
            return np.asarray(found)
    return None


def _both() -> tuple[tuple[str, str], tuple[str, str]]:
    return (ROLES[0], ROLES[1]), (ROLES[1], ROLES[0])
