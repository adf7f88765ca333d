"""The network operator's `ServerApp`: introduces nodes, relays the alignment once, and trains the asked folds.

The operator holds no customer data. In this version it relays blinded points (which tell it nothing but set sizes) and
unprotected residuals, curvatures and partial logits, from which it can read training labels by position, though not
whose they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from federated.errors import NoOverlap, SchemaMismatch, TrainingFailed
from federated.nodes.schema import FeatureSchema, load_schema
from federated.training.messages import Content, Switchboard
from federated.training.settings import TrainingSettings
from federated.training.vertical import FoldModel, Progress, VerticalTraining


@dataclass(frozen=True, slots=True)
class Participants:
    """Who takes part: organisations by role, their data hashes, the common schema and data origin."""

    banks: tuple[str, ...]
    grids: tuple[str, ...]
    schema: FeatureSchema
    data_origin: str
    data_sha256: dict[str, str]


@dataclass(frozen=True, slots=True)
class Alignment:
    """Sizes of all pairwise intersections, keyed `bank|grid company`, and the seconds they took together."""

    seconds: float
    rows: dict[str, int]


@dataclass(frozen=True, slots=True)
class FoldReport:
    """One trained fold with what it cost. `seconds` include the bank-only companion, whose share is stated beside."""

    model: FoldModel
    seconds: float
    seconds_bank_only: float
    exchanges: int
    bytes: int


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What the operator is asked to do. `at_us` is the instant consents are checked at (µs since 1970, UTC)."""

    folds: tuple[int, ...]
    at_us: int
    settings: TrainingSettings


@dataclass(frozen=True, slots=True)
class Observers:
    """Where the operator reports to while it runs."""

    aligned: Callable[[Participants, Alignment], None]
    fold: Callable[[FoldReport], None]
    progress: Callable[[int], Progress]
    aligning: Callable[[str, str], None]


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
            before, started = (board.traffic.exchanges, board.traffic.bytes), time.perf_counter()
            training = VerticalTraining(
                board,
                banks=people.banks,
                grids=people.grids,
                schema=people.schema,
                settings=plan.settings,
                progress=observers.progress(fold),
            )
            model = training.run(fold, plan.at_us)
            seconds = time.perf_counter() - started
            traffic = board.traffic
            observers.fold(
                FoldReport(
                    model, seconds, training.seconds_bank_only, traffic.exchanges - before[0], traffic.bytes - before[1]
                )
            )

    return app


def participants(board: Switchboard) -> Participants:
    """Ask everybody who they are. Raises `SchemaMismatch` if nodes disagree, `TrainingFailed` if a role is empty."""
    cards = board.introduce()
    schemas = {(c.text("schema_id"), c.text("schema_version"), c.text("data_origin")) for c in cards.values()}
    if len(schemas) != 1:
        raise SchemaMismatch(f"nodes hold different kinds of data: {sorted(schemas)}")
    schema_id, version, origin = schemas.pop()
    schema = load_schema(schema_id)
    if schema.version != version:
        raise SchemaMismatch(f"nodes use version {version} of {schema_id}, the operator {schema.version}")
    banks = tuple(sorted(org for org, c in cards.items() if c.text("role") == "bank"))
    grids = tuple(sorted(org for org, c in cards.items() if c.text("role") == "grid"))
    if not banks or not grids:
        raise TrainingFailed("a network needs at least one bank and one grid company")
    return Participants(banks, grids, schema, origin, {org: c.text("data_sha256") for org, c in cards.items()})


def align(board: Switchboard, people: Participants, at_us: int, report: Callable[[str, str], None]) -> Alignment:
    """Intersect every bank with every grid company. Raises `NoOverlap` if nobody shares a customer."""
    started = time.perf_counter()
    rows = {}
    for bank in people.banks:
        for grid in people.grids:
            report(bank, grid)
            rows[f"{bank}|{grid}"] = _align_pair(board, bank, grid, at_us)
    _require_overlap(rows)
    return Alignment(time.perf_counter() - started, rows)


def _require_overlap(rows: dict[str, int]) -> None:
    if not any(rows.values()):
        raise NoOverlap("no bank shares a consented customer with any grid company")


def _align_pair(board: Switchboard, bank: str, grid: str, at_us: int) -> int:
    def both(action: str, to_bank: Content, to_grid: Content) -> tuple[bytes, bytes]:
        answers = board.ask(action, {bank: to_bank, grid: to_grid})
        return answers[bank].points("points"), answers[grid].points("points")

    start: dict[str, int | str] = {"at_us": at_us, "bank_id": bank}
    of_bank, of_grid = both(
        "query.align_blind", Content(config=start | {"peer": grid}), Content(config=start | {"peer": bank})
    )
    grid_doubled, bank_doubled = both(
        "query.align_double",
        Content(config={"peer": grid, "points": of_grid}),
        Content(config={"peer": bank, "points": of_bank}),
    )
    matched = board.ask("query.align_match", {bank: Content(config={"peer": grid, "points": bank_doubled})})
    common = matched[bank].points("common")
    accept = Content(config={"peer": bank, "points": grid_doubled, "common": common})
    return board.ask("query.align_accept", {grid: accept})[grid].integer("rows")
