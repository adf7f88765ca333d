"""The operator's side of a session in which the zoo learns: how one side's block is asked for.

It adds up sums, keeps functions, and passes on residuals and partial logits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from flwr.serverapp import Grid

from federated.errors import TrainingFailed
from federated.models.encoding.binning import IntArray
from federated.models.encoding.ramps import FloatArray
from federated.models.learners.convex import Basis
from federated.models.learners.scorecard import EvidenceBasis
from federated.models.served.functions import PartyFunction
from federated.protocols.core.messages import Arrays, Content, Switchboard, prefixed
from federated.protocols.core.session import Config, Progress, Session, Side, added, turned
from federated.protocols.open.settings import ZooSettings


class LearnerSession(Session):
    """A session whose sides tell each other residuals and partial logits, which wait here until they are next asked."""

    settings: ZooSettings

    def __init__(
        self, grid: Grid | Switchboard, settings: ZooSettings, progress: Progress, opening: Config | None = None
    ) -> None:
        super().__init__(grid, settings, progress, opening)
        self._news: dict[str, dict[str, Arrays]] = {}

    def begin(self, member_fold: IntArray, bases: Sequence[float]) -> None:
        """Start a learner on all nodes, with a constant logit a side."""
        for side, base in zip(self.sides, bases, strict=False):
            self._news[side.role] = {}
            content = Content({"member_fold": member_fold}, {"base": base})
            self.board.ask("query.begin", dict.fromkeys(side.orgs, content))

    def ask(
        self, side: Side, action: str, arrays: Arrays, config: Config, basis: Basis | EvidenceBasis | None = None
    ) -> dict[str, Content]:
        """One message to every node of a side, with what each has to hear; answers' news go to the other side.

        Raises what a node refuses with; of a sum that is not finite, the error names node and column (`basis` says
        which column a gradient's entry belongs to).
        """
        news = self._news.pop(side.role, {})
        requests = {org: Content(arrays | news.get(org, {}), config) for org in side.orgs}
        try:
            answers = self.board.ask(action, requests)
        except TrainingFailed as error:
            raise with_column(error, side, basis) from error
        if config.get("tell") and len(self.sides) > 1:
            other = self.sides[1] if side is self.banks else self.banks
            names = ("residuals", "curvature") if side is self.banks else ("logits",)
            for name in names:
                told = turned(name, {org: c.under(name) for org, c in answers.items()}, other.orgs)
                waiting = self._news.get(other.role, {})
                self._news[other.role] = {org: waiting.get(org, {}) | told[org] for org in other.orgs}
        return answers

    def losses(self, answers: Mapping[str, Content]) -> FloatArray:
        """Members' losses over their inner folds, added up over banks."""
        return added(answers, "losses")

    def keep(self, name: str, functions: Sequence[PartyFunction]) -> None:
        """Have every node evaluate a finished learner under `name`; banks keep the sums."""
        logits: dict[str, Arrays] = {}
        if len(self.sides) > 1:
            content = Content(prefixed("function", functions[1].to_arrays()), {"name": name})
            answers = self.board.ask("query.keep", dict.fromkeys(self.sides[1].orgs, content))
            logits = turned("logits", {org: c.under("logits") for org, c in answers.items()}, self.banks.orgs)
        arrays = prefixed("function", functions[0].to_arrays())
        requests = {org: Content(arrays | logits.get(org, {}), {"name": name}) for org in self.banks.orgs}
        self.board.ask("query.keep", requests)


def with_column(error: TrainingFailed, side: Side, basis: Basis | EvidenceBasis | None) -> TrainingFailed:
    """The same failure, naming the column behind the first sum that is not finite, where there is one."""
    array, place = error.context.get("array"), error.context.get("place")
    names = side.categories.names
    column = None
    if isinstance(place, tuple) and array == "histogram":
        column = names[int(np.searchsorted(side.binning.starts, place[-2], side="right")) - 1]
    elif isinstance(place, tuple) and array == "gradient" and basis is not None:
        column = column_behind(basis, place[-1], names)
    if column is None:
        return error
    return TrainingFailed(f"{error.detail}, column {column}", **error.context | {"column": column})


def column_behind(basis: Basis | EvidenceBasis, entry: int, names: Sequence[str]) -> str:
    """The column that an entry of a gradient belongs to, `a × b` for a cell of a pair."""
    owners = ["(constant)"]
    if isinstance(basis, EvidenceBasis):
        owners += list(names)
    else:
        owners += [name for name, edges in zip(names, basis.encoder.edges, strict=True) for _ in edges]
        owners += [f"{names[a]} × {names[b]}" for a, b in basis.pairs for _ in range(basis.coarse.size**2)]
    return owners[entry]
