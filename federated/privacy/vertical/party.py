"""One side of one pair: its columns and shares. What it hands to the other side is uniform to whoever sees it."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field

import numpy as np

from federated.errors import AggregationFailed
from federated.privacy.vertical.curve import REACH, Curve
from federated.privacy.vertical.dealer import GRADIENT, RESIDUAL
from federated.privacy.vertical.products import Products
from federated.privacy.vertical.ring import (
    COLUMN_BITS,
    LOGIT_BITS,
    RESIDUAL_BITS,
    WEIGHT_BITS,
    FloatArray,
    Ring,
    Tape,
    fixed,
    floating,
    shifted,
)
from federated.privacy.vertical.triples import TAG, Triples, dealt
from federated.privacy.vertical.weighing import BankStock, GridStock

ZERO = np.uint64(0)
# Of a bank's vector and a grid company's, in a step: one in u², two in u³.
PRODUCTS = 3
# A grid company's part of a scaled logit comes with the bits of a column and of a coefficient.
TOO_MANY_BITS = COLUMN_BITS + WEIGHT_BITS - LOGIT_BITS
# No coefficient of a column in [−1, 1] is beyond this many logits but where a fit diverges.
FARTHEST_COEFFICIENT = 4_096.0
# What is asked of a side in a step, in order, and then from the first on.
STEP = ("weigh", "open", "cross", "cube", "hand_over", "receive")


@dataclass
class PairSide:
    """`columns` (rows, width) in [−1, 1] of the rows in common, `labels` (rows,) at the bank, None at the grid company.

    `products` (rows, products) are shares of products of both sides' components, with the bits of columns, the last
    columns of both. `tape` is this side's of the pair's dealer, `common` from a key that the pair alone has. The bank
    holds all coefficients. A step is `weigh` at the bank → `take_weights` at the grid company → `open` → `cross` →
    `cube` → `hand_over` → `receive`, each once and in this order: so a step makes one gradient of either side. What
    `weigh`, `open`, `cross` and `hand_over` return goes to the other side, sealed, because the dealer could unmask
    it. Triples are checked in `cube`: what crossed until then is uniform to the other side whatever the dealer
    sent, and nothing is opened. Raises `AggregationFailed` for what is out of order, for rows or shapes that do not
    fit, and for triples that are wrong.
    """

    columns: InitVar[FloatArray]
    tape: Tape
    common: Tape
    curve: Curve
    labels: FloatArray | None = None
    products: InitVar[Ring | None] = None
    _mask: Ring = field(init=False)
    _bank_stock: BankStock | None = field(init=False, default=None)
    _grid_stock: GridStock | None = field(init=False, default=None)
    _others: Ring = field(init=False)
    _theirs: Ring = field(init=False)
    _residual: Ring = field(init=False)
    _owed: Ring = field(init=False)
    _next: str = field(init=False, default=STEP[0])

    def __post_init__(self, columns: FloatArray, products: Ring | None) -> None:
        self.curve.check_rows(len(columns))
        shares = np.zeros((len(columns), 0), dtype=np.uint64) if products is None else products
        if len(shares) != len(columns):
            raise AggregationFailed(f"products of {len(shares)} rows came for {len(columns)}")
        # Sums over rows are five times as fast where a column's rows lie side by side.
        self._ring = np.asfortranarray(np.hstack([fixed(columns, COLUMN_BITS, 1.0), shares]))
        self._own, self._shared = columns.shape[1], shares.shape[1]

    @property
    def rows(self) -> int:
        """How many rows the pair has in common."""
        return len(self._ring)

    def _take(self, step: str) -> None:
        if step != self._next:
            raise AggregationFailed(f"{step} was asked for where {self._next} is next: the run is over")
        self._next = STEP[(STEP.index(step) + 1) % len(STEP)]

    @property
    def is_bank(self) -> bool:
        """Whether this side holds the labels."""
        return self.labels is not None

    def seen_columns(self, width: int | None = None) -> FloatArray:
        """The first own columns (rows, width), or all, as they enter products, in steps of 2^-7."""
        return floating(self._ring[:, : self._own if width is None else width], COLUMN_BITS)

    def hidden_columns(self) -> Ring:
        """The own columns behind a mask that is drawn once: (rows, width), for the other side."""
        mask = self.tape.draw(*self._ring.shape)
        if not self.is_bank:
            self._mask = np.asfortranarray(mask)
        return self._ring - mask

    def take_hidden(self, hidden: Ring) -> None:
        """Keep the other side's hidden columns."""
        if hidden.ndim != 2 or len(hidden) != len(self._ring):
            raise AggregationFailed(f"hidden columns of {hidden.shape} came for {len(self._ring)} rows")
        self._others = np.asfortranarray(hidden)

    @property
    def others(self) -> int:
        """How many columns the other side hid."""
        return int(self._others.shape[1])

    def weigh(self, weights: FloatArray) -> Ring:
        """As the bank: coefficients (others,) of the other side's columns behind a mask, for the other side; the last
        are those of products, of which the bank has a share too.

        Kept is the own share of what they make of these columns: the grid company's part of scaled logits.
        """
        self._take("weigh")
        if weights.shape != (self.others,) or not self.others:
            raise AggregationFailed(f"{weights.size} coefficients came for {self.others} columns of the other side")
        whole, told = fixed(weights / REACH, WEIGHT_BITS, FARTHEST_COEFFICIENT / REACH), np.zeros(0, dtype=np.uint64)
        if self._bank_stock is None or self._bank_stock.empty:
            self._bank_stock = BankStock(len(self._ring), len(whole), self.tape, self.common)
            told = self._bank_stock.told
        vector, share = self._bank_stock.take()
        together = self._ring[:, self._own :] @ whole[self.others - self._shared :]
        scaled = np.asarray(self._others @ whole + share + together, dtype=np.uint64)
        self._theirs = shifted(scaled, TOO_MANY_BITS, first=True)
        return np.concatenate([whole - vector, told])

    @property
    def wants_stock(self) -> bool:
        """Of a grid company: whether the dealer's next stock of products is due."""
        return self._grid_stock is None or self._grid_stock.empty

    def take_weights(self, told: Ring, dealt_to: Ring | None) -> None:
        """As the grid company: from what the bank told, and the dealer's stock where it is due, its share."""
        self._take("weigh")
        width = self._mask.shape[1]
        if dealt_to is not None:
            self._grid_stock = self._checked_stock(dealt_to, told[width:])
        if self._grid_stock is None or len(told) < width:
            raise AggregationFailed(f"{told.size} numbers came for {width} coefficients")
        self._theirs = shifted(self._mask @ told[:width] + self._grid_stock.take(), TOO_MANY_BITS, first=False)

    def _checked_stock(self, dealt_to: Ring, told: Ring) -> GridStock:
        return GridStock(self._mask, dealt_to, told, self.common)

    def open(self, logits: FloatArray | None = None) -> Ring:
        """The first factor behind a mask, and what the step's triples are compared by, in a row. `logits` (rows,) are
        the bank's own part."""
        self._take("open")
        # The bank's part holds the centre, and is cut: beyond, the cubic follows σ no longer.
        own = np.zeros(len(self._ring)) if logits is None else (logits - self.curve.centre) / REACH
        self._u = self._theirs + fixed(np.clip(own, -1.0, 1.0), LOGIT_BITS, 1.0)
        self._triples = Triples(PRODUCTS * len(self._u), self.tape, self.common, is_bank=self.is_bank)
        return np.concatenate([self._multiply([self._u]), self._triples.told])

    def cross(self, told: Ring, dealt_to: Ring) -> Ring:
        """From what the other side opened and what the dealer sent: u² on shares, then the two factors of u³ behind
        masks and the tag of the step's triples, in a row.

        The dealer sends corrections of triples, to the grid company, and one of the other side's gradient (width,).
        """
        self._take("cross")
        rows, corrections = len(self._u), 0 if self.is_bank else dealt(PRODUCTS * len(self._u))
        self._owed = dealt_to[corrections:]
        tag = self._triples.compare(told[rows:], None if self.is_bank else dealt_to[:corrections])
        crossed = self._products.shares(told[:rows])[0]
        self._square = self._u * self._u + np.uint64(2) * crossed
        # (u + w)·(square_b + square_g), of which each side computes the product of what it holds alone.
        factors = [self._u, self._square] if self.is_bank else [self._square, self._u]
        return np.concatenate([self._multiply(factors), tag])

    def cube(self, told: Ring) -> None:
        """From what the other side sent then: the own share of the residual y − σ(z), by triples that are right."""
        self._take("cube")
        self._check(told[-TAG:])
        parts = self._products.shares(told[:-TAG])
        cube = self._u * self._square + parts[0] + parts[1]
        share = self.curve.share(self._u, self._square, cube, constant=self.is_bank)
        if self.labels is None:
            self._residual = np.asarray(ZERO - share)
        else:
            self._residual = np.asarray(fixed(self.labels, RESIDUAL_BITS, 1.0) - share)

    def _check(self, tag: Ring) -> None:
        self._triples.check(tag)

    def _multiply(self, factors: list[Ring]) -> Ring:
        """Begin products with factors of the other side: the own ones behind masks, in a row."""
        self._products = Products(np.array(factors), self._triples, is_bank=self.is_bank)
        return self._products.opened.ravel()

    def hand_over(self) -> tuple[Ring, Ring]:
        """For the other side's gradient of its first columns, as many as the dealer dealt for: the own residual share
        behind a mask, and the own share of that gradient."""
        self._take("hand_over")
        width = len(self._owed)
        if not 0 < width <= self._others.shape[1]:
            raise AggregationFailed(f"a correction of {width} numbers came for {self._others.shape[1]} columns")
        mask = self.tape.apart(RESIDUAL).draw(len(self._residual))
        return np.asarray(self._residual - mask), np.asarray(self._owed + mask @ self._others[:, :width])

    def receive(self, masked: Ring, width: int) -> Ring:
        """The own share (width,) of the gradient of the first own columns, from the other side's masked residual share.

        Both sides `hand_over` before either receives.
        """
        self._take("receive")
        if not 0 < width <= self._ring.shape[1]:
            raise AggregationFailed(f"a gradient of {width} numbers was asked of {self._ring.shape[1]} columns")
        if masked.shape != self._residual.shape:
            raise AggregationFailed(f"a masked residual of {masked.shape} came for {len(self._residual)} rows")
        return np.asarray(self.tape.apart(GRADIENT).draw(width) + (masked + self._residual) @ self._ring[:, :width])
