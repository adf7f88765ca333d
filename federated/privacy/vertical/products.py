"""Elementwise products of vectors of the bank and of the grid company, on shares (Beaver, CRYPTO 1991)."""

from __future__ import annotations

import numpy as np

from federated.errors import AggregationFailed
from federated.privacy.vertical.ring import Ring
from federated.privacy.vertical.triples import Triples


class Products:
    """One side's `factors` (products, rows), behind masks that it takes from `triples`: `opened`, for the other side.

    The same triples give shares of the products, which are right if the triples are: whoever opens what rests on them
    has them checked before.
    """

    def __init__(self, factors: Ring, triples: Triples, *, is_bank: bool) -> None:
        self._triples, self._taken, self._is_bank = triples, triples.take(factors.size), is_bank
        self._masks = triples.masks[self._taken].reshape(factors.shape)
        self.opened = factors - self._masks

    def shares(self, opened: Ring) -> Ring:
        """Own shares (products, rows), from the other side's `opened` as a row of numbers.

        Raises `AggregationFailed` for too many or too few.
        """
        if opened.size != self.opened.size:
            raise AggregationFailed(f"opened factors of {opened.size} numbers came for {self.opened.size}")
        theirs = opened.reshape(self.opened.shape)
        shares = self._triples.shares[self._taken].reshape(theirs.shape) + theirs * self._masks
        return np.asarray(shares + self.opened * theirs if self._is_bank else shares)
