"""Boosted trees from sums: gradient histograms that several nodes can add up, and trees grown from the sums alone.

Second-order boosting (Chen, Guestrin, KDD 2016) on binned features. Trees of all `members` (inner folds) grow side by
side, one level an exchange; only left children are counted, a right child is its parent less its sibling. With
`path_features = 2` no path of a tree uses more than two features, so the sum of trees is a sum of functions of at most
two features each (the class of explainable boosting machines; Lou, Caruana, Gehrke, Hooker, KDD 2013).

Arrays: members M, features p, T = bins of all features in a row (`Binning.starts`; a feature's last bin is for missing
values), 2 = sums of residual y − p and of curvature.
A tree is complete: node k has children 2k + 1 and 2k + 2; a node that is not split sends everybody left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.models.encoding.binning import Binning, IntArray
from federated.models.encoding.ramps import FloatArray

Histogram = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GrowSettings:
    """How one tree a member is grown. `ridge` is added to curvature sums; `min_curvature` is the least in a child."""

    depth: int
    rate: float
    ridge: float
    min_curvature: float
    path_features: int
    column_share: float


@dataclass(frozen=True, slots=True)
class Trees:
    """Trees (trees, …): `feature` and `cut` per inner node (−1 = not split), `missing_left`, `value` per leaf."""

    feature: IntArray
    cut: IntArray
    missing_left: NDArray[np.bool_]
    value: FloatArray

    @property
    def depth(self) -> int:
        """Levels of splits."""
        return int(np.log2(self.value.shape[1]))

    def leaves(self, codes: IntArray, missing: int) -> IntArray:
        """Leaf (trees, rows) that each row of `codes` (rows, features) falls into; `missing` is the missing bin."""
        if len(codes) >= len(self.feature):
            return self._leaves_by_tree(codes, missing)
        trees, rows = np.arange(len(self.feature))[:, None], np.arange(len(codes))
        node = np.zeros((len(self.feature), len(codes)), dtype=np.int64)
        for _ in range(self.depth):
            node = 2 * node + 1 + self._right(node, trees, codes, rows, missing)
        return np.asarray(node - self.feature.shape[1], dtype=np.int64)

    def _leaves_by_tree(self, codes: IntArray, missing: int) -> IntArray:
        """As `leaves`, of many rows: a feature's codes are read as they lie, and nothing is gathered."""
        by_feature = np.ascontiguousarray(codes.T)
        absent, inner = by_feature == missing, self.feature.shape[1]
        out = np.empty((len(self.feature), len(codes)), dtype=np.int64)
        for k, (feature, cut, missing_left) in enumerate(zip(self.feature, self.cut, self.missing_left, strict=True)):
            # From the leaves up: where a row that comes to a node ends.
            ends: list[IntArray | int] = [*[0] * inner, *range(inner + 1)]
            for node in reversed(range(inner)):
                j, (left, right) = feature[node], ends[2 * node + 1 : 2 * node + 3]
                if j < 0:
                    ends[node] = left
                    continue
                beyond = by_feature[j] > cut[node]
                beyond = beyond & ~absent[j] if missing_left[node] else beyond | absent[j]
                ends[node] = np.where(beyond, right, left)
            out[k] = ends[0]
        return out

    def _right(self, node: IntArray, trees: IntArray, codes: IntArray, rows: IntArray, missing: int) -> IntArray:
        feature = self.feature[trees, node]
        code = codes[rows, np.maximum(feature, 0)]
        right = np.where(code == missing, ~self.missing_left[trees, node], code > self.cut[trees, node])
        return np.asarray(right & (feature >= 0), dtype=np.int64)

    def predict(self, codes: IntArray, missing: int) -> FloatArray:
        """Sum (rows,) over all trees of `codes` (rows, features)."""
        if len(codes) < len(self.feature):
            trees = np.arange(len(self.feature))[:, None]
            return np.asarray(self.value[trees, self.leaves(codes, missing)].sum(axis=0), dtype=np.float64)
        # Many rows: one tree after the other, so that what is gathered stays in the cache.
        total, rows = np.zeros(len(codes)), np.arange(len(codes))
        for feature, cut, missing_left, value in zip(
            self.feature, self.cut, self.missing_left, self.value, strict=True
        ):
            node = np.zeros(len(codes), dtype=np.int64)
            for _ in range(self.depth):
                asked = feature[node]
                code = codes[rows, np.maximum(asked, 0)]
                right = code > cut[node]
                absent = code == missing
                right[absent] = ~missing_left[node[absent]]
                node = 2 * node + 1 + (right & (asked >= 0))
            total += value[node - len(feature)]
        return total

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Arrays for a message or a file."""
        return {
            "feature": self.feature.astype(np.int16),
            "cut": self.cut.astype(np.int16),
            "missing_left": self.missing_left,
            "value": self.value,
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> Trees:
        """Read back what `to_arrays` wrote."""
        return Trees(
            np.asarray(arrays["feature"], dtype=np.int64),
            np.asarray(arrays["cut"], dtype=np.int64),
            np.asarray(arrays["missing_left"], dtype=np.bool_),
            np.asarray(arrays["value"], dtype=np.float64),
        )

    def scaled(self, share: float) -> Trees:
        """The same trees with all values times `share`."""
        return Trees(self.feature, self.cut, self.missing_left, self.value * share)

    def every(self, first: int, step: int) -> Trees:
        """Trees `first`, `first` + `step`, …"""
        part = slice(first, None, step)
        return Trees(self.feature[part], self.cut[part], self.missing_left[part], self.value[part])

    def first(self, count: int) -> Trees:
        """The first `count` trees."""
        return Trees(self.feature[:count], self.cut[:count], self.missing_left[:count], self.value[:count])

    @staticmethod
    def joined(parts: list[Trees]) -> Trees:
        """All trees of several groups of one depth."""
        return Trees(
            np.concatenate([t.feature for t in parts]),
            np.concatenate([t.cut for t in parts]),
            np.concatenate([t.missing_left for t in parts]),
            np.concatenate([t.value for t in parts]),
        )


class TreeRows:
    """One node's binned rows, as far as growing trees needs them: it answers with sums, level by level."""

    def __init__(self, codes: IntArray, binning: Binning) -> None:
        self.codes, self._missing, starts = codes, binning.size - 1, binning.starts
        self._flat = np.where(codes == self._missing, starts[1:] - 1, codes + starts[:-1])
        self._width = int(starts[-1])
        self._node = np.zeros((0, len(codes)), dtype=np.int64)

    def start(self, residual: FloatArray, curvature: FloatArray) -> None:
        """Begin a tree a member on `residual` and `curvature` (M, rows); rows with curvature 0 do not take part."""
        self._residual, self._curvature = residual, curvature
        self._node = np.zeros(residual.shape, dtype=np.int64)
        self._active = [np.flatnonzero(c > 0) for c in curvature]

    def descend(self, level: int, trees: Trees) -> None:
        """Send rows through the splits of `level` (0 = the root)."""
        first = 2**level - 1
        part = slice(first, 2 * first + 1)
        for m in range(len(self._node)):
            # One gather through a table of what every node asks, instead of a walk row by row.
            feature = trees.feature[m, part][self._node[m]]
            code = self.codes[np.arange(len(feature)), np.maximum(feature, 0)]
            right = code > trees.cut[m, part][self._node[m]]
            absent = code == self._missing
            right[absent] = ~trees.missing_left[m, part][self._node[m][absent]]
            self._node[m] = 2 * self._node[m] + (right & (feature >= 0))

    def histogram(self, level: int) -> Histogram:
        """Sums (M, nodes, T, 2): of the root at level 0, afterwards of every left child."""
        p, width = self.codes.shape[1], self._width
        nodes = max(1, 2 ** (level - 1))
        out = np.zeros((len(self._node), nodes, width, 2))
        for m, active in enumerate(self._active):
            node = self._node[m][active]
            if level:
                left = node % 2 == 0
                active, node = active[left], node[left] // 2  # noqa: PLW2901
            keys = (self._flat[active] + (node * width)[:, None]).ravel()
            for k, weights in enumerate((self._residual[m], self._curvature[m])):
                counted = np.bincount(keys, np.repeat(weights[active], p), nodes * width)
                out[m, ..., k] = counted.reshape(nodes, width)
        return out

    def leaf(self, value: FloatArray) -> FloatArray:
        """What the finished trees with leaf values (M, leaves) add to every row: (M, rows)."""
        return np.asarray(np.take_along_axis(value, self._node, axis=1))


Ask = Callable[[int, Trees], Histogram]


def grow(
    ask: Ask, members: int, starts: IntArray, settings: GrowSettings, pairs: NDArray[np.bool_], rng: np.random.Generator
) -> Trees:
    """One tree a member. `ask(level, trees so far)` returns the summed histogram of `TreeRows.histogram`.

    `starts` is the binning's. `pairs` (p, p) says which second feature may join a path that has used one, if paths are
    limited to two.
    """
    inner, leaves, features = 2**settings.depth - 1, 2**settings.depth, len(starts) - 1
    shape = (members, inner)
    trees = Trees(np.full(shape, -1), np.zeros(shape, np.int64), np.ones(shape, np.bool_), np.zeros((members, leaves)))
    allowed = _sampled(members, features, settings.column_share, rng)[:, None, :]
    used = np.zeros((members, 1, features), dtype=np.bool_)
    total: Histogram | None = None
    sums = np.zeros((members, leaves, 2))
    for level in range(settings.depth):
        counted = ask(level, trees)
        total = counted if total is None else _with_right_children(total, counted, trees, level)
        on_path = allowed & _on_path(used, pairs, settings)
        feature, cut, missing_left, sides = best_splits(total, starts, on_path, settings)
        part = slice(2**level - 1, 2 ** (level + 1) - 1)
        trees.feature[:, part], trees.cut[:, part], trees.missing_left[:, part] = feature, cut, missing_left
        chosen = feature[..., None] == np.arange(features)
        used = np.repeat(used | chosen, 2, axis=1)
        sums = sides.reshape(members, -1, 2)
    values = settings.rate * sums[..., 0] / (sums[..., 1] + settings.ridge)
    return Trees(trees.feature, trees.cut, trees.missing_left, values)


def _sampled(members: int, features: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    kept = max(1, round(share * features))
    rank = rng.random((members, features)).argsort(axis=1).argsort(axis=1)
    return np.asarray(rank < kept)


def _on_path(used: NDArray[np.bool_], pairs: NDArray[np.bool_], settings: GrowSettings) -> NDArray[np.bool_]:
    count = used.sum(axis=-1, keepdims=True)
    if settings.path_features == 1:
        return np.asarray((count == 0) | used)
    if settings.path_features == 2:
        partner = np.any(used[..., None] & pairs, axis=-2)
        return np.asarray((count == 0) | used | ((count == 1) & partner))
    return np.ones_like(used)


def _with_right_children(parent: Histogram, left: Histogram, trees: Trees, level: int) -> Histogram:
    split = trees.feature[:, 2 ** (level - 1) - 1 : 2**level - 1] >= 0
    right = np.where(split[..., None, None], parent - left, 0.0)
    both = np.stack([left, right], axis=2)
    return both.reshape(len(left), -1, *left.shape[2:])


def best_splits(
    total: Histogram, starts: IntArray, allowed: NDArray[np.bool_], settings: GrowSettings
) -> tuple[IntArray, IntArray, NDArray[np.bool_], Histogram]:
    """The split with the largest gain of every node of `total` (M, nodes, T, 2) among `allowed` (M, nodes, p).

    Returns feature (−1 if nothing gains), cut and missing side (M, nodes), and the sums of both children
    (M, nodes, 2, 2). Ties go to the first feature, the lowest cut, and missing values on the left.
    """
    # Residuals and curvatures in arrays of their own, and one missing side after the other: this is where time goes.
    first, last, owner = starts[:-1], starts[1:] - 1, np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    sums = np.moveaxis(total, -1, 0)
    running = np.cumsum(sums, axis=-1)
    running -= (running[..., first] - sums[..., first])[..., owner]
    absent, whole = sums[..., last], running[..., last]
    open_cut = allowed[..., owner]
    open_cut[..., last] = False
    m, n = np.indices(total.shape[:2])
    best = np.full(total.shape[:2], -np.inf)
    place, chosen = np.zeros(best.shape, dtype=np.int64), np.zeros((*best.shape, 2))
    missing_left = np.ones(best.shape, dtype=np.bool_)
    # Where nothing is missing the second side would only repeat the first.
    for with_missing in (True, False) if absent[1].any() else (True,):
        left_r, left_h = running + absent[..., owner] if with_missing else running
        right_r, right_h = whole[0][..., owner] - left_r, whole[1][..., owner] - left_h
        gain = _worth(left_r, left_h, settings.ridge) + _worth(right_r, right_h, settings.ridge)
        usable = (left_h >= settings.min_curvature) & (right_h >= settings.min_curvature) & open_cut
        gain[~usable] = -np.inf
        at = gain.argmax(axis=-1)
        better = gain[m, n, at] > best
        best, place = np.where(better, gain[m, n, at], best), np.where(better, at, place)
        missing_left = np.where(better, with_missing, missing_left)
        sides = np.stack([left_r[m, n, at], left_h[m, n, at]], axis=-1)
        chosen = np.where(better[..., None], sides, chosen)
    feature, cut = owner[place], place - first[owner[place]]
    node = np.moveaxis(whole[..., 0], 0, -1)
    gains = best > _worth(node[..., 0], node[..., 1], settings.ridge) + 1e-9
    children = np.stack([chosen, node - chosen], axis=2)
    stay = np.stack([node, np.zeros_like(node)], axis=2)
    kept = np.where(gains[..., None, None], children, stay)
    none = np.int64(-1)
    return np.where(gains, feature, none), np.where(gains, cut, 0), np.where(gains, missing_left, True), kept


def _worth(residual: FloatArray, curvature: FloatArray, ridge: float) -> FloatArray:
    return np.asarray(residual**2 / (np.maximum(curvature, 0.0) + ridge))
