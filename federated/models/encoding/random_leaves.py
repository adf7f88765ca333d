"""Columns for a linear model that are chosen without looking at labels: ramps, and leaves of random trees.

A tree of random splits, no two on the same feature in a row, cuts its rows into leaves; their indicators are columns
(extremely randomised trees: Geurts, Ernst, Wehenkel, Machine Learning 2006; random features: Rahimi, Recht, NIPS 2008).
Because nothing is chosen by residuals nobody has to show any. With trees of two levels no path uses more than two
features, so the fitted function is a sum of functions of one and of two features with exact reasons; deeper trees rank
a little better and are explained by sampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from federated.models.encoding.binning import Binning, IntArray
from federated.models.encoding.ramps import Float32Array, FloatArray, RampEncoder
from federated.models.learners.boosting import Trees
from federated.models.learners.convex import CONSTANT_RIDGE, Basis
from federated.models.served.functions import ConvexFunction, TreeFunction

EXACT_DEPTH = 2


def random_trees(binning: Binning, quantiles: FloatArray, count: int, depth: int, seed: int) -> Trees:
    """`count` trees of `depth` levels with random splits and values 0; none if fewer than two features have cuts.

    A split is at one of a feature's `quantiles` (features, ranks) of training rows, so it falls where rows are: a value
    that most customers share is split off often, a tail that holds few is not.
    """
    usable = np.array([j for j, cuts in enumerate(binning.cuts) if len(cuts)], dtype=np.int64)
    if len(usable) < 2:
        count = 0
    rng = np.random.default_rng(seed)
    inner = 2**depth - 1
    # Features and quantiles are drawn without replacement until all have been, so that draws differ less in worth.
    orders = {j: _Deck(usable[usable != j], rng) for j in usable.tolist()}
    roots = _Deck(usable, rng)
    ranks = {j: _Deck(np.arange(quantiles.shape[1]), rng) for j in usable.tolist()}
    feature, cut = np.zeros((count, inner), dtype=np.int64), np.zeros((count, inner), dtype=np.int64)
    for tree, at in zip(feature, cut, strict=True):
        for node in range(inner):
            j = roots.draw() if node == 0 else orders[int(tree[(node - 1) // 2])].draw()
            code = int(np.searchsorted(binning.cuts[j], quantiles[j, ranks[j].draw()], side="left"))
            tree[node], at[node] = j, min(code, len(binning.cuts[j]) - 1)
    missing_left = np.asarray(rng.random(feature.shape) < 0.5, dtype=np.bool_)
    return Trees(feature, cut, missing_left, np.zeros((count, 2**depth)))


class _Deck:
    """Numbers drawn in random order, each once before any comes again."""

    def __init__(self, numbers: NDArray[np.int64], rng: np.random.Generator) -> None:
        self._numbers, self._rng = numbers, rng
        self._left: list[int] = []

    def draw(self) -> int:
        """The next number."""
        if not self._left:
            self._left = self._rng.permutation(self._numbers).tolist()
        return self._left.pop()


@dataclass(frozen=True, slots=True)
class RandomLeaves:
    """A constant, quantile ramps and missing indicators, and all leaves but the last of every random tree.

    The last leaf of a tree is what the constant and the others leave.
    """

    encoder: RampEncoder
    binning: Binning
    trees: Trees

    @property
    def width(self) -> int:
        """Number of columns."""
        return 1 + self.encoder.width + self._a_tree * len(self.trees.feature)

    @property
    def _a_tree(self) -> int:
        return int(self.trees.value.shape[1]) - 1

    @property
    def exact(self) -> bool:
        """Whether the function is a sum of functions of at most two features."""
        return self.trees.depth <= EXACT_DEPTH

    @property
    def ramps(self) -> IntArray:
        """Numbers of the columns that are no leaves."""
        return np.arange(1 + self.encoder.width)

    def leaves_of(self, trees: Sequence[int]) -> IntArray:
        """Numbers of the columns of these trees, in their order."""
        starts = 1 + self.encoder.width + self._a_tree * np.asarray(trees, dtype=np.int64)
        return np.asarray((starts[:, None] + np.arange(self._a_tree)).ravel(), dtype=np.int64)

    def with_trees(self, trees: Sequence[int]) -> RandomLeaves:
        """The same columns with these trees only."""
        chosen = np.asarray(trees, dtype=np.int64)
        t = self.trees
        return replace(self, trees=Trees(t.feature[chosen], t.cut[chosen], t.missing_left[chosen], t.value[chosen]))

    def penalty(self, ridge: float, leaf_ridge: float) -> FloatArray:
        """Ridge of every column, (width,): of ramps, and of leaves."""
        out = np.full(self.width, ridge)
        out[0] = CONSTANT_RIDGE
        out[1 + self.encoder.width :] = leaf_ridge
        return out

    def columns(self, values: FloatArray) -> Float32Array:
        """Design matrix (rows, width) of `values` (rows, features), all of it in [0, 1]."""
        out = np.zeros((len(values), self.width), dtype=np.float32)
        out[:, 0] = 1.0
        out[:, 1 : 1 + self.encoder.width] = self.encoder.encode(values)
        leaves = self.trees.leaves(self.binning.codes(values), self.binning.size - 1)
        rows = np.arange(len(values))
        for k, leaf in enumerate(leaves):
            kept = leaf < self._a_tree
            out[rows[kept], 1 + self.encoder.width + self._a_tree * k + leaf[kept]] = 1.0
        return out

    def functions(self, beta: FloatArray) -> tuple[ConvexFunction, TreeFunction]:
        """The fitted function of coefficients `beta` (width,): its ramps, and its trees."""
        start = 1 + self.encoder.width
        ramps = ConvexFunction(Basis(self.encoder, self.binning, ()), beta[None, :start])
        value = np.zeros(self.trees.value.shape)
        value[:, :-1] = beta[start:].reshape(len(value), self._a_tree)
        trees = Trees(self.trees.feature, self.trees.cut, self.trees.missing_left, value)
        return ramps, TreeFunction(self.binning, trees, np.zeros(len(value), dtype=np.int64), 1, 0.0)


def best_trees(basis: RandomLeaves, curvature: FloatArray, gradient: FloatArray, most: int) -> list[int]:
    """At most `most` trees of `basis`, chosen one after the other: the one whose leaves lower the quadratic loss most.

    `curvature` (width, width), with the ridge on its diagonal, and `gradient` (width,) at the ramps' optimum are sums
    over rows; given those taken before, a tree is worth gᵀH⁻¹g of its leaves (block orthogonal matching pursuit: Pati,
    Rezaiifar, Krishnaprasad, 1993; Eldar, Kuppinger, Bölcskei, 2010).
    """
    trees = len(basis.trees.feature)
    blocks = basis.leaves_of(range(trees)).reshape(trees, -1)
    own = curvature[blocks[:, :, None], blocks[:, None, :]]
    chosen: list[int] = []
    taken = basis.ramps
    left = gradient
    for _ in range(min(most, trees)):
        # All trees are weighed in one call: one call a tree was a quarter of a protected training.
        slopes = left[blocks][:, :, None]
        gains = (slopes * np.linalg.solve(own, slopes)).sum(axis=(1, 2))
        gains[chosen] = -np.inf
        chosen.append(int(np.argmax(gains)))
        taken = np.concatenate([taken, blocks[chosen[-1]]])
        step = np.linalg.solve(curvature[np.ix_(taken, taken)], gradient[taken])
        left = gradient - curvature[:, taken] @ step
    return sorted(chosen)
