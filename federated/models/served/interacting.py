"""What of two parties' columns is multiplied in a registered version: components that both parties know of, and no
weights.

A party computes its components of one customer. Their weights, as factors (`models.encoding.interactions`), are known
to banks alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from federated.models.encoding.interactions import cut
from federated.models.encoding.ramps import FloatArray
from federated.models.encoding.random_leaves import RandomLeaves
from federated.models.learners.boosting import Trees
from federated.models.served.explanatory import ExplanatoryRow


@dataclass(frozen=True)
class Components:
    """Components of a party's columns: those of `basis` times `directions` (basis.width, count), cut.

    Raises `ValueError` for directions that do not fit, or are not finite.
    """

    basis: RandomLeaves
    directions: FloatArray

    def __post_init__(self) -> None:
        if self.directions.ndim != 2 or len(self.directions) != self.basis.width or not self.directions.shape[1]:
            raise ValueError(f"directions of {self.directions.shape} came for {self.basis.width} columns")
        if not np.isfinite(self.directions).all():
            raise ValueError("directions are not finite")

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.directions.shape[1])

    @cached_property
    def _turned(self) -> FloatArray:
        # Row by row in memory: directions are often few of many columns.
        return np.ascontiguousarray(self.directions.T)

    @cached_property
    def _row(self) -> ExplanatoryRow:
        return ExplanatoryRow(self.basis, self.basis.encoder.reference)

    def of(self, values: FloatArray) -> FloatArray:
        """Components (count,) of one customer's raw `values` (features,), NaN = missing."""
        return self.of_columns(self._row.columns(values))

    def of_columns(self, columns: FloatArray) -> FloatArray:
        """Components (count,) of one customer's columns (basis.width,)."""
        return cut(np.asarray(self._turned @ columns))

    def slim(self) -> Components:
        """The same of no more trees than they take."""
        trees, leaves = self.basis.trees, self.basis.width - len(self.basis.trees.feature) * self.basis.a_tree
        by_tree = self.directions[leaves:].reshape(len(trees.feature), -1)
        kept = by_tree.any(axis=1)
        few = Trees(trees.feature[kept], trees.cut[kept], trees.missing_left[kept], trees.value[kept])
        own = by_tree[kept].reshape(-1, self.count)
        return Components(replace(self.basis, trees=few), np.concatenate([self.directions[:leaves], own]))


@dataclass(frozen=True)
class Interactions:
    """A bank's components and a grid company's, and how many `factors` their weights have."""

    bank: Components
    grid: Components
    factors: int

    def __post_init__(self) -> None:
        if not 0 < self.factors <= min(self.bank.count, self.grid.count):
            raise ValueError(f"{self.factors} factors of {self.bank.count} and {self.grid.count} components")
