"""One run from tables to registry: node stores, alignment, folds through Flower, baselines on the same rows."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flwr.app import Context, RecordDict
from sklearn.model_selection import StratifiedKFold

from federated.consent.instants import to_micros
from federated.consent.record import Purpose
from federated.engines.in_process import OPERATOR_NODE_ID, InProcessGrid, Seat
from federated.errors import TrainingFailed
from federated.governance.manifest import (
    PRIVACY_NONE,
    PRIVACY_SHARES,
    Explanation,
    Manifest,
)
from federated.governance.store import MODEL_NAME, ModelRegistry
from federated.governance.versions import Governance
from federated.models.served.metrics import Metrics
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.nodes.identity import stored_identities
from federated.nodes.store import NodeStore
from federated.protocols.core.alignment import Alignment, AlignmentStep, Participants
from federated.protocols.core.candidates import Candidate
from federated.protocols.open.run import ALL
from federated.protocols.open.settings import ZooSettings
from federated.protocols.operator_app import (
    COMPANION,
    PROTECTED,
    PROTECTED_COMPANION,
    FoldReport,
    Observers,
    RunPlan,
    node_app,
    operator_app,
)
from federated.protocols.protected.settings import ProtectedSettings
from federated.serving.building import CreditTables, build_nodes, standing_consents
from federated.serving.wallet import Wallet
from financing.base.parameters import load_parameters
from simulations.experiments.vertical_credit.baselines import boosted, fold_rows

SPLITS = 5
CONSENT_YEARS = 3
OPERATOR = "operator"
# The order in which candidates are registered: those with exact reasons first.
CANDIDATES = (PROTECTED, "federated_additive", "federated")


@dataclass(frozen=True, slots=True)
class ModelFold:
    """Held-out metrics of one model on one fold, with seconds; messages and payload bytes for federated ones."""

    metrics: Metrics
    seconds: float
    exchanges: int = 0
    bytes: int = 0


@dataclass(slots=True)
class RunResult:
    """What a run measured, fold by fold, and the manifests it registered if it was given a home."""

    tables: CreditTables
    plan: RunPlan
    at: datetime
    participants: Participants | None = None
    alignment: Alignment | None = None
    models: dict[str, list[ModelFold]] = field(default_factory=dict)
    first: FoldReport | None = None
    manifests: list[Manifest] = field(default_factory=list)

    @property
    def settings(self) -> ZooSettings:
        """Settings of all learners."""
        return self.plan.settings

    @property
    def folds(self) -> tuple[int, ...]:
        """Which folds were held out, one after the other."""
        return self.plan.folds


@dataclass(frozen=True, slots=True)
class Reporter:
    """Where progress goes: one line of text, the loss of each round, and each step of the alignment."""

    say: Callable[[str], None]
    round: Callable[[int, str, int, float], None]
    aligning: Callable[[AlignmentStep], None] = lambda _: None


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
    settings: ZooSettings,
    at: datetime,
    home: Path | None,
    reporter: Reporter,
    threads: int = 1,
    learners: tuple[str, ...] = ALL,
    by: str = OPERATOR,
    protected: ProtectedSettings | None = None,
) -> RunResult:
    """Train and measure the first `folds` of five folds; with `home`, keep stores and register fold 0's candidates.

    `learners` are the zoo's, trained without protection, none if empty; with `protected` a model is trained under it.

    `at` is the instant of the run: consents are checked at it and the manifests carry it. `threads` are torch's: more
    than one gains little on small networks and loses much on a busy machine. A registered version does not score
    before somebody else than `by` has approved it. Raises `FederatedError`; nothing is registered then.
    """
    torch.set_num_threads(threads)
    plan = RunPlan(tuple(range(folds)), to_micros(at), _cut_off(), settings, learners, protected)
    result = RunResult(with_folds(tables, settings.seed), plan, at)
    if home is not None:
        _train(result, home, reporter)
        _register(result, home, by)
    else:
        with tempfile.TemporaryDirectory(prefix="tanxin-train-") as scratch:
            _train(result, Path(scratch), reporter)
    return result


def _cut_off() -> int:
    """The lowest score that the products of the books approve."""
    return min(product.score_min for product in load_parameters().products.records)


def _train(result: RunResult, home: Path, reporter: Reporter) -> None:
    tables, at = result.tables, result.at
    reporter.say(f"writing node stores for {len(tables.subjects):,} subjects ({tables.schema.data_origin})")
    wallet = Wallet.at(home)
    consents = standing_consents(tables, wallet, at, at + timedelta(days=365 * CONSENT_YEARS))
    build_nodes(home, tables, consents, wallet.authority)
    stores = [NodeStore(path) for path in sorted((home / "nodes").glob("*.db"))]
    try:
        known = stored_identities(stores)
        apps = [node_app(BankNode(s) if s.role == "bank" else GridNode(s), known[s.org_id]) for s in stores]
        grid = InProcessGrid({i: Seat(app, {}) for i, app in enumerate(apps, start=OPERATOR_NODE_ID + 1)})
        context = Context(grid.run.run_id, OPERATOR_NODE_ID, {}, RecordDict(), {})
        operator_app(result.plan, _observers(result, reporter))(grid, context)
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
        for name in (*CANDIDATES, PROTECTED_COMPANION, COMPANION):
            if name in report.cost:
                alone = report.companions.get(name)
                metrics = alone if alone is not None else report.candidates[name].measured.metrics
                cost = report.cost[name]
                _add(result, name, ModelFold(metrics, cost.seconds, cost.exchanges, cost.bytes))
        _baselines(result, report.fold)
        shown = ", ".join(f"{name} {parts[-1].metrics.auc:.4f}" for name, parts in result.models.items())
        reporter.say(f"fold {report.fold}: held-out AUC {shown}")

    return Observers(
        aligned=aligned,
        fold=fold,
        progress=lambda number: lambda phase, step, loss: reporter.round(number, phase, step, loss),
        aligning=reporter.aligning,
    )


def _add(result: RunResult, name: str, part: ModelFold) -> None:
    result.models.setdefault(name, []).append(part)


def _baselines(result: RunResult, fold: int) -> None:
    tables, settings = result.tables, result.settings
    rows = fold_rows(tables, fold, settings.seed)
    # What a model for lending may read, for rivals as for ourselves.
    bank, grid = (
        values[:, list(party.lending)]
        for values, party in ((tables.bank_values, tables.schema.bank), (tables.grid_values, tables.schema.grid))
    )
    for name, values in (("label_holder_only", bank), ("xgboost", np.hstack([bank, grid]))):
        metrics, seconds = boosted(values, tables.labels, rows, settings.seed)
        _add(result, name, ModelFold(metrics, seconds))


def _register(result: RunResult, home: Path, by: str) -> None:
    report = result.first
    if report is None:
        raise TrainingFailed("the run ended without a trained fold, nothing is registered")
    registry = ModelRegistry(home)
    governance = Governance(home, registry)
    for name in CANDIDATES:
        if name in report.candidates:
            manifest = _manifest(result, report, name, registry.next_version(), by)
            published = registry.publish(manifest, report.candidates[name].model)
            governance.register(published, result.at)
            result.manifests.append(published)


def _manifest(result: RunResult, report: FoldReport, name: str, version: str, by: str) -> Manifest:
    people, alignment = result.participants, result.alignment
    if people is None or alignment is None:
        raise TrainingFailed("the run ended before its participants were aligned, nothing is registered")
    candidate: Candidate = report.candidates[name]
    # Within a manifest `federated` is the version itself, and `bank_only` its own companion.
    protected = name == PROTECTED
    companion = PROTECTED_COMPANION if protected else COMPANION
    beside = {"federated": name, COMPANION: companion, "label_holder_only": "label_holder_only", "xgboost": "xgboost"}
    shown = {title: result.models[source] for title, source in beside.items()}
    parties = {"bank": people.schema.bank, "grid": people.schema.grid}
    return Manifest(
        model=MODEL_NAME,
        version=version,
        created_at=result.at,
        registered_by=by,
        data_origin=people.data_origin,
        schema_id=people.schema.schema_id,
        schema_version=people.schema.version,
        purpose=Purpose.MODEL_TRAINING,
        participants=(*people.banks, *people.grids),
        data_sha256=people.data_sha256,
        learners=candidate.learners,
        explanation=Explanation.EXACT if candidate.exact else Explanation.SAMPLED,
        columns={role: tuple(p.columns[j] for j in p.lending) for role, p in parties.items()},
        excluded_columns={role: tuple(f.column for f in p.features if f.protected) for role, p in parties.items()},
        config=_config(result, name),
        seed=result.settings.seed,
        held_out_fold=report.fold,
        aligned_rows=alignment.rows,
        metrics={title: figures(parts[:1]) for title, parts in shown.items()},
        cross_fold={title: figures(parts) for title, parts in shown.items()} if len(result.folds) > 1 else {},
        calibration=candidate.measured.calibration,
        cut_off=result.plan.cut_off,
        segments=candidate.measured.segments,
        score_reference={"joint": candidate.measured.score_bands, "bank_only": candidate.alone_bands},
        feature_reference=report.feature_reference,
        privacy=PRIVACY_SHARES if protected else PRIVACY_NONE,
        privacy_spent=dict.fromkeys((*people.banks, *people.grids)),
    )


def _config(result: RunResult, name: str) -> dict[str, Any]:
    own = result.plan.protected
    settings = own if name == PROTECTED and own is not None else result.settings
    config: dict[str, Any] = json.loads(json.dumps(settings.as_config()))
    return config


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
