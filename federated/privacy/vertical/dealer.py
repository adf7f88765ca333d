"""The operator as dealer of one pair: random factors whose products the pair shares. It sees no data.

Each party draws its own masks from a key of its own; the dealer draws the same ones, and what it has to send is one
correction a product, to one of the two: as many numbers as the product has, whatever the size of its factors.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from federated.privacy.vertical.ring import Ring, Tape

KEY_BYTES = 32
IntArray = NDArray[np.int64]


@dataclass
class Dealer:
    """Deals to one bank and one grid company over `rows` common rows, for one run. Draws in the parties' order."""

    rows: int
    keys: dict[str, bytes] = field(
        default_factory=lambda: {role: secrets.token_bytes(KEY_BYTES) for role in ("bank", "grid")}
    )

    def __post_init__(self) -> None:
        self._tapes = {role: Tape(key) for role, key in self.keys.items()}
        self._masks: dict[str, Ring] = {}

    def columns(self, widths: dict[str, int]) -> None:
        """Masks of both parties' columns, drawn once: the same columns enter every step."""
        for role, width in widths.items():
            self._masks[role] = self._tapes[role].draw(self.rows, width)

    def keep(self, columns: dict[str, IntArray]) -> None:
        """Go on with these columns of either side."""
        for role, kept in columns.items():
            self._masks[role] = self._masks[role][:, kept]

    def products(self, count: int) -> Ring:
        """The grid company's corrections (count, rows) of products of a vector of the bank and one of its own."""
        corrections = []
        for _ in range(count):
            a, share = (self._tapes["bank"].draw(self.rows) for _ in range(2))
            b = self._tapes["grid"].draw(self.rows)
            corrections.append(a * b - share)
        return np.array(corrections)

    def gradients(self, widths: dict[str, int]) -> dict[str, Ring]:
        """By owner of a gradient, the other party's correction (width,): of (the owner's first columns)ᵀ · (a vector of
        the other party's)."""
        vectors = {role: tape.draw(self.rows) for role, tape in self._tapes.items()}
        shares = {role: tape.draw(widths[role]) for role, tape in self._tapes.items()}
        return {
            owner: np.asarray(vectors[other] @ self._masks[owner][:, : widths[owner]] - shares[owner])
            for owner, other in (("bank", "grid"), ("grid", "bank"))
        }
