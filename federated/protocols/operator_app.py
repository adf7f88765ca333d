"""The network operator's `ServerApp`: introduces nodes, relays the alignment once, and trains the asked folds.

The operator holds no customer data. It relays blinded points, which tell it nothing but set sizes. Protected training
(`training.protected`) opens sums only to it; the zoo without protection has it relay residuals, curvatures and partial
logits, from which it can read training labels by position, though not whose they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from flwr.app import Context
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from federated.errors import TrainingFailed
from federated.governance.manifest import FeatureReference
from federated.models.served.metrics import Metrics
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.nodes.identity import Identity
from federated.protocols.core.alignment import (
    Alignment,
    AlignmentStep,
    Participants,
    add_alignment,
    align,
    participants,
)
from federated.protocols.core.candidates import Candidate, FittedModel, candidate_of
from federated.protocols.core.messages import Switchboard
from federated.protocols.core.node_rows import NodeSource
from federated.protocols.core.references import references
from federated.protocols.core.session import Config, Progress, Session
from federated.protocols.core.session_app import session_app
from federated.protocols.open.apps import add_learners
from federated.protocols.open.blending import Blender
from federated.protocols.open.run import (
    ADDITIVE,
    ALL,
    Cost,
    fit_zoo,
)
from federated.protocols.open.session import LearnerSession
from federated.protocols.open.settings import ZooSettings
from federated.protocols.protected.candidate import protected_blend
from federated.protocols.protected.node import ProtectedApp
from federated.protocols.protected.operator import ProtectedTraining
from federated.protocols.protected.settings import ProtectedSettings

COMPANION = "bank_only"
PROTECTED, PROTECTED_COMPANION = "protected", "protected_bank_only"


@dataclass(frozen=True, slots=True)
class FoldReport:
    """One trained fold: candidates by blend, held-out metrics of their bank-only companions, and what each cost."""

    fold: int
    candidates: dict[str, Candidate]
    companions: dict[str, Metrics]
    feature_reference: dict[str, dict[str, FeatureReference]]
    cost: dict[str, Cost]


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What the operator is asked to do. `at_us` is the instant consents are checked at (µs since 1970, UTC).

    `cut_off` is the lowest score that is approved, for figures by segment. `learners` must hold the additive ones;
    with deep trees or networks among them there is a second candidate, the default blend. With `protected`, a candidate
    is trained under protection; `learners` may then be empty.
    """

    folds: tuple[int, ...]
    at_us: int
    cut_off: int
    settings: ZooSettings = field(default_factory=ZooSettings)
    learners: tuple[str, ...] = ALL
    protected: ProtectedSettings | None = None


@dataclass(frozen=True, slots=True)
class Observers:
    """Where the operator reports to while it runs."""

    aligned: Callable[[Participants, Alignment], None]
    fold: Callable[[FoldReport], None]
    progress: Callable[[int], Progress]
    aligning: Callable[[AlignmentStep], None]


def node_app(node: BankNode | GridNode, identity: Identity) -> ClientApp:
    """The `ClientApp` of a bank or grid company: alignment, the zoo and protected training over its own store."""

    app, opened = session_app(NodeSource(node))
    add_learners(app, opened)
    ProtectedApp(identity, opened).add_to(app)
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
    parts = []
    if plan.learners:
        parts.append(_zoo_fold(board, people, plan, fold, progress))
    if plan.protected is not None:
        parts.append(_protected_fold(board, people, plan, fold, progress, plan.protected))
    if not parts:
        raise TrainingFailed("a run trains the zoo's learners, a protected model, or both")
    candidates, companions, costs = ({k: v for p in parts for k, v in getattr(p, n).items()} for n in FOLDED)
    return FoldReport(fold, candidates, companions, parts[0].feature_reference, costs)


FOLDED = ("candidates", "companions", "cost")


def _companion(progress: Progress) -> Progress:
    return lambda name, number, loss: progress(f"{COMPANION} {name}", number, loss)


def _zoo_fold(board: Switchboard, people: Participants, plan: RunPlan, fold: int, progress: Progress) -> FoldReport:
    if not set(ADDITIVE) <= set(plan.learners):
        raise TrainingFailed(f"the zoo trains {', '.join(ADDITIVE)}, whatever else it trains")
    opening: Config = {"fold": fold, "at_us": plan.at_us}
    started = time.perf_counter()
    session = LearnerSession(board, plan.settings, progress, opening | {"joint": 1})
    result = fit_zoo(session, plan.learners, started)
    wanted = ["federated_additive"] + (["federated"] if set(plan.learners) - set(ADDITIVE) else [])
    blender = Blender(session, result, people.schema, plan.cut_off)
    joint = {name: blender.blend(name) for name in wanted}
    reference = references(session)
    started = time.perf_counter()
    lone = LearnerSession(board, plan.settings, _companion(progress), opening | {"joint": 0})
    lone_result = fit_zoo(lone, ADDITIVE, started)
    alone = Blender(lone, lone_result, people.schema, plan.cut_off).blend("federated_additive")
    costs = {name: result.cost[name] for name in wanted} | {COMPANION: lone_result.cost["federated_additive"]}
    candidates = {name: candidate_of(blend, alone) for name, blend in joint.items()}
    return FoldReport(fold, candidates, {COMPANION: alone.measured.metrics}, reference, costs)


def _protected_fold(
    board: Switchboard, people: Participants, plan: RunPlan, fold: int, progress: Progress, settings: ProtectedSettings
) -> FoldReport:
    blends: dict[str, FittedModel] = {}
    costs: dict[str, Cost] = {}
    reference: dict[str, dict[str, FeatureReference]] = {}
    for name, joint in ((PROTECTED, 1), (PROTECTED_COMPANION, 0)):
        started, before = time.perf_counter(), (board.traffic.exchanges, board.traffic.bytes)
        shown = progress if joint else _companion(progress)
        opening: Config = {"fold": fold, "at_us": plan.at_us, "joint": joint}
        # Every side has as many ramps a feature as protected training asks for.
        session = Session(board, replace(plan.settings, ramps=settings.ramps), shown, opening)
        training = ProtectedTraining(session, settings)
        training.fit()
        blends[name] = protected_blend(training, people.schema, plan.cut_off)
        exchanges, size = board.traffic.exchanges - before[0], board.traffic.bytes - before[1]
        costs[name] = Cost(time.perf_counter() - started, exchanges, size)
        reference = reference or references(session)
    alone = blends[PROTECTED_COMPANION]
    candidates = {PROTECTED: candidate_of(blends[PROTECTED], alone)}
    return FoldReport(fold, candidates, {PROTECTED_COMPANION: alone.measured.metrics}, reference, costs)
