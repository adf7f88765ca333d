"""Feature drift: have the customers moved from the rows that a model was trained on, and in which column?

Each node counts its own customers in the bins of the champion's manifest (`Node.column_counts`) and the counts of a
role are added. What leaves a node is rounded down to tens: a count above zero is read as the middle of its ten, and a
zero as what the reference leads to expect, at most nine, so that rounding alone never looks like drift.
The operator sees the tens, everyone else only indices and verdicts; whoever sees the tens before and after one consent
is withdrawn may learn a bin of that customer, if a count crossed a ten.

All columns are looked at together, so their p-values are corrected for their number by Holm's step-down ("A simple
sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6(2), 1979). It bounds the chance of
any false alarm for columns that depend on each other in any way, which columns of one customer do; a false alarm costs
a re-validation. Benjamini and Hochberg's bounds the share of false alarms only, and finds more where samples are small;
at thousands of rows a shift worth acting on is far beyond either.

Customers of today and training rows overlap where nothing changed, which makes p-values too large rather than too
small. A joint model was trained on customers whom a grid company serves and who opened electricity data to training;
the bank's columns are compared with those rows, but counted over all of the bank's customers under review.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from federated.governance.manifest import FeatureReference
from federated.governance.monitoring.drift import Drift, drift
from federated.models.encoding.binning import IntArray
from federated.models.encoding.ramps import FloatArray
from federated.nodes.node import COUNTED_IN
from federated.nodes.schema import Feature, FeatureSchema

References = Mapping[str, Mapping[str, FeatureReference]]
# By node: column to counts (bins,), missing last.
Counted = Mapping[str, Mapping[str, IntArray]]


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """One column of one role's nodes, and how far it has moved."""

    role: str
    feature: Feature
    drift: Drift


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """Drift of each column by role at `at`, p-values corrected for the number of columns.

    `counted` are the nodes whose customers these are; `unavailable` took part in training but did not answer or could
    not count, so their customers are missing. A column without rows was not measured: PSI 0, p-value 1,
    `Verdict.TOO_FEW`.
    """

    version: str
    schema: FeatureSchema
    at: datetime
    columns: dict[str, dict[str, Drift]]
    counted: tuple[str, ...]
    unavailable: tuple[str, ...]

    def ranked(self) -> list[ColumnDrift]:
        """Every column with what the nodes' schema says of it, the largest PSI first."""
        moved = [
            ColumnDrift(role, feature, named[feature.column])
            for role, named in self.columns.items()
            for feature in self.schema.party(role).features
            if feature.column in named
        ]
        return sorted(moved, key=lambda each: -each.drift.psi)


def feature_drift(references: References, counted: Mapping[str, Counted]) -> dict[str, dict[str, Drift]]:
    """Compare what the nodes of each role counted, `counted[role][node][column]`, with the references."""
    single = {
        (role, column): drift(reference.counts, _added(reference, column, counted.get(role, {})))
        for role, columns in references.items()
        for column, reference in columns.items()
    }
    corrected = holm([each.p_value for each in single.values()])
    by_role: dict[str, dict[str, Drift]] = {role: {} for role in references}
    for ((role, column), each), p_value in zip(single.items(), corrected, strict=True):
        by_role[role][column] = replace(each, p_value=p_value)
    return by_role


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values in the order given: the k-th smallest of m by m − k + 1, never falling, at most 1."""
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    raised = given[order] * (len(given) - np.arange(len(given)))
    adjusted = np.empty(len(given))
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return [float(each) for each in adjusted]


def _added(reference: FeatureReference, column: str, counted: Counted) -> list[int]:
    """Customers by bin over all nodes, (bins,), read back from tens."""
    expected = np.asarray(reference.counts, dtype=np.float64)
    shares = expected / max(expected.sum(), 1.0)
    total = np.zeros(len(expected))
    for columns in counted.values():
        total += _read(columns[column], shares)
    return [round(each) for each in total.tolist()]


def _read(counts: IntArray, shares: FloatArray) -> FloatArray:
    seen = np.where(counts > 0, counts + (COUNTED_IN - 1) / 2, 0.0)
    return np.where(counts > 0, seen, np.minimum(shares * seen.sum(), COUNTED_IN - 1.0))
