"""What a private run releases: a table of contributions a column, calibrated, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from federated.models.encoding.hats import UNIT, HatBasis, scored
from federated.models.encoding.public_ranges import PublicTable
from federated.models.encoding.ramps import FloatArray
from federated.privacy.differential.counts import Calibration
from federated.protocols.private.network import logits
from federated.protocols.private.plan import AdditivePlan, NetworkPlan


@dataclass(frozen=True, slots=True)
class PrivateAdditive:
    """score = units · beta; log-odds = slope · score + level."""

    basis: HatBasis
    beta: FloatArray
    calibration: Calibration

    def scores(self, values: FloatArray) -> FloatArray:
        """Scores (rows,) around ½(2·P − 1) of `values` (rows, columns)."""
        return np.asarray(scored(self.basis.units(values), self.beta))

    def logits(self, values: FloatArray) -> FloatArray:
        """Calibrated log-odds (rows,)."""
        return self.calibration.slope * self.scores(values) + self.calibration.level

    def contributions(self) -> dict[str, FloatArray]:
        """Each column's contribution to the log-odds in each of its cells, by column."""
        by_column, start = {}, 0
        for column, size in zip(self.basis.public.columns, self.basis.sizes, strict=True):
            by_column[column.column] = self.calibration.slope * UNIT * self.beta[start : start + size]
            start += size
        return by_column


@dataclass(frozen=True, slots=True)
class PrivateNetwork:
    """Weights of the network of `network`, flat."""

    public: PublicTable
    hidden: int
    weights: FloatArray

    def logits(self, values: FloatArray) -> FloatArray:
        """Log-odds (rows,) of `values` (rows, columns)."""
        return logits(self.public, self.hidden, self.weights, values)


@dataclass(frozen=True, slots=True)
class PrivateRun:
    """A finished run. `refused` gives the code of each bank that did not agree; `survivors` who was in each sum.

    `epsilon` is what the plan claims at `delta` for a bank of the largest weight; `realised` what the noise that was
    really there gives, which is no more.
    """

    plan: AdditivePlan | NetworkPlan
    run: str
    model: PrivateAdditive | PrivateNetwork
    agreed: tuple[str, ...]
    refused: Mapping[str, str]
    survivors: tuple[tuple[str, ...], ...]
    heads: Mapping[str, str]
    delta: float
    epsilon: float
    realised: float
    exchanges: int
    bytes: int
