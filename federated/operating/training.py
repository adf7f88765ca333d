"""A run of training over nodes in processes of their own, from the first message to their registers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from flwr.app import Context, RecordDict
from flwr.supercore.run import Run

from federated.consent.instants import from_micros, to_micros
from federated.engines.answering import OPERATOR_NODE_ID
from federated.engines.channel import ChannelGrid
from federated.errors import FederatedError
from federated.governance.model_registry import MODEL_NAME, ModelRegistry
from federated.operating.checkpoint import Checkpoint
from federated.operating.nodes import NodeSeat, operator_of, seats_of
from federated.protocols.operator_app import FoldReports, Observers, RunPlan, operator_app
from federated.protocols.operator_run import Reporter, RunRecord
from federated.protocols.protected.protocol import ProtectedProtocol


@dataclass(frozen=True, slots=True)
class Trained:
    """A run that was registered, bytes that crossed the channel, and nodes that did not take its versions, with why."""

    record: RunRecord
    bytes: int
    not_told: dict[str, str]


def train(
    home: Path,
    urls: Mapping[str, str],
    *,
    folds: int,
    seed: int,
    cut_off: int,
    at: datetime,
    reporter: Reporter,
    begun: tuple[Run, bytes] | None = None,
    anew: bool = False,
) -> Trained:
    """Measure `folds` folds, fit on everybody, register under `home` and hand over to the nodes at `urls`.

    `begun` is a run that nodes attend already (`flower_app`). Folds that a run of the same plan measured within a day,
    before it was broken off, are not measured again, unless `anew`: consents are then checked at that run's instant.

    Raises what a node refuses with, `TrainingFailed`, `AggregationFailed`, `ChannelRefused`, `NodeUnavailable`; nothing
    is registered then.
    """
    keys, operator = operator_of(home, at)
    plan = RunPlan(tuple(range(folds)), to_micros(at), cut_off, (ProtectedProtocol().seeded(seed),), refit=True)
    checkpoint = Checkpoint(home, plan)
    if anew:
        checkpoint.drop()
    before = checkpoint.began_us(plan.at_us)
    if before is not None:
        at, plan = from_micros(before), replace(plan, at_us=before)
        reporter.say(f"going on with a run that began at {at:%Y-%m-%d %H:%M} UTC")
    record = RunRecord(plan, seed, at)
    with ExitStack() as closing:
        seats = seats_of(keys, urls)
        for seat in seats.values():
            closing.callback(seat.close)
        numbered = dict(enumerate(seats.values(), start=OPERATOR_NODE_ID + 1))
        grid = ChannelGrid(numbered, begun=begun, waiting=reporter.say)
        closing.callback(grid.close)
        context = Context(grid.run.run_id, OPERATOR_NODE_ID, {}, RecordDict(), {})
        observers = _keeping(record, reporter, checkpoint)
        operator_app(plan, observers, lambda people: checkpoint.measured(people, plan.at_us))(grid, context)
        record.register(home, operator)
        checkpoint.drop()
        not_told: dict[str, str] = {}
        for manifest in record.manifests:
            not_told |= hand_over(home, manifest.version, seats)
        return Trained(record, sum(seat.bytes for seat in seats.values()), not_told)


def _keeping(record: RunRecord, reporter: Reporter, checkpoint: Checkpoint) -> Observers:
    observers = record.observers(reporter)

    def fold(number: int, reports: FoldReports) -> None:
        if record.participants is not None:
            checkpoint.keep(number, reports, record.participants, record.plan.at_us)
        observers.fold(number, reports)

    return replace(observers, fold=fold)


def hand_over(home: Path, version: str, seats: Mapping[str, NodeSeat]) -> dict[str, str]:
    """Give nodes a version of the register under `home`; those that did not take it, with why.

    Raises `ModelNotFound`, `ModelCorrupt`.
    """
    files = ModelRegistry(home).files(MODEL_NAME, version)
    not_told = {}
    for name, seat in seats.items():
        try:
            seat.hand_over(*files)
        except FederatedError as error:
            not_told[name] = f"{error.code}: {error.detail}"
    return not_told
