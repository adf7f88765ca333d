"""The model zoo as a protocol: residuals and curvatures go one way, partial logits the other, sums to the operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from flwr.clientapp import ClientApp

from federated.errors import TrainingFailed
from federated.governance.manifest import PRIVACY_NONE
from federated.nodes.identity import Identity
from federated.protocols.core.candidates import HeldOut, KnownFigures, candidate_of
from federated.protocols.core.cost import Meter
from federated.protocols.core.messages import Switchboard
from federated.protocols.core.protocol import COMPANION, FoldReport, FoldTask, Needs, Refit
from federated.protocols.core.references import references
from federated.protocols.core.session import Config
from federated.protocols.core.session_app import Opened
from federated.protocols.open.apps import add_learners
from federated.protocols.open.blending import Blender
from federated.protocols.open.run import ADDITIVE, ALL, fit_zoo
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
        blender = self._fitted(board, task, joint=1)
        held_out: dict[str, HeldOut] = {
            name: KnownFigures(blender.measured(name, task.schema, task.cut_off)) for name in self._wanted
        }
        alone = self._fitted(board, task, joint=0)
        held_out[COMPANION] = KnownFigures(alone.measured(EXPLAINABLE, task.schema, task.cut_off))
        cost = {name: blender.result.cost[name] for name in self._wanted}
        return FoldReport(held_out, COMPANION, cost | {COMPANION: alone.result.cost[EXPLAINABLE]})

    def refit(self, board: Switchboard, task: FoldTask, _: Sequence[FoldReport], offers: Mapping[str, str], /) -> Refit:
        """The same blends and the same companion with nobody held out."""
        blender = self._fitted(board, task, joint=1)
        blends = {name: blender.model(name) for name in self._wanted}
        reference = references(blender.session)
        alone = self._fitted(board, task, joint=0).model(EXPLAINABLE)
        return Refit({name: candidate_of(blend, alone, offers[name]) for name, blend in blends.items()}, reference)

    @property
    def _wanted(self) -> list[str]:
        return [EXPLAINABLE] + ([DEFAULT] if set(self.learners) - set(ADDITIVE) else [])

    def _fitted(self, board: Switchboard, task: FoldTask, joint: int) -> Blender:
        meter = Meter(board)
        opening: Config = {"fold": task.fold, "at_us": task.at_us, "joint": joint}
        progress = task.progress if joint else task.companions_progress
        session = LearnerSession(board, self.settings, progress, opening)
        return Blender(session, fit_zoo(session, self.learners if joint else ADDITIVE, meter.cost()))
