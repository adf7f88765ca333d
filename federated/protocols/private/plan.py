"""What the operator proposes and a bank agrees to: every release of a run, its noise, and who may be in it.

A run's name is the hash of its plan, so nothing of it can be changed after a bank has agreed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np

from federated.errors import PrivacyPlanRefused
from federated.models.encoding.hats import HatBasis
from federated.models.encoding.public_ranges import PublicTable
from federated.privacy.differential.accountant import Release
from federated.privacy.differential.bounding import GRID
from federated.privacy.differential.counts import BOUND_SQUARED, LENGTH
from federated.privacy.differential.edges import edge_bound_squared, edge_length
from federated.privacy.differential.moments import MomentShape
from federated.privacy.differential.noise import closeness, share_scale


@dataclass(frozen=True, slots=True)
class Circle:
    """Who takes part. `weights` are whole numbers, one a bank: how often a bank's vector counts in the sum.

    Noise is measured for the largest weight, and for `threshold` − `colluding` banks whose noise nobody knows; secure
    sums have to stand as many that collude.
    """

    banks: tuple[str, ...]
    threshold: int
    colluding: int
    weights: tuple[int, ...]

    def __post_init__(self) -> None:
        whole = all(isinstance(w, int) and w >= 1 for w in self.weights)
        if not whole or len(self.weights) != len(self.banks) or len(set(self.banks)) != len(self.banks):
            raise PrivacyPlanRefused("every bank is named once and has a whole weight of at least 1")
        if not 0 <= self.colluding < self.threshold <= len(self.banks) or self.stands < self.colluding:
            raise PrivacyPlanRefused(
                f"a threshold of {self.threshold} among {len(self.banks)} banks with {self.colluding} colluding"
            )

    @property
    def stands(self) -> int:
        """How many colluding banks secure sums stand (`privacy.secure_aggregation`)."""
        return 2 * self.threshold - len(self.banks) - 1

    @property
    def noisers(self) -> int:
        """Banks whose noise has to suffice."""
        return self.threshold - self.colluding

    def weight(self, bank: str) -> int:
        """A bank's weight. Raises `PrivacyPlanRefused` if the plan does not name it."""
        if bank not in self.banks:
            raise PrivacyPlanRefused(f"the plan does not name {bank}", bank=bank)
        return self.weights[self.banks.index(bank)]


@dataclass(frozen=True, slots=True)
class Stage:
    """One kind of sum: `length` integers, one record's farthest move in units, and noise as a multiple of that."""

    name: str
    length: int
    bound_squared: int
    release: Release

    def share(self, circle: Circle) -> float:
        """Standard deviation, in units, of the noise that each bank adds."""
        farthest = math.sqrt(self.bound_squared) * max(circle.weights)
        return share_scale(self.release.multiplier * farthest, circle.noisers)

    def deviation(self, circle: Circle, survivors: int) -> float:
        """Standard deviation, in units, of all noise in a sum over `survivors` banks."""
        return self.share(circle) * math.sqrt(survivors)

    def charged(self, circle: Circle, bank: str) -> Release:
        """The release as it concerns the records of one bank, with what sums of draws are off by."""
        slack = closeness(self.share(circle), len(circle.banks), self.length)
        own = self.release.weighted(circle.weight(bank), max(circle.weights))
        return Release(own.multiplier, own.sampling, own.steps, slack)


@dataclass(frozen=True, slots=True)
class AdditivePlan:
    """Three stages: counts for bin edges, moments of rows, counts of scores. Multipliers are noise over bound.

    `table` names the public ranges and `digest` is the hash of their text; `nonce` makes a run's name fresh.
    """

    table: str
    digest: str
    protected: bool
    circle: Circle
    edge_cells: int
    knots: int
    edges: float
    moments: float
    counts: float
    nonce: str

    def stage(self, name: str, public: PublicTable, basis: HatBasis | None = None) -> Stage:
        """A stage by name; the moments' length depends on the `basis` that the edges gave."""
        if name == "edges":
            length, bound = edge_length(public, self.edge_cells), edge_bound_squared(public)
            return Stage(name, length, bound, Release(self.edges))
        if name == "moments":
            shape = moment_shape(public, self.knots) if basis is None else MomentShape(basis.width, basis.blocks)
            return Stage(name, shape.length, shape.bound_squared, Release(self.moments))
        return Stage("counts", LENGTH, BOUND_SQUARED, Release(self.counts))

    def stages(self, public: PublicTable) -> tuple[Stage, ...]:
        """All stages in their order; without columns to find edges of there is no first one."""
        names = ("edges", "moments", "counts") if public.measures else ("moments", "counts")
        return tuple(self.stage(name, public) for name in names)


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """Steps of private gradient descent: each record is drawn with probability `sampling`, its gradient clipped.

    Columns are cut and scaled by public ranges, so nothing is learnt before the first step. `parameters` is the
    network's size, which the bank checks against its own count.
    """

    table: str
    digest: str
    protected: bool
    circle: Circle
    hidden: int
    parameters: int
    steps: int
    sampling: float
    clip: float
    multiplier: float
    nonce: str

    def stages(self, _: PublicTable) -> tuple[Stage, ...]:
        """The one stage, of many steps."""
        return (Stage("gradient", self.parameters, GRID**2, Release(self.multiplier, self.sampling, self.steps)),)


Plan = AdditivePlan | NetworkPlan
KINDS: Mapping[str, type[AdditivePlan] | type[NetworkPlan]] = {"additive": AdditivePlan, "network": NetworkPlan}


def moment_shape(public: PublicTable, knots: int) -> MomentShape:
    """The largest shape that `knots` a measure can lead to: what the moments are charged for before edges are known."""
    basis = HatBasis(public, {c.column: np.linspace(*c.ends, knots) for _, c in public.measures})
    return MomentShape(basis.width, basis.blocks)


def plan_text(plan: Plan) -> str:
    """A plan as canonical JSON."""
    kind = next(name for name, cls in KINDS.items() if isinstance(plan, cls))
    return json.dumps({"kind": kind, **asdict(plan)}, sort_keys=True, separators=(",", ":"), allow_nan=False)


def plan_from(text: str) -> Plan:
    """The plan behind `plan_text`. Raises `PrivacyPlanRefused` for anything else."""
    try:
        raw = json.loads(text)
        cls = KINDS[raw.pop("kind")]
        circle = raw.pop("circle")
        inside = Circle(
            tuple(str(b) for b in circle["banks"]), circle["threshold"], circle["colluding"], tuple(circle["weights"])
        )
        for each in fields(cls):
            if each.name != "circle" and type(raw[each.name]).__name__ != each.type:
                raise PrivacyPlanRefused(f"{each.name} of a plan is not of type {each.type}")
        plan = cls(circle=inside, **raw)
        again = plan_text(plan)
    except (KeyError, TypeError, ValueError) as error:
        raise PrivacyPlanRefused(f"a plan cannot be read: {error}") from error
    if again != text:
        raise PrivacyPlanRefused("a plan says something else than it was read as")
    return plan


def run_name(plan: Plan) -> str:
    """The run's name: the hash of its plan."""
    return hashlib.sha256(plan_text(plan).encode()).hexdigest()
