"""The convex learners: the additive model with pairs and the scorecard, by Newton steps on what all nodes add up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from federated.models.encoding.ramps import FloatArray
from federated.models.learners.boosting import Histogram
from federated.models.learners.convex import Basis, NewtonSystems, strongest_pairs
from federated.models.learners.scorecard import EvidenceBasis, weights_of_evidence
from federated.models.served.functions import ConvexFunction, PartyFunction
from federated.protocols.core.messages import Content, prefixed
from federated.protocols.core.session import Config, Side, added
from federated.protocols.open.session import LearnerSession
from federated.protocols.open.settings import ConvexSettings

Pairs = tuple[tuple[int, int], ...]
GRAM_ROUNDS = 3


class Additive:
    """The convex additive model with chosen pairs inside a side, by Newton steps on summed gradients and Hessians."""

    def __init__(self, settings: ConvexSettings) -> None:
        self._s = settings
        self.pairs: dict[str, Pairs] = {}
        self.ranked: dict[str, Pairs] = {}

    def fit(self, session: LearnerSession) -> list[PartyFunction]:
        """Main effects first; then the pairs that the residuals ask for, all together to the optimum."""
        coarse = [side.binning.coarse(self._s.pair_bins) for side in session.sides]
        mains = [Basis(side.encoder, c, ()) for side, c in zip(session.sides, coarse, strict=True)]
        betas, _ = newton(session, mains, self._s.ridges, self._s.main_rounds, None, "additive main effects")
        self._choose(session)
        bases = [Basis(side.encoder, c, self.pairs[side.role]) for side, c in zip(session.sides, coarse, strict=True)]
        start = [np.pad(b, ((0, 0), (0, basis.width - b.shape[1]))) for b, basis in zip(betas, bases, strict=True)]
        betas, losses = newton(session, bases, self._s.ridges, self._s.rounds, start, "additive with pairs")
        return picked(bases, betas, losses, len(self._s.ridges))

    def _choose(self, session: LearnerSession) -> None:
        for side in session.sides:
            p = side.binning.n_features
            answers = session.ask(side, "query.pairs", {}, {"bins": self._s.pair_bins})
            cells = added(answers, "cells")
            self.ranked[side.role] = strongest_pairs(cells, p, session.settings.tree_pairs) if p > 1 else ()
            self.pairs[side.role] = self.ranked[side.role][: self._s.pairs]


class Scorecard:
    """Weights of evidence and a logistic regression on them, the classical form."""

    RIDGES = (1.0,)
    BINS = 8

    def fit(self, session: LearnerSession) -> list[PartyFunction]:
        """Evidence from summed counts at the overall rate, then Newton."""
        session.begin(np.array([-1]), (session.prior, 0.0))
        tables = []
        for side in session.sides:
            answers = session.ask(side, "query.evidence", {}, {"tell": 1})
            counted = added(answers, "histogram")
            tables.append(_merged(counted, side, self.BINS))
        bases = [
            EvidenceBasis(side.binning.coarse(self.BINS), weights_of_evidence(t, session.rate))
            for side, t in zip(session.sides, tables, strict=True)
        ]
        betas, losses = newton(session, bases, self.RIDGES, 8, None, "scorecard")
        return picked(bases, betas, losses, 1)


def _merged(counted: Histogram, side: Side, bins: int) -> Histogram:
    """A fine histogram (bins of all features, 2) added up into the coarse bins (features, bins, 2) of a scorecard."""
    coarse, starts = side.binning.coarse(bins), side.binning.starts
    out = np.zeros((side.binning.n_features, coarse.size, 2))
    for j, (fine, few) in enumerate(zip(side.binning.cuts, coarse.cuts, strict=True)):
        own = counted[starts[j] : starts[j + 1]]
        np.add.at(out[j], np.searchsorted(few, fine, side="left"), own[:-2])
        out[j, len(few)] += own[-2]
        out[j, -1] += own[-1]
    return out


def newton(
    session: LearnerSession,
    bases: Sequence[Basis | EvidenceBasis],
    ridges: tuple[float, ...],
    rounds: int,
    start: list[FloatArray] | None,
    name: str,
) -> tuple[list[FloatArray], FloatArray]:
    """Coefficients (members, width) a side after `rounds` rounds of one Newton step a side, and members' losses."""
    folds = session.members
    member_fold = np.repeat(np.arange(folds), len(ridges)) if folds > 1 else np.full(len(ridges), -1)
    session.begin(member_fold, (0.0, 0.0))
    betas = start or [np.zeros((len(member_fold), basis.width)) for basis in bases]
    penalties = [np.array([basis.penalty(ridge) for ridge in ridges]) for basis in bases]
    if start is None:
        betas[0][:, 0] = session.prior
    elif len(session.sides) > 1:
        for side, basis, beta in zip(session.sides, bases, betas, strict=True):
            _sums(session, side, basis, beta, {"basis": f"{name} {basis.width}", "gram": 0, "folds": folds}, tell=True)
    systems: dict[str, NewtonSystems] = {}
    losses = np.zeros(len(member_fold))
    for number in range(rounds + 1):
        for k, side in enumerate(session.sides):
            last = number == rounds
            config: Config = {"basis": f"{name} {bases[k].width}", "folds": folds, "gradient": int(not last)}
            # Near the optimum the curvature hardly moves, so the largest sums are not sent again.
            config["gram"] = int(number < GRAM_ROUNDS and not last)
            answers = _sums(session, side, bases[k], betas[k], config, tell=last and len(session.sides) > 1)
            losses = losses if k else session.losses(answers)
            if last:
                continue
            if config["gram"]:
                systems[side.role] = NewtonSystems(added(answers, "gram"), penalties[k], session.repeats)
            betas[k] = systems[side.role].step(added(answers, "gradient"), betas[k])
            if len(session.sides) > 1:
                _sums(session, side, bases[k], betas[k], config | {"gram": 0, "gradient": 0}, tell=True)
        session.progress(name, number, float(losses.sum()))
    return betas, losses


def _sums(
    session: LearnerSession, side: Side, basis: Basis | EvidenceBasis, beta: FloatArray, config: Config, tell: bool
) -> dict[str, Content]:
    arrays = prefixed("function", ConvexFunction(basis, beta).to_arrays())
    return session.ask(side, "train.sums", arrays, config | {"tell": int(tell)}, basis)


def picked(
    bases: Sequence[Basis | EvidenceBasis], betas: list[FloatArray], losses: FloatArray, ridges: int
) -> list[PartyFunction]:
    """The members of the ridge with the lowest loss out of fold."""
    best = int(losses.reshape(-1, ridges).sum(axis=0).argmin())
    return [ConvexFunction(basis, beta[best::ridges]) for basis, beta in zip(bases, betas, strict=True)]
