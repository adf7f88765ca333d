"""Where banks keep their privacy ledgers in a home, and what they call their data."""

from __future__ import annotations

from pathlib import Path

from federated.errors import DataMissing
from federated.nodes.bank import BankNode
from federated.nodes.store import NodeStore
from federated.privacy.budget import PrivacyLedger

# Not `.db`: everything in that folder that ends so is a node store.
SUFFIX = ".privacy.sqlite"


def dataset_of(node: BankNode) -> str:
    """What a bank's ledger calls its customers' file: a name that outlives changes of rows."""
    return f"{node.schema.schema_id}/{node.party.scope.value}"


def banks_in(home: Path) -> list[str]:
    """The banks that have a store in a home. Raises `DataMissing` if none has."""
    banks = [path.stem for path in sorted((home / "nodes").glob("bank-*.db"))]
    if not banks:
        raise DataMissing(f"no bank's store is in {home / 'nodes'}: `tanxin train --home` makes them", file=str(home))
    return banks


def customers_of(home: Path, bank: str) -> str:
    """What a bank of a home calls its customers' file. Raises `DataMissing` for a name that is no bank's there."""
    if bank not in banks_in(home):
        raise DataMissing(f"{bank} is no bank of {home}", file=bank)
    store = NodeStore(home / "nodes" / f"{bank}.db")
    try:
        return dataset_of(BankNode(store))
    finally:
        store.close()


def ledger_path(home: Path, bank: str) -> Path:
    """A bank's ledger: beside its store, in a file of its own."""
    return home / "nodes" / f"{bank}{SUFFIX}"


def ledgers_in(home: Path) -> dict[str, PrivacyLedger]:
    """Every ledger in a home, by bank."""
    paths = sorted((home / "nodes").glob(f"*{SUFFIX}"))
    return {path.name.removesuffix(SUFFIX): PrivacyLedger(path) for path in paths}
