"""The network operator's `ServerApp`: introduces nodes, relays the alignment once, and trains the asked folds.

The operator holds no customer data. In this version it relays blinded points (which tell it nothing but set sizes) and
unprotected residuals, curvatures and partial logits, from which it can read training labels by position, though not
whose they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from flwr.app import Context
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from federated.errors import TrainingFailed
from federated.models.metrics import Metrics
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.registry.manifest import FeatureReference
from federated.training.alignment import Alignment, AlignmentStep, Participants, add_alignment, align, participants
from federated.training.candidates import Blender, Candidate, candidate_of, references
from federated.training.messages import Switchboard
from federated.training.node_rows import NodeSource
from federated.training.zoo.apps import zoo_app
from federated.training.zoo.run import ADDITIVE, ALL, Cost, fit_zoo
from federated.training.zoo.session import Config, Progress, ZooSession
from federated.training.zoo.settings import ZooSettings

COMPANION = "bank_only"


@dataclass(frozen=True, slots=True)
class FoldReport:
    """One trained fold: candidates by blend, the bank-only companion's held-out metrics, and what each cost."""

    fold: int
    candidates: dict[str, Candidate]
    companion: Metrics
    feature_reference: dict[str, dict[str, FeatureReference]]
    cost: dict[str, Cost]


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What the operator is asked to do. `at_us` is the instant consents are checked at (µs since 1970, UTC).

    `cut_off` is the lowest score that is approved, for figures by segment. `learners` must hold the additive ones;
    with deep trees or networks among them there is a second candidate, the default blend.
    """

    folds: tuple[int, ...]
    at_us: int
    cut_off: int
    settings: ZooSettings = field(default_factory=ZooSettings)
    learners: tuple[str, ...] = ALL


@dataclass(frozen=True, slots=True)
class Observers:
    """Where the operator reports to while it runs."""

    aligned: Callable[[Participants, Alignment], None]
    fold: Callable[[FoldReport], None]
    progress: Callable[[int], Progress]
    aligning: Callable[[AlignmentStep], None]


def node_app(node: BankNode | GridNode) -> ClientApp:
    """The `ClientApp` of a bank or grid company: alignment, and the zoo over its own store."""
    app = zoo_app(NodeSource(node))
    add_alignment(app, node)
    return app


def operator_app(plan: RunPlan, observers: Observers) -> ServerApp:
    """The operator's app for one run."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, _: Context) -> None:
        board = Switchboard(grid)
        people = participants(board)
        alignment = align(board, people, plan.at_us, observers.aligning)
        observers.aligned(people, alignment)
        for fold in plan.folds:
            observers.fold(_fold(board, people, plan, fold, observers.progress(fold)))

    return app


def _fold(board: Switchboard, people: Participants, plan: RunPlan, fold: int, progress: Progress) -> FoldReport:
    if not set(ADDITIVE) <= set(plan.learners):
        raise TrainingFailed(f"a run trains {', '.join(ADDITIVE)}, whatever else it trains")
    opening: Config = {"fold": fold, "at_us": plan.at_us}
    started = time.perf_counter()
    session = ZooSession(board, plan.settings, progress, opening | {"joint": 1})
    result = fit_zoo(session, plan.learners, started)
    wanted = ["federated_additive"] + (["federated"] if set(plan.learners) - set(ADDITIVE) else [])
    blender = Blender(session, result, people.schema, plan.cut_off)
    joint = {name: blender.blend(name) for name in wanted}
    reference = references(session)
    started = time.perf_counter()

    def alone_progress(name: str, number: int, loss: float) -> None:
        progress(f"{COMPANION} {name}", number, loss)

    lone = ZooSession(board, plan.settings, alone_progress, opening | {"joint": 0})
    lone_result = fit_zoo(lone, ADDITIVE, started)
    alone = Blender(lone, lone_result, people.schema, plan.cut_off).blend("federated_additive")
    costs = {name: result.cost[name] for name in wanted} | {COMPANION: lone_result.cost["federated_additive"]}
    candidates = {name: candidate_of(blend, alone) for name, blend in joint.items()}
    return FoldReport(fold, candidates, alone.measured.metrics, reference, costs)
