"""From command-line choices to the report of one private run: whose rows, whose ledgers, and what came of it."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from federated.models.served.metrics import metrics_of
from federated.nodes.bank import BankNode
from federated.nodes.identity import stored_identities
from federated.nodes.store import NodeStore
from federated.privacy.budget import Budget
from federated.privacy.ledgers import banks_in, ledger_of
from federated.protocols.core.protocol import BanksTask
from federated.protocols.private.model import PrivateAdditive, PrivateRun
from federated.protocols.private.node import PrivateNode
from federated.protocols.private.plan import plan_text
from federated.protocols.private.protocol import PrivateProtocol
from federated.protocols.private.stored import stored_rows
from simulations.experiments.private_credit.world import dealt_nodes, folds_of, load_table, switchboard
from simulations.worlds.columns import load_ranges

Report = dict[str, Any]


def private_report(
    *,
    home: Path | None,
    data: Path | None,
    epsilon: float,
    delta: float,
    network: bool,
    fold: int,
    firms: int,
    seed: int,
) -> Report:
    """Train once. With `home` over the banks' own stores and ledgers, which must have granted budgets; the run's

    report is kept in `home`/private. Without it over a table dealt to five banks, which grant exactly this run.
    Raises `FederatedError`.
    """
    torch.set_num_threads(1)
    if home is not None:
        report = _in_home(home, epsilon, delta, network, fold, seed)
        kept = home / "private" / f"{report['run']}.json"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", "utf-8")
        return report
    table = load_table(data, firms, seed)
    held_out = folds_of(table)[fold]
    with tempfile.TemporaryDirectory(prefix="tanxin-private-") as scratch:
        nodes = dealt_nodes(table, held_out, Path(scratch), seed, grant=Budget(epsilon, delta))
        board = switchboard(nodes)
        protocol = PrivateProtocol(epsilon, delta, network, seed=seed)
        run = protocol.train(board, BanksTask(table.public, tuple(nodes)))
    public = run.model.basis.public if isinstance(run.model, PrivateAdditive) else run.model.public
    metrics = metrics_of(run.model.logits(table.columns(public)[held_out]), table.labels[held_out])
    return _report(run, table.data_origin) | {"held_out_auc": metrics.auc, "held_out_ece": metrics.ece}


def _in_home(home: Path, epsilon: float, delta: float, network: bool, fold: int, seed: int) -> Report:
    names = banks_in(home)
    with ExitStack() as stack:
        nodes, origins, tables, stores = {}, set(), set(), []
        for name in names:
            store = NodeStore(home / "nodes" / f"{name}.db")
            stack.callback(store.close)
            stores.append(store)
            bank = BankNode(store)
            rows = stored_rows(bank, _now, fold)
            nodes[bank.org_id] = PrivateNode(
                bank.org_id, load_ranges(store.schema.schema_id), rows, ledger_of(store), _now
            )
            origins.add(store.data_origin)
            tables.add(store.schema.schema_id)
        board = switchboard(nodes, stored_identities(stores))
        task = BanksTask(load_ranges(min(tables)), tuple(nodes))
        run = PrivateProtocol(epsilon, delta, network, seed=seed).train(board, task)
        return _report(run, ", ".join(sorted(origins)))


def _now() -> datetime:
    return datetime.now(UTC)


def _report(run: PrivateRun, data_origin: str) -> Report:
    report: Report = {
        "run": run.run,
        "data_origin": data_origin,
        "mechanism": "additive" if isinstance(run.model, PrivateAdditive) else "network",
        "epsilon": run.epsilon,
        "delta": run.delta,
        "realised": run.realised,
        "agreed": list(run.agreed),
        "refused": dict(run.refused),
        "survivors": sorted(set(run.agreed).intersection(*run.survivors)),
        "heads": dict(run.heads),
        "exchanges": run.exchanges,
        "bytes": run.bytes,
        "plan": json.loads(plan_text(run.plan)),
    }
    if isinstance(run.model, PrivateAdditive):
        tables = run.model.contributions()
        report["contributions"] = {name: np.round(cells, 6).tolist() for name, cells in tables.items()}
        report["level"] = run.model.calibration.level
        report["counted_auc"] = run.model.calibration.auc
    return report
