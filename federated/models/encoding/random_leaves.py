"""Columns for a linear model that are chosen without looking at labels: ramps, and leaves of trees.

A tree of random splits, no two on the same feature in a row, cuts its rows into leaves; their indicators are columns
(extremely randomised trees: Geurts, Ernst, Wehenkel, Machine Learning 2006; random features: Rahimi, Recht, NIPS 2008).
Trees on one feature (`interval_trees`) do so with its intervals: what a single value or a narrow range says, which
ramps smooth away.
Because nothing is chosen by residuals nobody has to show any. With trees of two levels no path uses more than two
features, so the fitted function is a sum of functions of one and of two features with exact reasons; deeper trees rank
a little better and are explained by sampling.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.models.encoding.binning import Binning, IntArray
from federated.models.encoding.ramps import Float32Array, FloatArray, RampEncoder
from federated.models.learners.boosting import Trees
from federated.models.learners.convex import Basis
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


def interval_trees(binning: Binning, cells: int) -> Trees:
    """Trees of two levels, each on one feature alone, whose leaves set neighbours of about `cells` cells a feature
    apart: two of them, and what lies below and above. Values 0.

    A value that many customers share has a bin of its own (`binning`), so what it alone says is a leaf.
    """
    feature, cut = list[list[int]](), list[list[int]]()
    for j, (few, all_cuts) in enumerate(zip(binning.coarse(cells).cuts, binning.cuts, strict=True)):
        at = np.searchsorted(all_cuts, few).tolist()
        # A tree on every other cut sets the cells on both sides of it apart from what is beyond its neighbours.
        for middle in range(int(len(at) > 1), len(at), 2):
            feature.append([j, j, j])
            cut.append([at[middle], at[max(middle - 1, 0)], at[min(middle + 1, len(at) - 1)]])
    of, at_cut = (np.array(each, dtype=np.int64).reshape(-1, 3) for each in (feature, cut))
    return Trees(of, at_cut, np.ones(of.shape, dtype=np.bool_), np.zeros((len(of), 4)))


def joined(first: Trees, then: Trees) -> Trees:
    """Both trees, which are of as many levels."""
    parts = ((a.feature, a.cut, a.missing_left, a.value) for a in (first, then))
    return Trees(*(np.concatenate(both) for both in zip(*parts, strict=True)))


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
    """A constant, quantile ramps and missing indicators, and all leaves but the last of every tree.

    The last leaf of a tree is what the constant and the others leave.
    """

    encoder: RampEncoder
    binning: Binning
    trees: Trees

    @property
    def width(self) -> int:
        """Number of columns."""
        return 1 + self.encoder.width + self.a_tree * len(self.trees.feature)

    @property
    def a_tree(self) -> int:
        """How many columns a tree has: a leaf less than it has leaves."""
        return int(self.trees.value.shape[1]) - 1

    @property
    def exact(self) -> bool:
        """Whether the function is a sum of functions of at most two features."""
        return self.trees.depth <= EXACT_DEPTH

    @property
    def intervals(self) -> IntArray:
        """Numbers of the columns that are leaves of trees on one feature."""
        one = np.all(self.trees.feature == self.trees.feature[:, :1], axis=1)
        leaves = 1 + self.encoder.width + np.flatnonzero(np.repeat(one, self.a_tree))
        return np.asarray(leaves, dtype=np.int64)

    def precision(self, interval: float, leaf: float) -> FloatArray:
        """How many times as tightly as a ramp each column (width,) is held: a leaf of a tree on one feature, and of
        another."""
        out = np.ones(self.width)
        out[1 + self.encoder.width :] = leaf
        out[self.intervals] = interval
        return out

    def columns(self, values: FloatArray) -> Float32Array:
        """Design matrix (rows, width) of `values` (rows, features), all of it in [0, 1]."""
        start = 1 + self.encoder.width
        # A column after the other, as they are found, and turned at the end.
        out = np.zeros((self.width, len(values)), dtype=np.float32)
        out[0] = 1.0
        out[1:start] = self.encoder.encode(values).T
        leaves = self.trees.leaves(self.binning.codes(values), self.binning.size - 1)
        for leaf in range(self.a_tree):
            out[start + leaf :: self.a_tree] = leaves == leaf
        return np.ascontiguousarray(out.T)

    def functions(self, beta: FloatArray) -> tuple[ConvexFunction, TreeFunction]:
        """The fitted function of coefficients `beta` (width,): its ramps, and its trees."""
        start = 1 + self.encoder.width
        ramps = ConvexFunction(Basis(self.encoder, self.binning, ()), beta[None, :start])
        value = np.zeros(self.trees.value.shape)
        value[:, :-1] = beta[start:].reshape(len(value), self.a_tree)
        trees = Trees(self.trees.feature, self.trees.cut, self.trees.missing_left, value)
        return ramps, TreeFunction(self.binning, trees, np.zeros(len(value), dtype=np.int64), 1, 0.0)
