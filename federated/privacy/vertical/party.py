"""One side of the protocol: its columns, coefficients and shares. What it hands out is uniform, or a sum it owes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.linalg

from federated.errors import AggregationFailed
from federated.privacy.vertical.curve import REACH, Curve
from federated.privacy.vertical.dealer import Half
from federated.privacy.vertical.ring import (
    COLUMN_BITS,
    GRADIENT_BITS,
    LOGIT_BITS,
    MOST_ROWS,
    RESIDUAL_BITS,
    FloatArray,
    Ring,
    fixed,
    floating,
)

# Steps with ¼·XᵀX in place of the Hessian converge for any factor below 2.
RELAXATION = 1.8


@dataclass
class Party:
    """`columns` (rows, width) in [0, 1]; `labels` (rows,) at the bank, None at the grid company; `ridge` a column."""

    columns: FloatArray
    ridge: FloatArray
    labels: FloatArray | None = None
    seen: list[FloatArray] = field(default_factory=list)

    def __post_init__(self) -> None:
        if len(self.columns) > MOST_ROWS:
            raise AggregationFailed(f"more than {MOST_ROWS} rows do not fit the ring: train on a sample")
        self.beta = np.zeros(self.columns.shape[1])
        self._ring = fixed(self.columns, COLUMN_BITS, 1.0)
        bound = 0.25 * self.columns.T @ self.columns + np.diag(self.ridge)
        self._bound = scipy.linalg.cho_factor(bound)

    def logits(self) -> FloatArray:
        """The own part of every row's logit, in clear: it never leaves this party."""
        return np.asarray(self.columns @ self.beta, dtype=np.float64)

    def scaled(self, curve: Curve) -> Ring:
        """The own share of u. The bank's holds the centre; both are bounded, so that no cube leaves the ring."""
        centre = 0.0 if self.labels is None else curve.centre
        return fixed(np.clip((self.logits() - centre) / REACH, -1.0, 1.0), LOGIT_BITS, 1.0)

    def residual(self, curve: Curve, u: Ring, square: Ring, cube: Ring) -> Ring:
        """The own share of y − σ(z), from the own shares of u, u² and u³."""
        share = curve.share(u, square, cube, constant=self.labels is not None)
        if self.labels is None:
            return np.asarray(np.uint64(0) - share)
        return np.asarray(fixed(self.labels, RESIDUAL_BITS, 1.0) - share)

    def hidden_columns(self, mask: Ring) -> Ring:
        """The own columns behind a mask that is dealt once, for the other party."""
        self._mask = mask
        return self._ring - mask

    def owed(self, half: Half, hidden: Ring) -> Ring:
        """As the other party: its share of (owner's columns)ᵀ · (own residual share), once the mask is dealt."""
        return np.asarray(half.product + hidden.T @ half.mask)

    def gradient(self, dealt: Ring, masked_residual: Ring, owed: Ring, own: Ring) -> FloatArray:
        """The own gradient: the other's residual share through the dealt product, and the own share in clear."""
        total = dealt + self._ring.T @ masked_residual + owed + self._ring.T @ own
        found = floating(np.asarray(total), GRADIENT_BITS)
        self.seen.append(found)
        return found

    def step(self, gradient: FloatArray) -> None:
        """Move the own coefficients."""
        penalised = gradient - self.ridge * self.beta
        self.beta = self.beta + RELAXATION * scipy.linalg.cho_solve(self._bound, penalised)
