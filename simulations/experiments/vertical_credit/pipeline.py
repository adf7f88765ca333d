"""One run from tables to registry: node stores, alignment, folds through Flower, baselines on the same rows."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import torch
from flwr.app import Context, RecordDict
from sklearn.model_selection import StratifiedKFold

from federated.consent.record import Purpose
from federated.consent.store import to_micros
from federated.engines.in_process import OPERATOR_NODE_ID, InProcessGrid, Seat
from federated.errors import TrainingFailed
from federated.models.metrics import Metrics
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.nodes.store import NodeStore
from federated.registry.manifest import Manifest
from federated.registry.store import MODEL_NAME, ModelRegistry, ScoringModel
from federated.serving.building import CreditTables, build_nodes, standing_consents
from federated.training.bank_app import bank_app
from federated.training.grid_app import grid_app
from federated.training.operator_app import (
    Alignment,
    FoldReport,
    Observers,
    Participants,
    RunPlan,
    operator_app,
)
from federated.training.settings import TrainingSettings
from simulations.experiments.vertical_credit.baselines import boosted, fold_rows

SPLITS = 5
CONSENT_YEARS = 3


@dataclass(frozen=True, slots=True)
class ModelFold:
    """Held-out metrics of one model on one fold, with seconds; messages and payload bytes for federated ones."""

    metrics: Metrics
    seconds: float
    exchanges: int = 0
    bytes: int = 0


@dataclass(slots=True)
class RunResult:
    """What a run measured, fold by fold, and the manifest it registered if it was given a home."""

    tables: CreditTables
    settings: TrainingSettings
    folds: tuple[int, ...]
    participants: Participants | None = None
    alignment: Alignment | None = None
    models: dict[str, list[ModelFold]] = field(default_factory=dict)
    first: FoldReport | None = None
    manifest: Manifest | None = None


@dataclass(frozen=True, slots=True)
class Reporter:
    """Where progress goes: one line of text, and the loss of each round."""

    say: Callable[[str], None]
    round: Callable[[int, str, int, float], None]


def with_folds(tables: CreditTables, seed: int) -> CreditTables:
    """Assign the protocol's five folds: stratified, shuffled, over the rows in order of id."""
    folds = np.zeros(len(tables.subjects), dtype=np.int64)
    splitter = StratifiedKFold(SPLITS, shuffle=True, random_state=seed)
    for number, (_, rows) in enumerate(splitter.split(np.zeros(len(folds)), tables.labels)):
        folds[rows] = number
    return replace(tables, folds=folds)


def run(
    tables: CreditTables,
    *,
    folds: int,
    settings: TrainingSettings,
    at: datetime,
    home: Path | None,
    reporter: Reporter,
    threads: int | None = None,
) -> RunResult:
    """Train and measure the first `folds` of five folds; with `home`, keep stores and register fold 0's weights.

    `at` is the instant of the run: consents are checked at it and the manifest carries it. `threads` are torch's, all
    cores if None; one is steadier for small networks on a busy machine. Raises `FederatedError`; nothing is
    registered then.
    """
    torch.set_num_threads(threads or os.cpu_count() or 1)
    result = RunResult(with_folds(tables, settings.seed), settings, tuple(range(folds)))
    if home is not None:
        _train(result, home, at, reporter)
        _register(result, home, at)
    else:
        with tempfile.TemporaryDirectory(prefix="tanxin-train-") as scratch:
            _train(result, Path(scratch), at, reporter)
    return result


def _train(result: RunResult, home: Path, at: datetime, reporter: Reporter) -> None:
    tables = result.tables
    reporter.say(f"writing node stores for {len(tables.subjects):,} subjects ({tables.schema.data_origin})")
    build_nodes(home, tables, standing_consents(tables, at, at + timedelta(days=365 * CONSENT_YEARS)))
    stores = [NodeStore(path) for path in sorted((home / "nodes").glob("*.db"))]
    try:
        apps = [bank_app(BankNode(s)) if s.role == "bank" else grid_app(GridNode(s)) for s in stores]
        grid = InProcessGrid({i: Seat(app, {}) for i, app in enumerate(apps, start=OPERATOR_NODE_ID + 1)})
        plan = RunPlan(result.folds, to_micros(at), result.settings)
        context = Context(grid.run.run_id, OPERATOR_NODE_ID, {}, RecordDict(), {})
        operator_app(plan, _observers(result, reporter))(grid, context)
    finally:
        for store in stores:
            store.close()


def _observers(result: RunResult, reporter: Reporter) -> Observers:
    def aligned(people: Participants, alignment: Alignment) -> None:
        result.participants, result.alignment = people, alignment
        reporter.say(f"aligned {sum(alignment.rows.values()):,} customers in {alignment.seconds:.1f} s")

    def fold(report: FoldReport) -> None:
        if result.first is None:
            result.first = report
        model = report.model
        _add(result, "federated", ModelFold(model.joint_metrics, report.seconds, report.exchanges, report.bytes))
        _add(result, "label_holder_only_network", ModelFold(model.bank_only_metrics, report.seconds_bank_only))
        _baselines(result, model.fold)
        shown = ", ".join(f"{name} {parts[-1].metrics.auc:.4f}" for name, parts in result.models.items())
        reporter.say(f"fold {model.fold}: held-out AUC {shown}")

    return Observers(
        aligned=aligned,
        fold=fold,
        progress=lambda number: lambda phase, step, loss: reporter.round(number, phase, step, loss),
        aligning=lambda bank, grid: reporter.say(f"aligning {bank} with {grid}"),
    )


def _add(result: RunResult, name: str, part: ModelFold) -> None:
    result.models.setdefault(name, []).append(part)


def _baselines(result: RunResult, fold: int) -> None:
    tables, settings = result.tables, result.settings
    rows = fold_rows(tables, fold, settings.validation_share, settings.seed)
    pooled = np.hstack([tables.bank_values, tables.grid_values])
    for name, values in (("label_holder_only", tables.bank_values), ("xgboost", pooled)):
        metrics, seconds = boosted(values, tables.labels, rows, settings.seed)
        _add(result, name, ModelFold(metrics, seconds))


def _register(result: RunResult, home: Path, at: datetime) -> None:
    report, people, alignment = result.first, result.participants, result.alignment
    if report is None or people is None or alignment is None:
        raise TrainingFailed("the run ended without a trained fold, nothing is registered")
    registry = ModelRegistry(home)
    manifest = Manifest(
        model=MODEL_NAME,
        version=registry.next_version(),
        created_at=at,
        data_origin=people.data_origin,
        schema_id=people.schema.schema_id,
        schema_version=people.schema.version,
        purpose=Purpose.MODEL_TRAINING,
        participants=(*people.banks, *people.grids),
        data_sha256=people.data_sha256,
        config=result.settings.as_config(),
        seed=result.settings.seed,
        held_out_fold=report.model.fold,
        aligned_rows=alignment.rows,
        metrics={name: figures(parts[:1]) for name, parts in result.models.items()},
        cross_fold={name: figures(parts) for name, parts in result.models.items()} if len(result.folds) > 1 else {},
    )
    model = report.model
    result.manifest = registry.publish(manifest, ScoringModel(model.joint_bank, model.joint_grid, model.bank_only))
    registry.appoint_champion(MODEL_NAME, manifest.version)


def figures(parts: list[ModelFold]) -> dict[str, float]:
    """Means over folds of the metrics, their standard deviations (n − 1) if there are several folds, and mean cost."""
    out: dict[str, float] = {}
    for name in ("auc", "ks", "brier", "ece"):
        values = [float(getattr(part.metrics, name)) for part in parts]
        out[name] = float(np.mean(values))
        if len(values) > 1:
            out[f"{name}_sd"] = float(np.std(values, ddof=1))
    out["rows"] = sum(part.metrics.rows for part in parts)
    out["seconds"] = float(np.mean([part.seconds for part in parts]))
    if any(part.exchanges for part in parts):
        out["exchanges"] = float(np.mean([part.exchanges for part in parts]))
        out["bytes"] = float(np.mean([part.bytes for part in parts]))
    return out
