"""Everything in a customer's reasons but the weights: Shapley values of a function that is linear in its weights.

A column of `RandomLeaves` is a product A(x_a)·B(x_b) of functions of at most two features: a ramp or a missing
indicator of one, a leaf of a tree of two levels of two. Its Shapley values against the reference customer r are
½(A(x) − A(r))·(B(x) + B(r)) for a and ½(B(x) − B(r))·(A(x) + A(r)) for b, which add up to A(x)B(x) − A(r)B(r): the
one entry of a leaf of a tree on one feature. So with `entries` e(x), each of one column and one feature, f has
φ_j = Σ of e_k·γ_column(k) over the entries of feature j, and f(x) = f(r) + Σ φ_j, whatever γ is: the same numbers as
those of `tables.AdditiveTables.explain`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federated.models.encoding.binning import IntArray
from federated.models.encoding.ramps import FloatArray
from federated.models.encoding.random_leaves import RandomLeaves

BoolArray = NDArray[np.bool_]
# Levels of the trees that are explained.
LEVELS = 2


class ExplanatoryRow:
    """Entries of one customer against `reference` (features,), in the order of features.

    `column` and `feature` (entries,) say what an entry is of; entries of feature j begin at `starts[j]`, and every
    feature has some. `at_reference` (basis.width,) are the reference customer's columns. Raises `ValueError` for a
    basis whose leaves may depend on more than two features.
    """

    def __init__(self, basis: RandomLeaves, reference: FloatArray) -> None:
        if not basis.exact:
            raise ValueError(f"leaves of {basis.trees.depth} levels have no exact reasons: trees may have {LEVELS}")
        if reference.shape != (basis.encoder.n_features,):
            raise ValueError(f"a reference of {reference.shape} came for {basis.encoder.n_features} features")
        self._place_ramps(basis)
        self._place_leaves(basis)
        features = np.arange(basis.encoder.n_features)
        self._pairs = np.flatnonzero(self._one != self._other)
        feature = np.concatenate([self._of_ramp, features, self._one, self._other[self._pairs]])
        leaves = 1 + basis.encoder.width + np.arange(len(self._one))
        column = np.concatenate([self._ramp_columns, self._missing_columns, leaves, leaves[self._pairs]])
        self._order = np.argsort(feature, kind="stable")
        self.column, self.feature = column[self._order], feature[self._order]
        self.starts: IntArray = np.searchsorted(self.feature, features).astype(np.int64)
        self._singles, self._a, self._b = self._parts(reference)
        self._width, self._leaves = basis.width, leaves
        self._single_columns = np.concatenate([self._ramp_columns, self._missing_columns])
        self.at_reference = self.columns(reference)

    def __len__(self) -> int:
        return len(self.column)

    def _place_ramps(self, basis: RandomLeaves) -> None:
        edges = basis.encoder.edges
        ramps = [len(e) - 1 for e in edges]
        features = np.arange(len(edges))
        self._missing_columns = np.cumsum([len(e) for e in edges])
        of_feature = np.repeat(features, [len(e) for e in edges])
        is_ramp = ~np.isin(np.arange(len(of_feature)) + 1, self._missing_columns)
        self._ramp_columns, self._of_ramp = np.flatnonzero(is_ramp) + 1, np.repeat(features, ramps)
        self._low = np.concatenate([e[:-1] for e in edges]) if edges else np.zeros(0)
        self._wide = np.concatenate([np.diff(e) for e in edges]) if edges else np.zeros(0)

    def _place_leaves(self, basis: RandomLeaves) -> None:
        """Each leaf but a tree's last as two conditions: a split's number and on which side of it the leaf lies."""
        trees, depth = basis.trees, basis.trees.depth
        count, inner = trees.feature.shape
        cuts = [np.append(c, np.inf) for c in basis.binning.cuts]
        split, of = trees.feature.ravel(), np.maximum(trees.feature.ravel(), 0)
        asked = zip(of.tolist(), trees.cut.ravel().tolist(), strict=True)
        level = [cuts[j][min(cut, len(cuts[j]) - 1)] for j, cut in asked]
        # A node that is not split sends everybody left, and so does the one more that stands for no condition.
        self._threshold = np.append(np.where(split < 0, np.inf, np.asarray(level, dtype=np.float64)), np.inf)
        self._missing_right = np.append(~trees.missing_left.ravel() & (split >= 0), False)
        self._split = np.append(of, 0)
        leaf = np.arange(2**depth - 1)
        starts = inner * np.arange(count)[:, None]
        self._first = (starts + 0 * leaf).ravel()
        second = starts + 1 + leaf // 2 if depth == LEVELS else np.full((count, len(leaf)), len(of))
        self._second = second.ravel()
        right = np.tile(leaf // 2 if depth == LEVELS else leaf, count) == 1
        self._first_right, self._second_right = right, np.tile((leaf % 2 == 1) & (depth == LEVELS), count)
        self._one, self._other = self._split[self._first], self._split[self._second]

    def _parts(self, values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Ramps and missing indicators, and both factors of every leaf."""
        missing = np.isnan(values)
        ramps = np.minimum(np.maximum((values[self._of_ramp] - self._low) / self._wide, 0.0), 1.0)
        right = values[self._split] > self._threshold
        if missing.any():
            ramps[missing[self._of_ramp]] = 0.0
            right = np.where(missing[self._split], self._missing_right, right)
        singles = np.concatenate([ramps, missing])
        a = (right[self._first] == self._first_right).astype(np.float64)
        b = (right[self._second] == self._second_right).astype(np.float64)
        return singles, a, b

    def of(self, values: FloatArray) -> FloatArray:
        """Entries (entries,) in [−1, 1] of one customer's raw `values` (features,), NaN = missing."""
        return self.with_columns(values)[0]

    def with_columns(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Entries as `of`, and columns as `columns`."""
        singles, a, b = self._parts(values)
        return self._entries(singles, a, b), self._columns(singles, a, b)

    def _entries(self, singles: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
        one, pairs = a * b - self._a * self._b, self._pairs
        other = 0.5 * (b - self._b)[pairs] * (a + self._a)[pairs]
        one[pairs] -= other
        return np.asarray(np.concatenate([singles - self._singles, one, other])[self._order], dtype=np.float64)

    def columns(self, values: FloatArray) -> FloatArray:
        """Columns (basis.width,) of one customer's raw `values` (features,), as `RandomLeaves.columns` has them."""
        return self._columns(*self._parts(values))

    def _columns(self, singles: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
        out = np.zeros(self._width)
        out[0] = 1.0
        out[self._single_columns], out[self._leaves] = singles, a * b
        return out

    def by_feature(self, products: FloatArray) -> FloatArray:
        """Sums (features,) of what stands for each entry."""
        return np.asarray(np.add.reduceat(products, self.starts), dtype=np.float64)
