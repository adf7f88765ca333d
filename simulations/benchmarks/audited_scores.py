"""A score over the whole service with the audit trail and with one that does nothing, in CPU time, in one process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from federated.consent.record import ConsentRecord, DataScope, Purpose
from federated.nodes.budget import QueryBudget
from federated.serving import Network
from simulations.benchmarks.scored_network import scored_network
from simulations.worlds.wallet import NETWORK, Wallet

FIRMS, CUSTOMERS, BANK = 400, 20, "bank-gusu"


def measure_audited_scores(rounds: int) -> dict[str, Any]:
    """The figures of `credit_api.audit.cost.ScoreCost`: `CUSTOMERS` customers of one bank, each asked about `rounds`
    times a side, in a service of its own on a network of generated firms."""
    with tempfile.TemporaryDirectory(prefix="tanxin-audited-") as folder:
        home = Path(folder)
        questions = home / "questions.json"
        questions.write_text(json.dumps(_questions(home / NETWORK)), encoding="utf-8")
        options = ["--home", folder, "--questions", str(questions), "--bank", BANK, "--rounds", str(rounds)]
        command = [sys.executable, "-m", "credit_api", "audit", "cost", *options]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def _questions(network_home: Path) -> list[dict[str, str]]:
    """Train, sign a consent for each customer, and let the grid companies answer as often as a measurement asks."""
    at = datetime.now(UTC)
    network, tables = scored_network(network_home, FIRMS, at)
    wallet = Wallet.open(network_home)
    rows = [row for row, joint in enumerate(tables.joint) if joint and tables.bank_of[row] == BANK][:CUSTOMERS]
    try:
        for grid in network.grid_ids:
            network.grid_node(grid).set_budget(QueryBudget(timedelta(days=1), 1 << 40, 1 << 40, 0.0))
        return [_consented(network, wallet, tables.subjects[row], at) for row in rows]
    finally:
        network.close()


def _consented(network: Network, wallet: Wallet, subject: str, at: datetime) -> dict[str, str]:
    purpose = Purpose.CREDIT_APPLICATION
    draft = ConsentRecord(
        consent_id=f"con_{subject}",
        subject_id=subject,
        bank_id=BANK,
        purposes=frozenset({purpose}),
        scope=frozenset(DataScope),
        valid_from=at - timedelta(days=1),
        valid_until=at + timedelta(days=30),
    )
    network.record_consent(wallet.sign(wallet.named(draft)))
    return {"subject_id": subject, "consent_id": draft.consent_id, "purpose": purpose.value}
