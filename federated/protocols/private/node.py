"""A bank's side of a private run, without messages: its policy, what it agreed to, and the noisy vectors it lets go."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from federated.consent.uses import ANSWERED
from federated.errors import FederatedError, PrivacyPlanRefused
from federated.models.encoding.hats import MOST_BETA, HatBasis, IntArray, scored
from federated.models.encoding.public_ranges import PublicTable
from federated.models.encoding.ramps import FloatArray
from federated.privacy.budget import PrivacyLedger, Receipt
from federated.privacy.differential.accountant import epsilon_of
from federated.privacy.differential.counts import score_counts
from federated.privacy.differential.edges import edge_counts
from federated.privacy.differential.moments import MomentShape, moment_vector
from federated.privacy.differential.noise import DiscreteGaussian, NoiseSource
from federated.protocols.private.network import Sampler, gradient_sum, parameter_count
from federated.protocols.private.plan import AdditivePlan, NetworkPlan, Plan, Stage, run_name

# Half of what float64, and the ring of secure sums, hold exactly.
EXACT = 2**52
# What a plan may ask of a node's machine, whatever it would pay.
MOST_CELLS, MOST_KNOTS, MOST_HIDDEN = 4_096, 64, 256
MOST_STEPS, CLIPS = 10_000, (1e-6, 1e6)
MOST_SENT = 1e6
# How far floating point may carry a knot beyond the range's end.
EDGE = 1e-9


@dataclass(frozen=True, slots=True)
class Policy:
    """What a bank insists on besides its budget.

    How many banks at least are in a sum, how many of them may collude without harm, and the ε at `delta` that one run
    may cost whatever the budget still holds.
    """

    least_threshold: int = 3
    least_colluding: int = 1
    most_epsilon: float = math.inf
    delta: float = 1e-5


@dataclass(frozen=True, slots=True)
class PrivateRows:
    """A bank's rows: `values` (rows, columns of the public table), `labels` in {0, 1}, `training` and `counted` masks.

    Edges, moments and gradients come from `training` rows; scores are counted over `counted` rows. These may be the
    same: a model that hardly knows a record ranks it no better than others. `log` notes in the bank's log of uses that
    they were read for a run, with what came of it: `answered`, or the code of a refusal.
    """

    dataset: str
    values: FloatArray
    labels: NDArray[np.int64]
    training: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    log: Callable[[str], None] = lambda _: None


@dataclass(slots=True)
class _Open:
    plan: Plan
    public: PublicTable
    rows: PrivateRows
    due: list[str]
    receipt: Receipt
    basis: HatBasis | None = None
    made: int = field(default=0)


class PrivateNode:
    """`public` is what the bank knows of a table's columns in advance, and a plan has to rest on. `rows` gives the rows

    for its columns, or for those it may decide on, read when a plan is accepted; `clock` dates the ledger.

    What is open is kept in memory only: after a restart a run that was agreed to is spent and cannot go on.
    """

    def __init__(
        self,
        org_id: str,
        public: PublicTable,
        rows: Callable[[PublicTable], PrivateRows],
        ledger: PrivacyLedger,
        clock: Callable[[], datetime],
        policy: Policy | None = None,
        noise: NoiseSource | None = None,
        sampler: Sampler | None = None,
    ) -> None:
        self.org_id = org_id
        self._public, self._rows, self._ledger, self._clock = public, rows, ledger, clock
        self._policy = policy or Policy()
        self._noise: NoiseSource = noise or DiscreteGaussian()
        self._sampler = sampler or Sampler()
        self._open: dict[str, _Open] = {}
        self._gate = threading.Lock()

    def agree(self, plan: Plan) -> Receipt:
        """Check the plan against the own policy, and reserve all of its cost. Raises `PrivacyPlanRefused`,

        `PrivacyBudgetMissing`, `PrivacyBudgetExceeded` or `PrivacyLedgerCorrupt`; then nothing of the run leaves here.
        """
        public = self._checked(plan)
        stages = plan.stages(public)
        rows = self._fitting(public)
        cost = [stage.charged(plan.circle, self.org_id) for stage in stages]
        if epsilon_of(cost, self._policy.delta) > self._policy.most_epsilon:
            detail = f"{self.org_id} spends at most ε = {self._policy.most_epsilon:g} on one run"
            raise PrivacyPlanRefused(detail, bank=self.org_id)
        # Noise that cannot be drawn is refused before it is paid for.
        for stage in stages:
            self._noise.integers(stage.share(plan.circle), 1)
        with self._gate:
            try:
                receipt = self._ledger.reserve(run_name(plan), rows.dataset, cost, self._clock())
            except FederatedError as refusal:
                rows.log(refusal.code)
                raise
            # Before anything leaves: a log that cannot be written ends the run, whose cost stays spent.
            rows.log(ANSWERED)
            due = [s.name for s in stages for _ in range(s.release.steps)]
            self._open[run_name(plan)] = _Open(plan, public, rows, due, receipt)
        return receipt

    def _fitting(self, public: PublicTable) -> PrivateRows:
        """The rows, checked before anything leaves: a refusal halfway would tell the operator about a record."""
        rows = self._rows(public)
        shape = (len(rows.labels), len(public.columns))
        fits = rows.values.shape == shape and bool(np.isin(rows.labels, (0, 1)).all())
        used = rows.values[rows.training | rows.counted] if fits else np.zeros((0, len(public.columns)))
        for column, missing in zip(public.columns, np.isnan(used).sum(axis=0).tolist(), strict=True):
            fits = fits and (column.optional or not missing)
        if not fits:
            # Which row or column it is stays here.
            raise PrivacyPlanRefused(f"{self.org_id}: its rows do not fit the public columns", bank=self.org_id)
        return rows

    def _checked(self, plan: Plan) -> PublicTable:
        circle, policy = plan.circle, self._policy
        circle.weight(self.org_id)
        if circle.threshold < policy.least_threshold or circle.colluding < policy.least_colluding:
            detail = (
                f"{self.org_id} insists on a threshold of {policy.least_threshold} and noise that holds "
                f"against {policy.least_colluding} colluding banks"
            )
            raise PrivacyPlanRefused(detail, bank=self.org_id)
        public = self._public if plan.protected else self._public.unprotected()
        if (self._public.table, public.digest) != (plan.table, plan.digest):
            raise PrivacyPlanRefused(f"{self.org_id} knows other public ranges of {plan.table}", bank=self.org_id)
        if isinstance(plan, AdditivePlan):
            if not (2 <= plan.knots <= MOST_KNOTS and plan.knots <= plan.edge_cells <= MOST_CELLS):
                raise PrivacyPlanRefused(f"{plan.knots} knots from {plan.edge_cells} cells")
        elif not (CLIPS[0] <= plan.clip <= CLIPS[1] and plan.steps <= MOST_STEPS):
            raise PrivacyPlanRefused(f"a clip of {plan.clip} over {plan.steps} steps")
        elif not 1 <= plan.hidden <= MOST_HIDDEN or plan.parameters != parameter_count(public, plan.hidden):
            raise PrivacyPlanRefused(f"a network of {plan.hidden} hidden units has no {plan.parameters} parameters")
        return public

    def vector(
        self, run: str, name: str, arrays: Mapping[str, NDArray[np.generic]], threshold: int, colluders: int
    ) -> IntArray:
        """The noisy integers of one stage, weighted; each stage of a run once and in order.

        Raises `PrivacyPlanRefused` for anything that was not agreed to.
        """
        with self._gate:
            opened = self._open.get(run)
            if opened is None:
                raise PrivacyPlanRefused(f"{self.org_id} has agreed to no such run", bank=self.org_id)
            if threshold != opened.plan.circle.threshold or colluders < opened.plan.circle.colluding:
                raise PrivacyPlanRefused(f"{self.org_id} agreed to another threshold", bank=self.org_id)
            if not opened.due or opened.due[0] != name:
                raise PrivacyPlanRefused(f"{self.org_id}: {name} is not what comes next in this run", bank=self.org_id)
            # Struck off before anything is computed: an attempt that fails later is spent.
            opened.due.pop(0)
            stage, plain = self._plain(opened, name, arrays)
            if not opened.due:
                del self._open[run]
        circle = opened.plan.circle
        noise = self._noise.integers(stage.share(circle), stage.length)
        weight = circle.weight(self.org_id)
        if int(np.abs(plain).max(initial=0)) * weight >= EXACT or int(np.abs(noise).max(initial=0)) >= EXACT:
            raise PrivacyPlanRefused(
                f"{self.org_id}: weighted sums or noise leave the exact integers", bank=self.org_id
            )
        return np.asarray(plain * weight + noise, dtype=np.int64)

    def _plain(self, opened: _Open, name: str, arrays: Mapping[str, NDArray[np.generic]]) -> tuple[Stage, IntArray]:
        """A stage and its vector before weight and noise."""
        plan, rows = opened.plan, opened.rows
        training, labels = rows.values[rows.training], rows.labels[rows.training]
        if isinstance(plan, NetworkPlan):
            (stage,) = plan.stages(opened.public)
            weights = self._sent(arrays, "weights", stage.length, MOST_SENT)
            taken = self._sampler.taken(len(labels), plan.sampling)
            values = training[taken]
            return stage, gradient_sum(opened.public, plan.hidden, weights, values, labels[taken], plan.clip)
        if name == "edges":
            return plan.stage(name, opened.public), edge_counts(opened.public, training, plan.edge_cells)
        if name == "moments":
            opened.basis = agreed_basis(opened.public, plan, arrays)
            shape = MomentShape(opened.basis.width, opened.basis.blocks)
            units = opened.basis.units(training)
            return plan.stage(name, opened.public, opened.basis), moment_vector(units, labels, shape)
        if opened.basis is None:
            raise PrivacyPlanRefused(f"{self.org_id}: scores were asked for before there is a basis", bank=self.org_id)
        beta = self._sent(arrays, "beta", opened.basis.width, MOST_BETA)
        scores = scored(opened.basis.units(rows.values[rows.counted]), beta)
        return plan.stage(name, opened.public), score_counts(scores, rows.labels[rows.counted])

    def _sent(self, arrays: Mapping[str, NDArray[np.generic]], name: str, length: int, most: float) -> FloatArray:
        """What the operator sent, if it cannot overflow for one record and not for another."""
        sent = np.asarray(arrays.get(name, np.zeros(0)), dtype=np.float64)
        if sent.shape != (length,) or not np.all(np.abs(sent) <= most):
            raise PrivacyPlanRefused(f"{self.org_id}: {name} of another length, or beyond bounds", bank=self.org_id)
        return sent


def agreed_basis(public: PublicTable, plan: AdditivePlan, arrays: Mapping[str, NDArray[np.generic]]) -> HatBasis:
    """The basis of the knots that the operator sends. Raises `PrivacyPlanRefused` for knots that were not agreed to.

    Any ascending knots keep the bound, so a bank need not know how the operator came by them.
    """
    knots = {}
    for _, column in public.measures:
        sent = np.asarray(arrays.get(f"knots/{column.column}", np.zeros(0)), dtype=np.float64)
        low, high = column.ends
        fits = sent.ndim == 1 and 2 <= len(sent) <= plan.knots and np.all((sent >= low - EDGE) & (sent <= high + EDGE))
        if not fits or not np.all(np.diff(sent) > 0):
            raise PrivacyPlanRefused(
                f"knots of {column.column} do not ascend in range, or are too many", column=column.column
            )
        knots[column.column] = sent
    return HatBasis(public, knots)
