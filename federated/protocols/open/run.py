"""From a session to finished, blended learners with their held-out metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from flwr.serverapp import Grid

from federated.errors import TrainingFailed
from federated.models.encoding.ramps import FloatArray
from federated.models.learners.convex import Basis
from federated.models.served.functions import ConvexFunction, PartyFunction, TreeFunction
from federated.models.served.metrics import Metrics
from federated.models.served.tables import AdditiveTables, tabulated
from federated.protocols.core.cost import Cost, Meter
from federated.protocols.core.messages import Switchboard
from federated.protocols.core.session import Progress
from federated.protocols.open.convex_learners import Additive, Scorecard
from federated.protocols.open.evaluation import Evaluation
from federated.protocols.open.learners import BoostedTrees, Learner, Networks
from federated.protocols.open.session import LearnerSession
from federated.protocols.open.settings import ZooSettings

ADDITIVE = ("additive", "pair_trees")
ALL = (*ADDITIVE, "trees", "networks")
BLENDS = {"federated": ALL, "federated_additive": ADDITIVE}


@dataclass(frozen=True, slots=True)
class ZooResult:
    """Functions by learner and side, blend weights by blend (the constant last), cost by name, and metrics by name
    where they were asked for."""

    functions: dict[str, list[PartyFunction]]
    blends: dict[str, FloatArray]
    cost: dict[str, Cost]
    metrics: dict[str, Metrics] = field(default_factory=dict)


def train_zoo(
    grid: Grid, settings: ZooSettings, progress: Progress, learners: Sequence[str] = ("scorecard", *ALL)
) -> ZooResult:
    """Train `learners` over the nodes behind `grid`, blend them, and measure them on rows held out.

    `federated` blends all of `ALL` among them, `federated_additive` those that are sums of functions of at most two
    features; pair trees need `additive` before them, which chooses the pairs.
    """
    board = Switchboard(grid)
    meter = Meter(board)
    session = LearnerSession(board, settings, progress)
    result = fit_zoo(session, learners, meter.cost())
    return replace(result, metrics=Evaluation(session).held_out(list(result.functions), result.blends))


def fit_zoo(session: LearnerSession, learners: Sequence[str], opening: Cost) -> ZooResult:
    """As `train_zoo`, on a session that is open, and not measured; `opening` is what that cost, a part of every
    blend's cost."""
    board, settings = session.board, session.settings
    costs: dict[str, Cost] = {}
    functions: dict[str, list[PartyFunction]] = {}
    additive = Additive(settings.convex_for(session.training_rows))
    for name in learners:
        meter = Meter(board)
        functions[name] = _learner(name, session, additive).fit(session)
        session.keep(name, functions[name])
        costs[name] = meter.cost()
    names = list(functions)
    blends = {name: _single(k, len(names)) for k, name in enumerate(names)}
    for blend, wanted in BLENDS.items():
        meter = Meter(board)
        members = [name for name in names if name in wanted]
        chosen = Evaluation(session).blend(members)
        blends[blend] = np.zeros(len(names) + 1)
        blends[blend][[*(names.index(name) for name in members), len(names)]] = chosen
        costs[blend] = sum((costs[name] for name in members), opening + meter.cost())
    return ZooResult(functions, blends, costs)


def _learner(name: str, session: LearnerSession, additive: Additive) -> Learner:
    settings, rows = session.settings, session.training_rows
    if name == "additive":
        return additive
    if name == "pair_trees":
        return BoostedTrees(settings.boosting(settings.pair_trees, rows), "pair trees", additive.ranked)
    if name == "trees":
        return BoostedTrees(settings.boosting(settings.trees, rows), "trees")
    return Networks(settings.network_for(rows)) if name == "networks" else Scorecard()


def additive_tables(result: ZooResult, side: int) -> AdditiveTables:
    """The explainable blend of one side (0 = banks) as tables; the blend's constant belongs to the banks."""
    weights = result.blends["federated_additive"]
    names = list(result.functions)
    parts = [(float(weights[names.index(name)]), result.functions[name][side]) for name in ADDITIVE]
    convex, trees = parts[0][1], parts[1][1]
    if not isinstance(trees, TreeFunction) or not isinstance(convex, ConvexFunction):
        raise TrainingFailed("the additive blend was not trained")
    if not isinstance(convex.basis, Basis):
        raise TrainingFailed("the additive model has another basis")
    return tabulated(parts, trees.binning, convex.basis.encoder.reference, 0.0 if side else float(weights[-1]))


def _single(k: int, learners: int) -> FloatArray:
    weights = np.zeros(learners + 1)
    weights[k] = 1.0
    return weights
