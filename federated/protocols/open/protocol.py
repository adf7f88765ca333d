"""The model zoo as a protocol: residuals and curvatures go one way, partial logits the other, sums to the operator."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from flwr.clientapp import ClientApp

from federated.errors import TrainingFailed
from federated.governance.manifest import PRIVACY_NONE
from federated.nodes.identity import Identity
from federated.protocols.core.candidates import FittedModel, candidate_of
from federated.protocols.core.cost import Meter
from federated.protocols.core.messages import Switchboard
from federated.protocols.core.protocol import COMPANION, FoldReport, FoldTask, Needs
from federated.protocols.core.references import references
from federated.protocols.core.session import Config, Progress
from federated.protocols.core.session_app import Opened
from federated.protocols.open.apps import add_learners
from federated.protocols.open.blending import Blender
from federated.protocols.open.run import ADDITIVE, ALL, ZooResult, fit_zoo
from federated.protocols.open.session import LearnerSession
from federated.protocols.open.settings import ZooSettings
from federated.protocols.strategies.named import strategy_named

EXPLAINABLE, DEFAULT = "federated_additive", "federated"


@dataclass(frozen=True, slots=True)
class OpenProtocol:
    """`learners` hold the additive ones; with deep trees or networks among them there is a second candidate."""

    name: ClassVar[str] = "open"
    needs: ClassVar[Needs] = Needs(alignment=True)
    privacy: ClassVar[str] = PRIVACY_NONE
    averages: ClassVar[bool] = True

    settings: ZooSettings = field(default_factory=ZooSettings)
    learners: tuple[str, ...] = ALL

    def __post_init__(self) -> None:
        if not set(ADDITIVE) <= set(self.learners):
            raise TrainingFailed(f"the zoo trains {', '.join(ADDITIVE)}, whatever else it trains")

    def seeded(self, seed: int) -> Self:
        """The same learners from this seed."""
        return replace(self, settings=replace(self.settings, seed=seed))

    def averaged_by(self, strategy: str) -> Self:
        """The same learners, networks averaged by this strategy."""
        network = replace(self.settings.network, strategy=strategy_named(strategy).text)
        return replace(self, settings=replace(self.settings, network=network))

    def config(self) -> dict[str, object]:
        """Settings of the session and of all learners."""
        return self.settings.as_config()

    def add_to(self, app: ClientApp, opened: Opened, _: Identity, /) -> None:
        """Nothing here is hidden from anybody, so a node's keys are not needed."""
        add_learners(app, opened)

    def train(self, board: Switchboard, task: FoldTask, /) -> FoldReport:
        """The explainable blend and, of all learners, the default one, with a companion of additive learners."""
        opening: Config = {"fold": task.fold, "at_us": task.at_us}
        session, result = self._fitted(board, task.progress, opening | {"joint": 1}, self.learners)
        wanted = [EXPLAINABLE] + ([DEFAULT] if set(self.learners) - set(ADDITIVE) else [])
        blends = {name: self._blend(session, result, task, name) for name in wanted}
        reference = references(session)
        lone, lone_result = self._fitted(board, task.companions_progress, opening | {"joint": 0}, ADDITIVE)
        alone = self._blend(lone, lone_result, task, EXPLAINABLE)
        return FoldReport(
            candidates={name: candidate_of(blend, alone) for name, blend in blends.items()},
            companion=COMPANION,
            companion_metrics=alone.measured.metrics,
            references=reference,
            cost={name: result.cost[name] for name in wanted} | {COMPANION: lone_result.cost[EXPLAINABLE]},
        )

    def _fitted(
        self, board: Switchboard, progress: Progress, opening: Config, learners: tuple[str, ...]
    ) -> tuple[LearnerSession, ZooResult]:
        meter = Meter(board)
        session = LearnerSession(board, self.settings, progress, opening)
        return session, fit_zoo(session, learners, meter.cost())

    def _blend(self, session: LearnerSession, result: ZooResult, task: FoldTask, name: str) -> FittedModel:
        return Blender(session, result, task.schema, task.cut_off).blend(name)
