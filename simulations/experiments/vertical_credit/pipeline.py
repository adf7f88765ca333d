"""One run from tables to registry: node stores, alignment, folds through Flower, baselines on the same rows."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import torch
from flwr.app import Context, RecordDict
from sklearn.model_selection import StratifiedKFold

from federated.consent.instants import to_micros
from federated.consent.record import Purpose
from federated.engines.in_process import OPERATOR_NODE_ID, InProcessGrid, Seat
from federated.errors import TrainingFailed
from federated.governance.manifest import Explanation, Manifest
from federated.governance.model_registry import MODEL_NAME, ModelRegistry
from federated.governance.versions import Governance
from federated.models.served.metrics import Metrics
from federated.nodes.bank import BankNode
from federated.nodes.budget import default_training_limit
from federated.nodes.grid import GridNode
from federated.nodes.identity import stored_identities
from federated.nodes.row_sets import LEAST_APART
from federated.nodes.store import NodeStore
from federated.protocols.core.alignment import Alignment, AlignmentStep, Participants
from federated.protocols.core.candidates import JOINT, pooled
from federated.protocols.core.protocol import COMPANION, VerticalProtocol
from federated.protocols.node_app import node_app
from federated.protocols.operator_app import Figures, FoldReports, Observers, Refits, RunPlan, operator_app
from financing.base.parameters import load_parameters
from simulations.experiments.vertical_credit.baselines import boosted, fold_rows
from simulations.worlds.credit_nodes import CreditTables, build_nodes, standing_consents
from simulations.worlds.wallet import Wallet

SPLITS = 5
CONSENT_YEARS = 3
OPERATOR = "operator"
# XGBoost on bank columns, and on both parties' columns in one place.
RIVALS = ("label_holder_only", "xgboost")
SEED = 2024


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
    seed: int
    at: datetime
    participants: Participants | None = None
    alignment: Alignment | None = None
    models: dict[str, list[ModelFold]] = field(default_factory=dict)
    figures: Figures = field(default_factory=dict)
    companions: dict[str, str] = field(default_factory=dict)
    refits: Refits = field(default_factory=dict)
    manifests: list[Manifest] = field(default_factory=list)

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
    protocols: Sequence[VerticalProtocol],
    at: datetime,
    home: Path | None,
    reporter: Reporter,
    threads: int = 1,
    by: str = OPERATOR,
    seed: int = SEED,
    sandbox: bool = False,
    least_rows: int | None = None,
) -> RunResult:
    """Train and measure the first `folds` of five folds; with `home`, keep stores, refit on all and register.

    All `protocols` train on the same folds, which `seed` draws as it seeds the protocols, and are measured beside the
    same baselines. `at` is the instant of the run: consents are checked at it and the manifests carry it. `threads`
    are torch's: more than one gains little on small networks and loses much on a busy machine. A registered version
    does not score before somebody else than `by` has approved it. A `home` keeps a wallet that signs for everyone, so
    one of other than generated data has to be called a `sandbox`. `least_rows` is what banks let gradients be opened
    over, where it is not what they have set. Raises `FederatedError`; nothing is registered then.
    """
    torch.set_num_threads(threads)
    seeded = tuple(protocol.seeded(seed) for protocol in protocols)
    plan = RunPlan(tuple(range(folds)), to_micros(at), _cut_off(), seeded, refit=home is not None)
    result = RunResult(with_folds(tables, seed), plan, seed, at)
    if home is not None:
        _train(result, home, Wallet.at(home, tables.schema.data_origin, sandbox=sandbox), reporter, least_rows)
        _register(result, home, by)
    else:
        with tempfile.TemporaryDirectory(prefix="tanxin-train-") as scratch:
            _train(result, Path(scratch), Wallet.fresh(), reporter, least_rows)
    return result


def _cut_off() -> int:
    """The lowest score that the products of the books approve."""
    return min(product.score_min for product in load_parameters().products.records)


def _train(result: RunResult, home: Path, wallet: Wallet, reporter: Reporter, least_rows: int | None) -> None:
    tables, at = result.tables, result.at
    reporter.say(f"writing node stores for {len(tables.subjects):,} subjects ({tables.schema.data_origin})")
    consents = standing_consents(tables, wallet, at, at + timedelta(days=365 * CONSENT_YEARS))
    build_nodes(home, tables, consents, wallet.authority)
    stores = [NodeStore(path) for path in sorted((home / "nodes").glob("*.db"))]
    try:
        known = stored_identities(stores)
        nodes = [BankNode(s) if s.role == "bank" else GridNode(s) for s in stores]
        for node in nodes:
            if isinstance(node, BankNode):
                _let_be_measured(node, result, least_rows)
            elif least_rows is not None:
                node.set_least_apart(min(LEAST_APART, least_rows))
        apps = [node_app(node, known[node.org_id]) for node in nodes]
        grid = InProcessGrid({i: Seat(app, {}) for i, app in enumerate(apps, start=OPERATOR_NODE_ID + 1)})
        context = Context(grid.run.run_id, OPERATOR_NODE_ID, {}, RecordDict(), {})
        operator_app(result.plan, _observers(result, reporter))(grid, context)
    finally:
        for store in stores:
            store.close()


def _let_be_measured(bank: BankNode, result: RunResult, least_rows: int | None) -> None:
    """Banks of one's own may open as many sets of customers as that many runs like this one take, and each as often as
    the ledger lets them; others open `row_sets` of theirs, `runs_a_set` times."""
    limit, sets = bank.training_limit, len(result.folds) + result.plan.refit
    # Sets of customers of two folds, or of one and all, differ by about a fold.
    half_fold = int(result.tables.joint.sum()) // (2 * SPLITS)
    least = limit.least_rows if least_rows is None else least_rows
    own = replace(
        limit,
        least_rows=least,
        row_sets=max(limit.row_sets, default_training_limit().row_sets * sets),
        runs_a_set=limit.runs,
        least_apart=limit.least_apart if sets == 1 else min(limit.least_apart, least, half_fold),
    )
    if own != limit:
        bank.set_training_limit(own)


def _observers(result: RunResult, reporter: Reporter) -> Observers:
    def aligned(people: Participants, alignment: Alignment) -> None:
        result.participants, result.alignment = people, alignment
        reporter.say(f"aligned {sum(alignment.rows.values()):,} customers in {alignment.seconds:.1f} s")

    def fold(number: int, reports: FoldReports) -> None:
        for protocol, report in reports.items():
            result.companions[protocol] = report.companion
            for name, held_out in report.held_out.items():
                cost = report.cost[name]
                metrics = held_out.measured([]).metrics
                _add(result, name, ModelFold(metrics, cost.seconds, cost.exchanges, cost.bytes))
        _baselines(result, number)
        shown = ", ".join(f"{name} {parts[-1].metrics.auc:.4f}" for name, parts in result.models.items())
        reporter.say(f"fold {number}: held-out AUC {shown}")

    def measured(found: Figures) -> None:
        result.figures = found
        for folds in found.values():
            for name in folds[0]:
                parts = zip(result.models[name], folds, strict=True)
                result.models[name] = [replace(part, metrics=fold[name].metrics) for part, fold in parts]

    def refit(found: Refits) -> None:
        result.refits = found
        reporter.say("fitted again with nobody held out, for the registry")

    return Observers(
        aligned=aligned,
        fold=fold,
        measured=measured,
        refit=refit,
        progress=lambda number: lambda phase, step, loss: reporter.round(number, phase, step, loss),
        aligning=reporter.aligning,
    )


def _add(result: RunResult, name: str, part: ModelFold) -> None:
    result.models.setdefault(name, []).append(part)


def _baselines(result: RunResult, fold: int) -> None:
    tables = result.tables
    rows = fold_rows(tables, fold, result.seed)
    # What a model for lending may read, for rivals as for ourselves.
    bank, grid = (
        values[:, list(party.lending)]
        for values, party in ((tables.bank_values, tables.schema.bank), (tables.grid_values, tables.schema.grid))
    )
    for name, values in zip(RIVALS, (bank, np.hstack([bank, grid])), strict=True):
        metrics, seconds = boosted(values, tables.labels, rows, result.seed)
        _add(result, name, ModelFold(metrics, seconds))


def _register(result: RunResult, home: Path, by: str) -> None:
    if not result.refits:
        raise TrainingFailed("the run ended before its models were fitted, nothing is registered")
    registry = ModelRegistry(home)
    governance = Governance(home, registry)
    for protocol in result.plan.protocols:
        for name, candidate in result.refits[protocol.name].candidates.items():
            manifest = _manifest(result, protocol, name, registry.next_version(), by)
            published = registry.publish(manifest, candidate.model)
            governance.register(published, result.at)
            result.manifests.append(published)


def _manifest(result: RunResult, protocol: VerticalProtocol, name: str, version: str, by: str) -> Manifest:
    people, alignment = result.participants, result.alignment
    if people is None or alignment is None:
        raise TrainingFailed("the run ended before its participants were aligned, nothing is registered")
    refit, companion = result.refits[protocol.name], result.companions[protocol.name]
    candidate = refit.candidates[name]
    served = name if candidate.offered == JOINT else companion
    own, alone = (pooled([fold[each] for fold in result.figures[protocol.name]]) for each in (served, companion))
    # Within a manifest `federated` is the version itself, and `bank_only` its own companion.
    beside = {"federated": served, COMPANION: companion} | {rival: rival for rival in RIVALS}
    shown = {title: result.models[source] for title, source in beside.items()}
    model = candidate.model
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
        config=json.loads(json.dumps(protocol.config())) | {"offered": candidate.offered},
        seed=result.seed,
        held_out_folds=result.folds,
        refit=True,
        aligned_rows=alignment.rows,
        metrics={title: figures(parts) for title, parts in shown.items()},
        calibration={"method": model.joint.method, "own": sorted(model.own), "ece": own.ece},
        cut_off=result.plan.cut_off,
        segments=own.segments,
        score_reference={"joint": own.score_bands, "bank_only": alone.score_bands},
        feature_reference=refit.references,
        privacy=protocol.privacy,
        privacy_spent=dict.fromkeys((*people.banks, *people.grids)),
    )


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
