"""One run from tables to registry: node stores, alignment, folds through Flower, baselines on the same rows."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import torch
from flwr.app import Context, RecordDict
from sklearn.model_selection import StratifiedKFold

from federated.consent.instants import to_micros
from federated.engines.in_process import OPERATOR_NODE_ID, InProcessGrid, Seat
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.nodes.identity import stored_identities
from federated.nodes.row_sets import LEAST_APART
from federated.nodes.store import NodeStore
from federated.protocols.catalogue import VERTICAL
from federated.protocols.core.protocol import VerticalProtocol
from federated.protocols.node_app import node_app
from federated.protocols.operator_app import RunPlan, operator_app
from federated.protocols.operator_run import ModelFold, Reporter, RunRecord
from financing.base.parameters import load_parameters
from simulations.experiments.vertical_credit.baselines import boosted, fold_rows
from simulations.worlds.credit_nodes import (
    CONSENT_YEARS,
    SPLITS,
    CreditTables,
    build_nodes,
    let_be_measured,
    standing_consents,
)
from simulations.worlds.wallet import Wallet

OPERATOR = "operator"
# XGBoost on bank columns, and on both parties' columns in one place.
RIVALS = ("label_holder_only", "xgboost")
SEED = 2024


@dataclass(slots=True)
class RunResult(RunRecord):
    """What a run over tables measured."""

    tables: CreditTables = field(kw_only=True)


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
    plan = RunPlan(tuple(range(folds)), to_micros(at), cut_off(), seeded, refit=home is not None)
    result = RunResult(plan, seed, at, tables=with_folds(tables, seed))
    if home is not None:
        _train(result, home, Wallet.at(home, tables.schema.data_origin, sandbox=sandbox), reporter, least_rows)
        result.register(home, by)
    else:
        with tempfile.TemporaryDirectory(prefix="tanxin-train-") as scratch:
            _train(result, Path(scratch), Wallet.fresh(), reporter, least_rows)
    return result


def cut_off() -> int:
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
                let_be_measured(node, tables, len(result.folds) + result.plan.refit, least_rows)
            elif least_rows is not None:
                node.set_least_apart(min(LEAST_APART, least_rows))
        apps = [node_app(node, known[node.org_id], VERTICAL) for node in nodes]
        grid = InProcessGrid({i: Seat(app, {}) for i, app in enumerate(apps, start=OPERATOR_NODE_ID + 1)})
        context = Context(grid.run.run_id, OPERATOR_NODE_ID, {}, RecordDict(), {})
        observers = result.observers(reporter, lambda number: _baselines(result, number))
        operator_app(result.plan, observers)(grid, context)
    finally:
        for store in stores:
            store.close()


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
        result.models.setdefault(name, []).append(ModelFold(metrics, seconds))
