"""A party's additive function as tables: one lookup a feature, one a pair, and exact reasons from the same lookups.

Whatever was blended (ramps, pair cells, trees whose paths use at most two features) is a sum of functions of one and of
two features. Written out, f(x) = c + Σ_j (a_j[i] + s_j[i]·x_j) + Σ_(a,b) T_ab[u_a, u_b], where i is the interval of x_j
between knots and u its bin. Shapley values against the reference customer r are then closed-form:
φ_j = main_j(x) − main_j(r) + ½ Σ over its pairs of (T(x,x) − T(r,x) + T(x,r) − T(r,r)), no sampling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from federated.errors import ModelCorrupt
from federated.models.encoding.binning import Binning, IntArray
from federated.models.encoding.ramps import FloatArray
from federated.models.learners.convex import CONSTANT, Basis
from federated.models.served.functions import ConvexFunction, PartyFunction, TreeFunction

Part = tuple[float, PartyFunction]


@dataclass(frozen=True)
class AdditiveTables:
    """`knots` (features, most knots), +inf after the last; `level` and `slope` (features, intervals), the last interval
    for missing values; `bins` (features, intervals) maps intervals to bins; `pairs` (P, 2); `cells` (P, B, B).
    """

    constant: float
    knots: FloatArray
    level: FloatArray
    slope: FloatArray
    bins: IntArray
    pairs: IntArray
    cells: FloatArray
    reference: FloatArray

    def intervals(self, values: FloatArray) -> IntArray:
        """Interval of every cell of `values` (rows, features)."""
        below = (self.knots[None, :, :] < values[:, :, None]).sum(axis=-1)
        return np.asarray(np.where(np.isnan(values), self.level.shape[1] - 1, below), dtype=np.int64)

    def logits(self, values: FloatArray) -> FloatArray:
        """Logit (rows,) of raw `values` (rows, features), NaN = missing."""
        i, features = self.intervals(values), np.arange(values.shape[1])
        main = self.level[features, i] + self.slope[features, i] * np.nan_to_num(values)
        u = self.bins[features, i]
        a, b = self.pairs.T
        joint = self.cells[np.arange(len(self.pairs)), u[:, a], u[:, b]]
        return np.asarray(self.constant + main.sum(axis=1) + joint.sum(axis=1), dtype=np.float64)

    @cached_property
    def _at_reference(self) -> tuple[FloatArray, IntArray, FloatArray, IntArray, IntArray]:
        features = np.arange(len(self.reference))
        i = self.intervals(self.reference[None, :])[0]
        main = self.level[features, i] + self.slope[features, i] * np.nan_to_num(self.reference)
        u = self.bins[features, i]
        a, b = self.pairs.T
        corner = self.cells[np.arange(len(self.pairs)), u[a], u[b]]
        size = self.cells.shape[-1]
        return main, u, corner, np.arange(len(self.pairs)) * size * size, np.concatenate([a, b])

    def explain(self, values: FloatArray) -> tuple[float, FloatArray]:
        """Logit of one customer's `values` (features,), and exact Shapley contributions (features,).

        Contributions sum to the logit less the logit of the reference customer, to rounding.
        """
        main_r, u_r, corner, start, owners = self._at_reference
        a, b = self.pairs.T
        size, cells = self.cells.shape[-1], self.cells.ravel()
        features = np.arange(len(values))
        i = self.intervals(values[None, :])[0]
        main = self.level[features, i] + self.slope[features, i] * np.where(np.isnan(values), 0.0, values)
        u = self.bins[features, i]
        row, row_r = start + u[a] * size, start + u_r[a] * size
        both, only_b, only_a = cells[row + u[b]], cells[row_r + u[b]], cells[row + u_r[b]]
        whole, across = both - corner, only_a - only_b
        halves = np.concatenate([whole + across, whole - across]) * 0.5
        shared = np.bincount(owners, halves, len(values))
        return float(self.constant + main.sum() + both.sum()), np.asarray(main - main_r + shared)

    def to_arrays(self, prefix: str) -> dict[str, NDArray[np.generic]]:
        """Flat arrays under `prefix`, for an npz file."""
        names = ("knots", "level", "slope", "bins", "pairs", "cells", "reference")
        arrays: dict[str, NDArray[np.generic]] = {f"{prefix}/{name}": getattr(self, name) for name in names}
        return arrays | {f"{prefix}/constant": np.array([self.constant])}

    @staticmethod
    def from_arrays(prefix: str, arrays: Mapping[str, NDArray[np.generic]]) -> AdditiveTables:
        """Read back what `to_arrays` wrote. Raises `ModelCorrupt` if something is missing, misshapen or not finite."""
        try:
            numbers = {n: np.asarray(arrays[f"{prefix}/{n}"], np.float64) for n in ("knots", "level", "slope")}
            cells = np.asarray(arrays[f"{prefix}/cells"], np.float64)
            bins = np.asarray(arrays[f"{prefix}/bins"], np.int64)
            pairs = np.asarray(arrays[f"{prefix}/pairs"], np.int64).reshape(-1, 2)
            reference = np.asarray(arrays[f"{prefix}/reference"], np.float64)
            constant = float(np.asarray(arrays[f"{prefix}/constant"], np.float64)[0])
        except (KeyError, IndexError, ValueError) as error:
            raise ModelCorrupt(f"additive tables cannot be read: {error}", part=prefix) from None
        p, intervals = len(reference), numbers["level"].shape[-1]
        shapes = (numbers["level"].shape, numbers["slope"].shape, bins.shape)
        fits = all(shape == (p, intervals) for shape in shapes) and numbers["knots"].shape == (p, intervals - 2)
        fits = fits and len(cells) == len(pairs) and bool((pairs < p).all() and (bins < cells.shape[-1]).all())
        if not fits or np.isnan(numbers["knots"]).any():
            raise ModelCorrupt("additive tables do not fit each other", part=prefix)
        if not all(bool(np.isfinite(x).all()) for x in (numbers["level"], numbers["slope"], cells, reference)):
            raise ModelCorrupt("a number of additive tables is not finite", part=prefix)
        return AdditiveTables(constant, **numbers, bins=bins, pairs=pairs, cells=cells, reference=reference)


def tabulated(parts: Sequence[Part], binning: Binning, reference: FloatArray, constant: float = 0.0) -> AdditiveTables:
    """Tables of Σ weight · (mean of members) over `parts`, whose trees and coarse cells are cut by `binning`.

    Raises `ValueError` for a function that is no sum of functions of at most two features of this binning.
    """
    sums = _Sums(binning, parts)
    for weight, function in parts:
        if isinstance(function, TreeFunction):
            sums.add_trees(weight, function)
        elif isinstance(function, ConvexFunction) and isinstance(function.basis, Basis):
            sums.add_convex(weight, function.basis, function.beta.mean(axis=0))
        else:
            raise ValueError(f"{type(function).__name__} is not additive in pairs of features")
    return sums.tables(reference, constant)


class _Sums:
    """Tables while functions are added to them."""

    def __init__(self, binning: Binning, parts: Sequence[Part]) -> None:
        self._binning, self._size, p = binning, binning.size, binning.n_features
        edges = [
            f.basis.encoder.edges for _, f in parts if isinstance(f, ConvexFunction) and isinstance(f.basis, Basis)
        ]
        self._knots = [np.unique(np.concatenate([c, *(e[j] for e in edges)])) for j, c in enumerate(binning.cuts)]
        most = max((len(k) for k in self._knots), default=0)
        self.level, self.slope = np.zeros((p, most + 2)), np.zeros((p, most + 2))
        self.bins = np.zeros((p, most + 2), dtype=np.int64)
        for j, knots in enumerate(self._knots):
            # The bin of interval i is how many cuts lie at or below its lower knot.
            self.bins[j, 1 : len(knots) + 1] = np.searchsorted(binning.cuts[j], knots, side="right")
        self.bins[:, -1] = self._size - 1
        self.by_bin, self.cells = np.zeros((p, self._size)), dict[tuple[int, int], FloatArray]()
        self.constant = 0.0

    def _cell(self, a: int, b: int) -> FloatArray:
        return self.cells.setdefault((a, b), np.zeros((self._size, self._size)))

    def add_convex(self, weight: float, basis: Basis, beta: FloatArray) -> None:
        """Ramps become levels and slopes; coarse cells are spread over the fine bins that they cover."""
        self.constant += weight * float(beta[0])
        start = CONSTANT
        for j, edges in enumerate(basis.encoder.edges):
            ramps = beta[start : start + len(edges) - 1]
            heights = np.concatenate([[0.0], np.cumsum(ramps)])
            knots = self._knots[j]
            at = np.interp(knots, edges, heights) if len(edges) > 1 else np.zeros(len(knots))
            level = np.concatenate([at[:1] if len(at) else [0.0], at])
            slope = np.concatenate([[0.0], np.diff(at) / np.diff(knots), [0.0]]) if len(knots) else np.zeros(1)
            lower = np.concatenate([[0.0], knots])
            self.level[j, : len(level)] += weight * (level - slope * lower)
            self.slope[j, : len(slope)] += weight * slope
            self.level[j, -1] += weight * beta[start + len(edges) - 1]
            start += len(edges)
        fine = self._coarse_of(basis.coarse)
        for a, b in basis.pairs:
            size = basis.coarse.size
            table = beta[start : start + size * size].reshape(size, size)
            self._cell(a, b)[...] += weight * table[np.ix_(fine[a], fine[b])]
            start += size * size

    def _coarse_of(self, coarse: Binning) -> list[IntArray]:
        cuts_of = []
        for few, cuts in zip(coarse.cuts, self._binning.cuts, strict=True):
            of = np.zeros(self._size, dtype=np.int64)
            of[1 : len(cuts) + 1] = np.searchsorted(few, cuts, side="right")
            of[-1] = coarse.size - 1
            cuts_of.append(of)
        return cuts_of

    def add_trees(self, weight: float, function: TreeFunction) -> None:
        """Every leaf is an indicator of bins of at most two features."""
        self.constant += weight * function.base
        share = weight / function.members
        for tree in range(len(function.member)):
            self._walk(function, tree, 0, {}, share)

    def _walk(self, function: TreeFunction, tree: int, node: int, path: dict[int, FloatArray], share: float) -> None:
        trees = function.trees
        if node >= trees.feature.shape[1]:
            self._leaf(path, share * float(trees.value[tree, node - trees.feature.shape[1]]))
            return
        feature = int(trees.feature[tree, node])
        if feature < 0:
            self._walk(function, tree, 2 * node + 1, path, share)
            return
        left = (np.arange(self._size) <= trees.cut[tree, node]).astype(np.float64)
        left[-1] = float(trees.missing_left[tree, node])
        before = path.get(feature, np.ones(self._size))
        self._walk(function, tree, 2 * node + 1, {**path, feature: before * left}, share)
        self._walk(function, tree, 2 * node + 2, {**path, feature: before * (1.0 - left)}, share)

    def _leaf(self, path: Mapping[int, FloatArray], value: float) -> None:
        features = sorted(path)
        if len(features) > 2:
            raise ValueError("a path of a tree uses more than two features")
        if not features:
            self.constant += value
        elif len(features) == 1:
            self.by_bin[features[0]] += value * path[features[0]]
        else:
            a, b = features
            self._cell(a, b)[...] += value * np.outer(path[a], path[b])

    def tables(self, reference: FloatArray, constant: float) -> AdditiveTables:
        """The finished tables."""
        p, size = self.by_bin.shape
        level = self.level + self.by_bin[np.arange(p)[:, None], self.bins]
        knots = np.full((p, level.shape[1] - 2), np.inf)
        for j, own in enumerate(self._knots):
            knots[j, : len(own)] = own
        pairs = np.array(sorted(self.cells), dtype=np.int64).reshape(-1, 2)
        cells = np.array([self.cells[a, b] for a, b in pairs.tolist()]).reshape(-1, size, size)
        total = self.constant + constant
        return AdditiveTables(total, knots, level, self.slope, self.bins, pairs, cells, reference)
