"""Where banks keep their privacy ledgers in a home, and what they call their data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from federated.errors import DataMissing
from federated.nodes.bank import BankNode
from federated.nodes.identity import signing_key
from federated.nodes.store import NodeStore
from federated.privacy.budget import Owner, PrivacyLedger

# Not `.db`: everything in that folder that ends so is a node store.
SUFFIX = ".privacy.sqlite"
MEMORY = "privacy ledger"


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


def ledger_of(store: NodeStore) -> PrivacyLedger:
    """A bank's ledger as the bank itself opens it: it signs grants, and its store remembers how the ledger ended."""

    def remembered() -> tuple[int, str] | None:
        kept = store.state(MEMORY)
        if kept is None:
            return None
        number, head = kept.decode().split()
        return int(number), head

    def remember(number: int, head: str) -> None:
        known = remembered()
        if known is None or known[0] < number:
            store.put_state({MEMORY: f"{number} {head}".encode()})

    path = store.path.with_name(f"{store.org_id}{SUFFIX}")
    return PrivacyLedger(path, Owner(signing_key(store), remembered, remember))


@contextmanager
def ledgers_in(home: Path) -> Iterator[dict[str, PrivacyLedger]]:
    """The ledger of every bank in a home, by bank, while its store is open. Raises `DataMissing` without banks."""
    with ExitStack() as stack:
        ledgers = {}
        for bank in banks_in(home):
            store = NodeStore(home / "nodes" / f"{bank}.db")
            stack.callback(store.close)
            ledgers[bank] = ledger_of(store)
        yield ledgers
