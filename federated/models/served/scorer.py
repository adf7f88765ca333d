"""One party's share of a registered model, as it is served: additive tables, and other learners where a blend has them.

The tables hold all that is a sum of functions of at most two features and are explained exactly; whatever else the
blend weighs in (deep trees, networks) is explained by sampling, so a version without it has exact reasons throughout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from federated.errors import ModelCorrupt
from federated.models.encoding.ramps import FloatArray
from federated.models.served.functions import Arrays, function_of
from federated.models.served.reasons import sampled_contributions
from federated.models.served.tables import AdditiveTables, Part

BAND_RANKS = np.array([0.2, 0.4, 0.6, 0.8])


def band_of(cuts: FloatArray, value: float) -> tuple[int, int]:
    """Between which hundredths a value lies of those customers whose quantiles by fifths are `cuts` (4,)."""
    return 20 * int(np.searchsorted(cuts, value, "left")), 20 * (int(np.searchsorted(cuts, value, "right")) + 1)


@dataclass(frozen=True)
class PartyScorer:
    """`tables` plus Σ weight · (mean of members) over `rest`. `bands` (features, 4): quantiles of the training rows."""

    tables: AdditiveTables
    bands: FloatArray
    rest: tuple[Part, ...] = field(default=())

    @property
    def n_features(self) -> int:
        """Number of raw features."""
        return len(self.tables.reference)

    @property
    def exact(self) -> bool:
        """Whether contributions are closed-form Shapley values."""
        return not self.rest

    def logits(self, values: FloatArray) -> FloatArray:
        """Logit of default (rows,) of raw `values` (rows, features), NaN = missing."""
        return self.tables.logits(values) + self._rest(values)

    def explain(self, values: FloatArray, seed: int = 0) -> tuple[float, FloatArray]:
        """Logit of one customer's `values` (features,), and contributions (features,) against the reference customer.

        Contributions sum to the logit less the reference's, to rounding. `seed` matters only if not `exact`.
        """
        logit, contributions = self.tables.explain(values)
        if self.exact:
            return logit, contributions
        sampled = sampled_contributions(self._rest, self.tables.reference, values, seed)
        return logit + float(self._rest(values[None, :])[0]), contributions + sampled

    def band(self, feature: int, value: float) -> tuple[int, int]:
        """Between which hundredths of the training customers a value lies: multiples of 20, such as (80, 100)."""
        return band_of(self.bands[feature], value)

    def silent(self) -> PartyScorer:
        """A scorer of the same features that says the same of everybody: a logit of 0."""
        tables = self.tables
        zeros = {name: np.zeros_like(getattr(tables, name)) for name in ("level", "slope", "cells")}
        return PartyScorer(replace(tables, constant=0.0, **zeros), self.bands)

    def _rest(self, values: FloatArray) -> FloatArray:
        out = np.zeros(len(values))
        for weight, function in self.rest:
            out += weight * function.member_logits(values).mean(axis=0)
        return out

    def to_arrays(self, prefix: str) -> Arrays:
        """Flat arrays under `prefix`, for an npz file."""
        arrays: Arrays = self.tables.to_arrays(f"{prefix}/tables") | {f"{prefix}/bands": self.bands}
        for k, (weight, function) in enumerate(self.rest):
            arrays |= {f"{prefix}/rest{k}/{name}": a for name, a in function.to_arrays().items()}
            arrays[f"{prefix}/weight{k}"] = np.array([weight])
        return arrays

    @staticmethod
    def from_arrays(prefix: str, arrays: Mapping[str, NDArray[np.generic]]) -> PartyScorer:
        """Read back what `to_arrays` wrote. Raises `ModelCorrupt` if something is missing, misshapen or not finite."""
        tables = AdditiveTables.from_arrays(f"{prefix}/tables", arrays)
        rest: list[Part] = []
        while f"{prefix}/weight{len(rest)}" in arrays:
            weight = float(np.asarray(arrays[f"{prefix}/weight{len(rest)}"], np.float64)[0])
            start = f"{prefix}/rest{len(rest)}/"
            function = function_of({n[len(start) :]: a for n, a in arrays.items() if n.startswith(start)})
            rest.append((weight, function))
        bands = np.asarray(arrays.get(f"{prefix}/bands", np.zeros((0, 0))), np.float64)
        if bands.shape != (len(tables.reference), len(BAND_RANKS)) or np.isnan(bands).any():
            raise ModelCorrupt("the bands of a party's features are missing or do not fit", part=prefix)
        scorer = PartyScorer(tables, bands, tuple(rest))
        if not np.isfinite(scorer.reference_logit):
            raise ModelCorrupt("a party's function is not finite", part=prefix)
        return scorer

    @cached_property
    def reference_logit(self) -> float:
        """Logit of the typical customer."""
        return float(self.logits(self.tables.reference[None, :])[0])
