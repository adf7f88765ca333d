"""The learners: each alternates between the sides and returns one function a side.

`fit(session)` leaves nothing behind at the nodes but rows and bins. Members stop on their inner folds: trees
together, networks each for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from federated.models.encoding.ramps import FloatArray
from federated.models.learners.boosting import Histogram, Trees, grow
from federated.models.learners.members import Weights
from federated.models.learners.networks import initial_weights
from federated.models.served.functions import NetworkFunction, PartyFunction, TreeFunction
from federated.protocols.core.messages import Arrays, prefixed
from federated.protocols.core.session import Config, Side, added
from federated.protocols.open.session import LearnerSession
from federated.protocols.open.settings import NetworkSettings, TreeSettings
from federated.protocols.strategies.averaging import averaged
from federated.protocols.strategies.named import strategy_named

Pairs = tuple[tuple[int, int], ...]
IMPROVEMENT = 1e-4


class Learner(Protocol):
    """Anything that turns a session into one function a side."""

    def fit(self, session: LearnerSession) -> list[PartyFunction]:
        """Train; the functions are in the order of the session's sides."""
        ...


class _Stopping:
    """Remembers, per member, the round after which its loss was lowest."""

    def __init__(self, members: int, patience: int) -> None:
        self.best = np.full(members, np.inf)
        self.round = np.zeros(members, dtype=np.int64)
        self._patience = patience

    def over(self, number: int, losses: FloatArray) -> bool:
        """Take the losses after `number` rounds; whether no member has improved for long enough."""
        better = losses < self.best - IMPROVEMENT
        self.best, self.round = np.where(better, losses, self.best), np.where(better, number, self.round)
        return bool(np.all(number - self.round >= self._patience))


class BoostedTrees:
    """Party-additive boosting: a block of trees at the banks, then a block on their residuals at the grid companies."""

    def __init__(self, settings: TreeSettings, name: str, pairs: Mapping[str, Pairs] | None = None) -> None:
        self._s, self._name, self._pairs = settings, name, pairs

    def fit(self, session: LearnerSession) -> list[PartyFunction]:
        """Blocks until the members' summed loss has stopped falling: one inner fold has too few rows to say when."""
        members = session.members
        session.begin(np.arange(members), (session.prior, 0.0))
        grown: list[list[Trees]] = [[] for _ in session.sides]
        stopping = _Stopping(1, self._s.patience)
        for number in range(self._s.max_rounds):
            losses = np.zeros(0)
            for k, side in enumerate(session.sides):
                trees, heard = self._block(session, side, number)
                grown[k].append(trees)
                losses = losses if k else heard
            session.progress(self._name, number, float(losses.sum()))
            if stopping.over(number, losses.sum(keepdims=True)):
                break
        else:
            answers = session.ask(session.banks, "query.tell", {}, {})
            stopping.over(self._s.max_rounds, session.losses(answers).sum(keepdims=True))
        bases = (session.prior, 0.0)
        functions: list[PartyFunction] = []
        for side, blocks, base in zip(session.sides, grown, bases, strict=False):
            kept = Trees.joined(blocks).first(int(stopping.round[0]) * len(blocks[0].feature))
            # Every block lists trees step by step, members within a step.
            member = np.tile(np.arange(members), len(kept.feature) // members)
            functions.append(TreeFunction(side.binning, kept, member, members, base))
        return functions

    def _block(self, session: LearnerSession, side: Side, number: int) -> tuple[Trees, FloatArray]:
        p = side.binning.n_features
        pairs = np.ones((p, p), dtype=np.bool_)
        if self._pairs is not None:
            pairs = np.eye(p, dtype=np.bool_)
            for a, b in self._pairs[side.role]:
                pairs[a, b] = pairs[b, a] = True
        seed = session.settings.seed * 10 + (side.role == "grid")
        config: Config = {**asdict(self._s.grow), "seed": seed, "row_share": self._s.row_share}
        if len(side.orgs) > 1 and not self._s.coarse:
            return self._summed_block(session, side, number, pairs, config)
        alone = len(side.orgs) == 1
        steps = {"first": number * self._s.block, "count": self._s.block, "tell": int(alone)}
        answers = session.ask(side, "train.trees", {"pairs": pairs}, config | steps)
        losses = session.losses(answers) if side is session.banks else np.zeros(0)
        if alone:
            (content,) = answers.values()
            return Trees.from_arrays(content.under("trees")), losses
        rows = np.array([float(np.asarray(c.arrays["rows"], float)[0]) for c in answers.values()])
        parts = [Trees.from_arrays(c.under("trees")) for c in answers.values()]
        mean = Trees.joined([part.scaled(share) for part, share in zip(parts, rows / rows.sum(), strict=True)])
        session.ask(side, "query.adopt", prefixed("trees", mean.to_arrays()), {"tell": 1})
        return mean, losses

    def _summed_block(
        self, session: LearnerSession, side: Side, number: int, pairs: NDArray[np.bool_], config: Config
    ) -> tuple[Trees, FloatArray]:
        """Trees from several nodes' summed histograms, a level an exchange."""
        losses: list[FloatArray] = []
        grown = []
        for step in range(number * self._s.block, (number + 1) * self._s.block):

            def ask(level: int, trees: Trees, step: int = step) -> Histogram:
                arrays = prefixed("trees", trees.to_arrays()) if level else {}
                answers = session.ask(side, "query.level", arrays, config | {"level": level, "step": step})
                if not level and side is session.banks:
                    losses.append(session.losses(answers))
                return added(answers, "histogram")

            rng = np.random.default_rng([int(str(config["seed"])), step])
            tree = grow(ask, session.members, side.binning.starts, self._s.grow, pairs, rng)
            last = step == (number + 1) * self._s.block - 1
            session.ask(side, "query.leaf", prefixed("trees", tree.to_arrays()), {"tell": int(last)})
            grown.append(tree)
        return Trees.joined(grown), losses[0] if losses else np.zeros(0)


class Networks:
    """Member networks on quantile ramps, averaged over the nodes of a side by the settings' strategy."""

    def __init__(self, settings: NetworkSettings) -> None:
        self._s, self._strategy = settings, strategy_named(settings.strategy)

    def fit(self, session: LearnerSession) -> list[PartyFunction]:
        """Rounds of a block a side until every member's loss has stopped falling."""
        members, s = session.members, self._s
        session.begin(np.arange(members), (session.prior, 0.0))
        seeds = [session.settings.seed * 10 + k for k in range(len(session.sides))]
        priors = (session.prior, 0.0)
        weights: list[Weights] = [
            initial_weights(side.encoder.width, s.hidden, members, prior, seed)
            for side, prior, seed in zip(session.sides, priors, seeds, strict=False)
        ]
        best, stopping = [dict(w) for w in weights], _Stopping(members, s.patience)
        for number in range(s.max_rounds + 1):
            for k, side in enumerate(session.sides):
                before = weights[k]
                weights[k], losses = self._block(session, side, weights[k], number)
                if k:
                    continue
                # The losses are those of the model before this block.
                done = stopping.over(number, losses)
                improved = stopping.round == number
                current = [before, *weights[1:]]
                best = [_merge_members(b, c, improved) for b, c in zip(best, current, strict=True)]
                session.progress("networks", number, float(losses.sum()))
                if done:
                    break
            else:
                continue
            break
        return [NetworkFunction(side.encoder, w) for side, w in zip(session.sides, best, strict=True)]

    def _block(self, session: LearnerSession, side: Side, weights: Weights, number: int) -> tuple[Weights, FloatArray]:
        s = self._s
        config: Config = {
            "epochs": s.epochs,
            "learning_rate": s.learning_rate * s.learning_rate_decay**number,
            "weight_decay": s.weight_decay,
            "dropout": s.dropout,
            "batch": s.batch,
            "strategy": self._strategy.text,
            "fit_seed": session.settings.seed * 1_000 + number,
            "tell": int(len(side.orgs) == 1),
        }
        answers = session.ask(side, "train.network", prefixed("weights", weights), config)
        parts = [{n: np.asarray(a, np.float32) for n, a in c.under("weights").items()} for c in answers.values()]
        rows = [int(np.asarray(c.arrays["rows"], float)[0]) for c in answers.values()]
        mean = averaged(parts, rows, self._strategy.averaging())
        losses = session.losses(answers) if side is session.banks else np.zeros(0)
        if len(side.orgs) > 1 and len(session.sides) > 1:
            arrays: Arrays = prefixed("weights", mean)
            session.ask(side, "train.network", arrays, config | {"epochs": 0, "tell": 1})
        return mean, losses


def _merge_members(old: Weights, new: Weights, take: NDArray[np.bool_]) -> Weights:
    return {name: np.where(take[:, None, None], new[name], old[name]) for name in old}
