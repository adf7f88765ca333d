"""The operator as dealer: random numbers whose products are shared between the two parties. It sees nothing else."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numpy as np

from federated.privacy.secure_aggregation.ring import stream
from federated.privacy.vertical.ring import Ring


@dataclass(frozen=True, slots=True)
class Half:
    """One party's part of a dealt product: its own factor's mask, and its share of the masks' product."""

    mask: Ring
    product: Ring


class Dealer:
    """Deals for one training run, from AES-256 in counter mode under a fresh key."""

    def __init__(self) -> None:
        self._key, self._dealt = secrets.token_bytes(32), 0
        self._columns: dict[str, Ring] = {}

    def _uniform(self, shape: tuple[int, ...]) -> Ring:
        self._dealt += 1
        return stream(self._key, int(np.prod(shape)), self._dealt).reshape(shape)

    def elementwise(self, rows: int) -> tuple[Half, Half]:
        """Masks a, b (rows,) and shares of a·b."""
        a, b, share = (self._uniform((rows,)) for _ in range(3))
        return Half(a, share), Half(b, a * b - share)

    def columns(self, owner: str, shape: tuple[int, ...]) -> Ring:
        """A mask (rows, columns) for the columns of `owner`, dealt once: the same columns enter every step."""
        self._columns[owner] = self._uniform(shape)
        return self._columns[owner]

    def gradient(self, owner: str) -> tuple[Ring, Half]:
        """For one step: the owner's share of Aᵀb, and the other party's mask b (rows,) with its share."""
        mask = self._columns[owner]
        b, share = self._uniform((mask.shape[0],)), self._uniform((mask.shape[1],))
        return share, Half(b, mask.T @ b - share)
