"""Training on shares as a protocol: one candidate with exact reasons, and its companion of banks alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from flwr.clientapp import ClientApp

from federated.governance.manifest import PRIVACY_SHARES
from federated.nodes.identity import Identity
from federated.protocols.core.candidates import HeldOut, candidate_of
from federated.protocols.core.cost import Cost, Meter
from federated.protocols.core.messages import Switchboard
from federated.protocols.core.protocol import COMPANION, FoldReport, FoldTask, Needs, Refit
from federated.protocols.core.references import references
from federated.protocols.core.session import Config, Session
from federated.protocols.core.session_app import Opened
from federated.protocols.core.settings import SessionSettings
from federated.protocols.protected.candidate import CountedRows, calibration_of, served_fit
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
        held_out: dict[str, HeldOut] = {}
        cost: dict[str, Cost] = {}
        for name, joint in ((PROTECTED, 1), (PROTECTED_COMPANION, 0)):
            meter = Meter(board)
            held_out[name] = CountedRows.of(self._fitted(board, task, joint), task.schema, task.cut_off)
            cost[name] = meter.cost()
        return FoldReport(held_out, PROTECTED_COMPANION, cost)

    def refit(
        self, board: Switchboard, task: FoldTask, folds: Sequence[FoldReport], offers: Mapping[str, str], /
    ) -> Refit:
        """The same two models with nobody held out, as nodes keep them, calibrated by rows held out of the folds'."""
        lines = {
            name: calibration_of(
                [rows.counted.expected() for fold in folds if isinstance(rows := fold.held_out[name], CountedRows)]
            )
            for name in (PROTECTED, PROTECTED_COMPANION)
        }
        fitted = self._fitted(board, task, joint=1)
        reference = references(fitted.session)
        joint = served_fit(fitted, lines[PROTECTED])
        alone = served_fit(self._fitted(board, task, joint=0), lines[PROTECTED_COMPANION])
        return Refit({PROTECTED: candidate_of(joint, alone, offers[PROTECTED])}, reference)

    def _fitted(self, board: Switchboard, task: FoldTask, joint: int) -> ProtectedTraining:
        progress = task.progress if joint else task.companions_progress
        settings = replace(self.session, ramps=self.settings.ramps)
        opening: Config = {"fold": task.fold, "at_us": task.at_us, "joint": joint}
        session = Session(board, settings, progress, opening)
        training = ProtectedTraining(session, self.settings)
        training.fit()
        return training
