"""Elementwise products of a vector of the bank and one of the grid company, on shares (Beaver, CRYPTO 1991)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from federated.errors import AggregationFailed
from federated.privacy.vertical.ring import Ring, Tape


class Products:
    """One side's factors of some products. `corrections` (products, rows) go to the grid company, None to the bank."""

    def __init__(self, factors: Sequence[Ring], tape: Tape, *, is_bank: bool) -> None:
        self._masks, self._shares, opened = [], [], []
        for factor in factors:
            mask = tape.draw(len(factor))
            self._masks.append(mask)
            opened.append(factor - mask)
            if is_bank:
                self._shares.append(tape.draw(len(factor)))
        self.opened = np.array(opened, dtype=np.uint64)

    def shares(self, opened: Ring, corrections: Ring | None) -> Ring:
        """Own shares (products, rows), from the other side's `opened`. Raises `AggregationFailed` for other shapes."""
        if opened.shape != self.opened.shape or (corrections is not None and corrections.shape != opened.shape):
            raise AggregationFailed(f"opened factors of {opened.shape} came for {self.opened.shape}")
        crossed = opened * np.array(self._masks, dtype=np.uint64)
        if corrections is not None:
            return np.asarray(corrections + crossed)
        return np.asarray(np.array(self._shares, dtype=np.uint64) + crossed + self.opened * opened)
