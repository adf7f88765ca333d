"""The network operator's `ServerApp`: introduces nodes, relays the alignment once, and trains the asked folds.

The operator holds no customer data. It relays blinded points, which tell it nothing but set sizes. What else it sees is
the protocol's to say: of protected training sums alone; of the zoo residuals, curvatures and partial logits, from which
it can read training labels by position, though not whose they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from federated.errors import TrainingFailed
from federated.protocols.core.alignment import Alignment, AlignmentStep, Participants, align, participants
from federated.protocols.core.messages import Switchboard
from federated.protocols.core.protocol import FoldReport, FoldTask, VerticalProtocol
from federated.protocols.core.session import Progress


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What the operator is asked to do. `at_us` is the instant consents are checked at (µs since 1970, UTC).

    `cut_off` is the lowest score that is approved, for figures by segment.
    """

    folds: tuple[int, ...]
    at_us: int
    cut_off: int
    protocols: tuple[VerticalProtocol, ...]

    def __post_init__(self) -> None:
        if not self.protocols:
            raise TrainingFailed("a run trains by one protocol at least")


# What one fold gave, by the protocol's name.
FoldReports = dict[str, FoldReport]


@dataclass(frozen=True, slots=True)
class Observers:
    """Where the operator reports to while it runs."""

    aligned: Callable[[Participants, Alignment], None]
    fold: Callable[[int, FoldReports], None]
    progress: Callable[[int], Progress]
    aligning: Callable[[AlignmentStep], None]


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
            task = FoldTask(fold, plan.at_us, plan.cut_off, people.schema, observers.progress(fold))
            observers.fold(fold, {protocol.name: protocol.train(board, task) for protocol in plan.protocols})

    return app
