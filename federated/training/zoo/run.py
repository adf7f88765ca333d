"""From a session to finished, blended learners with their held-out metrics."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from flwr.serverapp import Grid

from federated.models.encoding import FloatArray
from federated.models.functions import PartyFunction
from federated.models.metrics import Metrics
from federated.training.zoo.convex_learners import Additive, Scorecard
from federated.training.zoo.learners import BoostedTrees, Learner, Networks
from federated.training.zoo.session import Progress, ZooSession
from federated.training.zoo.settings import ZooSettings

ADDITIVE = ("additive", "pair_trees")
ALL = (*ADDITIVE, "trees", "networks")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds, request-reply pairs and payload bytes."""

    seconds: float
    exchanges: int
    bytes: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.seconds + other.seconds, self.exchanges + other.exchanges, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class ZooResult:
    """Functions by learner and side, blend weights by blend (the constant last), metrics and cost by name."""

    functions: dict[str, list[PartyFunction]]
    blends: dict[str, FloatArray]
    metrics: dict[str, Metrics]
    cost: dict[str, Cost]


def train_zoo(grid: Grid, settings: ZooSettings, progress: Progress, with_networks: bool = True) -> ZooResult:
    """Train every learner over the nodes behind `grid` and blend them.

    `federated` blends all learners, `federated_additive` those that are sums of functions of at most two features.
    """
    started = time.perf_counter()
    session = ZooSession(grid, settings, progress)
    board = session.board
    costs: dict[str, Cost] = {}

    def clocked(since: float, before: tuple[int, int]) -> Cost:
        traffic = board.traffic
        return Cost(time.perf_counter() - since, traffic.exchanges - before[0], traffic.bytes - before[1])

    opening = clocked(started, (0, 0))
    functions: dict[str, list[PartyFunction]] = {}
    additive = Additive(settings.convex)
    plan: list[tuple[str, Learner]] = [
        ("scorecard", Scorecard()),
        ("additive", additive),
        (
            "pair_trees",
            BoostedTrees(settings.boosting(settings.pair_trees, session.training_rows), "pair trees", additive.ranked),
        ),
        ("trees", BoostedTrees(settings.boosting(settings.trees, session.training_rows), "trees")),
    ]
    if with_networks:
        plan.append(("networks", Networks(settings.network)))
    for name, learner in plan:
        since, before = time.perf_counter(), (board.traffic.exchanges, board.traffic.bytes)
        functions[name] = learner.fit(session)
        session.keep(name, functions[name])
        costs[name] = clocked(since, before)
    names = list(functions)
    blends = {name: _single(k, len(names)) for k, name in enumerate(names)}
    for blend, wanted in (("federated", ALL), ("federated_additive", ADDITIVE)):
        since, before = time.perf_counter(), (board.traffic.exchanges, board.traffic.bytes)
        members = [name for name in names if name in wanted]
        chosen = session.blend(members)
        blends[blend] = np.zeros(len(names) + 1)
        blends[blend][[*(names.index(name) for name in members), len(names)]] = chosen
        cost = opening + clocked(since, before)
        for name in members:
            cost = cost + costs[name]
        costs[blend] = cost
    metrics = session.held_out(names, blends)
    return ZooResult(functions, blends, metrics, costs)


def _single(k: int, learners: int) -> FloatArray:
    weights = np.zeros(learners + 1)
    weights[k] = 1.0
    return weights
