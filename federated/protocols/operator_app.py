"""The network operator's `ServerApp`: introduces nodes, relays the alignment once, measures on the asked folds, and
fits with nobody held out what is to be registered.

The operator holds no customer data. It relays blinded points, which tell it nothing but set sizes. What else it sees is
the protocol's to say: of protected training sums alone; of the zoo residuals, curvatures and partial logits, from which
it can read training labels by position, though not whose they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from federated.errors import TrainingFailed
from federated.protocols.core.alignment import Alignment, AlignmentStep, Participants, align, participants
from federated.protocols.core.candidates import Measured, offered, pooled
from federated.protocols.core.messages import Switchboard
from federated.protocols.core.protocol import FoldReport, FoldTask, Refit, VerticalProtocol, measured_folds
from federated.protocols.core.rows import NOBODY
from federated.protocols.core.session import Progress


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What the operator is asked to do. `at_us` is the instant consents are checked at (µs since 1970, UTC).

    `cut_off` is the lowest score that is approved, for figures by segment. With `refit` models are fitted once more
    with nobody held out.
    """

    folds: tuple[int, ...]
    at_us: int
    cut_off: int
    protocols: tuple[VerticalProtocol, ...]
    refit: bool = False

    def __post_init__(self) -> None:
        if not self.protocols:
            raise TrainingFailed("a run trains by one protocol at least")
        if not self.folds:
            raise TrainingFailed("a run holds out one fold at least: of a model nobody measured nothing is known")


# What one fold gave, by the protocol's name.
FoldReports = dict[str, FoldReport]
# Figures by the protocol's name: of each fold, by model.
Figures = dict[str, list[dict[str, Measured]]]
Refits = dict[str, Refit]


@dataclass(frozen=True, slots=True)
class Observers:
    """Where the operator reports to while it runs."""

    aligned: Callable[[Participants, Alignment], None]
    fold: Callable[[int, FoldReports], None]
    measured: Callable[[Figures], None]
    refit: Callable[[Refits], None]
    progress: Callable[[int], Progress]
    aligning: Callable[[AlignmentStep], None]


Resumed = Callable[[Participants], Mapping[int, FoldReports]]


def operator_app(plan: RunPlan, observers: Observers, resumed: Resumed = lambda _: {}) -> ServerApp:
    """The operator's app for one run; `resumed` gives folds that one like it measured before it was broken off."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, _: Context) -> None:
        board = Switchboard(grid)
        people = participants(board)
        alignment = align(board, people, plan.at_us, observers.aligning)
        observers.aligned(people, alignment)
        found: dict[str, list[FoldReport]] = {protocol.name: [] for protocol in plan.protocols}
        before = resumed(people)
        for fold in plan.folds:
            if fold in before:
                for protocol in plan.protocols:
                    found[protocol.name].append(before[fold][protocol.name])
                observers.fold(fold, before[fold])
                continue
            task = FoldTask(fold, plan.at_us, plan.cut_off, people.schema, observers.progress(fold))
            for protocol in plan.protocols:
                found[protocol.name].append(protocol.train(board, task))
            observers.fold(fold, {name: reports[-1] for name, reports in found.items()})
        figures = {name: measured_folds(reports) for name, reports in found.items()}
        observers.measured(figures)
        if plan.refit:
            task = FoldTask(NOBODY, plan.at_us, plan.cut_off, people.schema, observers.progress(NOBODY))
            refits = {}
            for protocol in plan.protocols:
                reports = found[protocol.name]
                offers = _offers(figures[protocol.name], reports[0].companion)
                refits[protocol.name] = protocol.refit(board, task, reports, offers)
            observers.refit(refits)

    return app


def _offers(folds: Sequence[Mapping[str, Measured]], companion: str) -> dict[str, str]:
    """By model: what is offered of it, by all folds that were measured."""
    whole = {name: pooled([fold[name] for fold in folds]) for name in folds[0]}
    alone = whole.pop(companion)
    return {name: offered(figures, alone) for name, figures in whole.items()}
