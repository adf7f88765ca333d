"""Training on shares as a protocol: one candidate with exact reasons, and its companion of banks alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from flwr.clientapp import ClientApp

from federated.governance.manifest import PRIVACY_SHARES
from federated.nodes.identity import Identity
from federated.protocols.core.candidates import FittedModel, candidate_of
from federated.protocols.core.cost import Cost, Meter
from federated.protocols.core.messages import Switchboard
from federated.protocols.core.protocol import COMPANION, FoldReport, FoldTask, Needs
from federated.protocols.core.references import references
from federated.protocols.core.session import Config, Session
from federated.protocols.core.session_app import Opened
from federated.protocols.core.settings import SessionSettings
from federated.protocols.protected.candidate import protected_blend
from federated.protocols.protected.node import ProtectedApp
from federated.protocols.protected.operator import ProtectedTraining
from federated.protocols.protected.settings import ProtectedSettings

PROTECTED, PROTECTED_COMPANION = "protected", f"protected_{COMPANION}"


@dataclass(frozen=True, slots=True)
class ProtectedProtocol:
    """`session` says how folds and bins are agreed on; of ramps a feature there are as many as `settings` ask for."""

    name: ClassVar[str] = "protected"
    needs: ClassVar[Needs] = Needs(alignment=True)
    privacy: ClassVar[str] = PRIVACY_SHARES
    averages: ClassVar[bool] = False

    settings: ProtectedSettings = field(default_factory=ProtectedSettings)
    session: SessionSettings = field(default_factory=SessionSettings)

    def seeded(self, seed: int) -> Self:
        """The same settings from this seed."""
        return replace(self, settings=replace(self.settings, seed=seed), session=replace(self.session, seed=seed))

    def averaged_by(self, _: str) -> Self:
        """Itself: no network is trained."""
        return self

    def config(self) -> dict[str, object]:
        """Settings of protected training."""
        return self.settings.as_config()

    def add_to(self, app: ClientApp, opened: Opened, identity: Identity, /) -> None:
        """Signed keys and sealed messages between nodes, and secure sums."""
        ProtectedApp(identity, opened).add_to(app)

    def train(self, board: Switchboard, task: FoldTask, /) -> FoldReport:
        """One model over both sides, then one of banks alone."""
        joint, session, joint_cost = self._fitted(board, task, joint=1)
        reference = references(session)
        alone, _, alone_cost = self._fitted(board, task, joint=0)
        return FoldReport(
            candidates={PROTECTED: candidate_of(joint, alone)},
            companion=PROTECTED_COMPANION,
            companion_metrics=alone.measured.metrics,
            references=reference,
            cost={PROTECTED: joint_cost, PROTECTED_COMPANION: alone_cost},
        )

    def _fitted(self, board: Switchboard, task: FoldTask, joint: int) -> tuple[FittedModel, Session, Cost]:
        meter = Meter(board)
        progress = task.progress if joint else task.companions_progress
        settings = replace(self.session, ramps=self.settings.ramps)
        opening: Config = {"fold": task.fold, "at_us": task.at_us, "joint": joint}
        session = Session(board, settings, progress, opening)
        training = ProtectedTraining(session, self.settings)
        training.fit()
        return protected_blend(training, task.schema, task.cut_off), session, meter.cost()
