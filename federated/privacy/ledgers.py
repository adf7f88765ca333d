"""Where banks keep their privacy ledgers in a home, and what they call their data."""

from __future__ import annotations

from pathlib import Path

from federated.nodes.bank import BankNode
from federated.privacy.budget import PrivacyLedger

# Not `.db`: everything in that folder that ends so is a node store.
SUFFIX = ".privacy.sqlite"


def dataset_of(node: BankNode) -> str:
    """What a bank's ledger calls its customers' file: a name that outlives changes of rows."""
    return f"{node.schema.schema_id}/{node.party.scope.value}"


def ledger_path(home: Path, bank: str) -> Path:
    """A bank's ledger: beside its store, in a file of its own."""
    return home / "nodes" / f"{bank}{SUFFIX}"


def ledgers_in(home: Path) -> dict[str, PrivacyLedger]:
    """Every ledger in a home, by bank."""
    paths = sorted((home / "nodes").glob(f"*{SUFFIX}"))
    return {path.name.removesuffix(SUFFIX): PrivacyLedger(path) for path in paths}
