"""The membership attacks on this mechanism: shadow models on a table, and a canary in a small table of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from federated.models.encoding.hats import UNIT, scored
from federated.models.encoding.public_ranges import PublicTable
from federated.privacy.attacks.canaries import Audit, audited, direction
from federated.privacy.attacks.membership import Membership, attacked, confidence, likelihood_ratios
from federated.privacy.differential.counts import score_counts
from federated.privacy.differential.edges import edge_counts
from federated.privacy.differential.moments import MomentShape, moment_vector
from federated.privacy.differential.noise import DiscreteGaussian
from federated.protocols.private.operator import additive_plan, circle_of
from federated.protocols.private.plan import AdditivePlan
from simulations.experiments.private_credit.pooled import Transcript, transcript
from simulations.experiments.private_credit.run import DELTA
from simulations.experiments.private_credit.world import PrivateTable, bank_names

# The share of records with the largest leverage: the ones a model can be most curious about.
OUTLIERS = 0.01


@dataclass(frozen=True, slots=True)
class Attacked:
    """The attack on all records, and on those with the largest leverage."""

    everyone: Membership
    outliers: Membership


def shadows(table: PrivateTable, rows: NDArray[np.int64], epsilon: float | None, models: int, seed: int) -> Attacked:
    """Train `models` on random halves of `rows`, noised for `epsilon` (None: not), attack each by the others."""
    public = table.public
    values, labels = table.values[rows], table.labels[rows]
    plan = None if epsilon is None else additive_plan(public, circle_of(bank_names()), epsilon, DELTA, protected=True)
    # Drawn independently: a shadow on exactly the records that a target lacks would give the target away.
    rng = np.random.default_rng(seed)
    member = np.array([rng.permutation(len(rows)) < len(rows) // 2 for _ in range(models)])
    noise = DiscreteGaussian()
    seen = np.array(
        [confidence(transcript(public, values[m], labels[m], plan, noise).model.scores(values), labels) for m in member]
    )
    ratios = likelihood_ratios(seen, member)
    outliers = np.argsort(-_leverage(table, rows), kind="stable")[: max(int(len(rows) * OUTLIERS), 10)]
    return Attacked(attacked(ratios, member), attacked(ratios, member, outliers))


def _leverage(table: PrivateTable, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """xᵀ(XᵀX + ridge)⁻¹x of every record, (rows,), in the model without noise."""
    values, labels = table.values[rows], table.labels[rows]
    plain = transcript(table.public, values, labels, None, DiscreteGaussian())
    x = plain.model.basis.units(values) / UNIT
    inverse = np.linalg.inv(x.T @ x + np.eye(x.shape[1]))
    return np.asarray(((x @ inverse) * x).sum(axis=1))


@dataclass(frozen=True, slots=True)
class CanaryAudit:
    """Lower bounds on ε at the plan's δ: from everything that the operator saw, and from the released model alone."""

    claimed: float
    transcript: Audit
    model: Audit


def canaries(table: PrivateTable, epsilon: float, trials: int, seed: int, rows: int = 200) -> CanaryAudit:
    """A canary that moves every sum as far as any record may, among `rows` records and four columns.

    A small table, because each trial draws all of its noise; bounds and noise scale with the columns, so a large one
    gives away as much. The canary's values lie on the ends of the public ranges, where it is in one cell a column.
    """
    small = _narrow(table, 4)
    plan = additive_plan(small.public, circle_of(bank_names()), epsilon, DELTA, protected=True, knots=4)
    plan = replace(plan, edge_cells=16)
    chosen = np.random.default_rng(seed).choice(len(small.labels), rows, replace=False)
    values, labels = small.values[chosen], small.labels[chosen]
    canary = np.array([[c.high for _, c in small.public.measures]])
    with_values, with_labels = np.vstack([values, canary]), np.append(labels, 1)
    noise = DiscreteGaussian()
    seen: dict[bool, list[tuple[float, NDArray[np.float64]]]] = {True: [], False: []}
    for trial in range(trials):
        there = trial % 2 == 0
        released = transcript(
            small.public, with_values if there else values, with_labels if there else labels, plan, noise
        )
        seen[there].append((_ratio(released, small.public, plan, values, labels, canary), _released(released, canary)))
    inside, outside = ([np.array(part) for part in zip(*seen[side], strict=True)] for side in (True, False))
    along = direction(inside[1], outside[1])
    return CanaryAudit(
        epsilon,
        audited(inside[0], outside[0], DELTA),
        audited(inside[1] @ along, outside[1] @ along, DELTA),
    )


def _narrow(table: PrivateTable, columns: int) -> PrivateTable:
    kept = [c for _, c in table.public.measures if not c.optional][:columns]
    public = replace(table.public, columns=tuple(kept))
    return replace(table, public=public, values=table.columns(public))


def _ratio(
    released: Transcript,
    public: PublicTable,
    plan: AdditivePlan,
    values: NDArray[np.float64],
    labels: NDArray[np.int64],
    canary: NDArray[np.float64],
) -> float:
    """Log-likelihood ratio of the canary in the whole transcript: the best that anybody can do with it."""
    one = np.array([1])
    basis, beta = released.model.basis, released.model.beta
    shape = MomentShape(basis.width, basis.blocks)
    units, own = basis.units(values), basis.units(canary)
    pairs = {
        "edges": (edge_counts(public, values, plan.edge_cells), edge_counts(public, canary, plan.edge_cells)),
        "moments": (moment_vector(units, labels, shape), moment_vector(own, one, shape)),
        "counts": (score_counts(scored(units, beta), labels), score_counts(scored(own, beta), one)),
    }
    total = 0.0
    for name, (base, move) in pairs.items():
        rest = released.sums[name] - base - move / 2.0
        total += float(rest @ move) / released.deviations[name] ** 2
    return total


def _released(released: Transcript, canary: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the released model shows: contributions of the canary's and of all columns' end cells, and the line."""
    model = released.model
    ends = model.contributions()
    shown = [edge for each in ends.values() for edge in (each[0], each[-1])]
    return np.array([*shown, float(model.scores(canary)[0]), model.calibration.slope, model.calibration.level])
