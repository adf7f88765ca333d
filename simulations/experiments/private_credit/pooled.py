"""The released model of a plan without messages and masks: the same vectors and noise, added up in one place.

For attacks, which train hundreds of models. Noise is one draw at the scale that the plan guarantees, not one a bank:
the two differ by less than `closeness` says. Without a plan nothing is noised: the mechanism's own ceiling.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.models.encoding.hats import HatBasis, IntArray, scored
from federated.models.encoding.public_ranges import PublicTable
from federated.models.encoding.ramps import FloatArray
from federated.privacy.differential.counts import calibrated, score_counts
from federated.privacy.differential.edges import edge_counts, knots_from
from federated.privacy.differential.moments import MomentShape, moment_vector, solved
from federated.privacy.differential.noise import NoiseSource
from federated.protocols.private.model import PrivateAdditive
from federated.protocols.private.operator import EDGE_CELLS, KNOTS
from federated.protocols.private.plan import AdditivePlan, Stage


@dataclass(frozen=True, slots=True)
class Transcript:
    """All that the operator saw: the noisy sums by stage, and the model made of them."""

    sums: dict[str, FloatArray]
    deviations: dict[str, float]
    model: PrivateAdditive


def guaranteed(stage: Stage, plan: AdditivePlan) -> float:
    """Standard deviation, in units, of the noise that a plan guarantees in a stage's sum."""
    return stage.deviation(plan.circle, plan.circle.noisers)


def transcript(
    public: PublicTable,
    values: FloatArray,
    labels: NDArray[np.int64],
    plan: AdditivePlan | None,
    noise: NoiseSource,
) -> Transcript:
    """Train on `values` (rows, columns) and `labels` (rows,) in one place."""
    cells, knots = (EDGE_CELLS, KNOTS) if plan is None else (plan.edge_cells, plan.knots)
    sums: dict[str, FloatArray] = {}
    deviations: dict[str, float] = {}

    def release(name: str, plain: IntArray, basis: HatBasis | None = None) -> FloatArray:
        scale = 0.0 if plan is None else guaranteed(plan.stage(name, public, basis), plan)
        drawn = noise.integers(scale, len(plain)) if scale else 0
        sums[name], deviations[name] = (plain + drawn).astype(np.float64), scale
        return sums[name]

    knots_of = {}
    if public.measures:
        knots_of = knots_from(public, release("edges", edge_counts(public, values, cells)), cells, knots)
    basis = HatBasis(public, knots_of)
    shape = MomentShape(basis.width, basis.blocks)
    units = basis.units(values)
    moments = release("moments", moment_vector(units, labels, shape), basis)
    beta = solved(moments, shape, deviations["moments"])
    counts = release("counts", score_counts(scored(units, beta), labels))
    return Transcript(sums, deviations, PrivateAdditive(basis, beta, calibrated(counts)))
