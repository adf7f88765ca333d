"""Small stores of a bank and of a grid company, and customers who arrive there."""

import hashlib
from datetime import UTC, datetime

import numpy as np

from federated.nodes.customers import Batch
from federated.nodes.store import NodeStore, table_digest
from simulations.worlds.columns import load_schema

AT = datetime(2026, 11, 30, 8, tzinfo=UTC)
BANK, GRID = "bank-gusu", "grid-sip"
SCHEMA = load_schema("generated-firms")
DAY = (AT.date() - datetime(1970, 1, 1, tzinfo=UTC).date()).days


def store_of(folder, org_id=BANK, subjects="ABCD"):
    """A new store under `folder`/nodes: customers with values 0, 1, 2 …; at a bank every second one defaulted."""
    role = org_id.split("-", maxsplit=1)[0]
    width, count = len(SCHEMA.party(role).columns), len(subjects)
    return NodeStore.create(
        folder / "nodes" / f"{org_id}.db",
        org_id=org_id,
        role=role,
        schema=SCHEMA,
        data_origin="generated",
        authority=b"a" * 32,
        subjects=list(subjects),
        values=np.repeat(np.arange(count, dtype=np.float64)[:, None], width, axis=1),
        labels=[i % 2 for i in range(count)] if role == "bank" else None,
        folds=[i % 5 for i in range(count)] if role == "bank" else None,
    )


def values_for(subjects, first=10.0):
    """Different values (rows, 8), one of them missing."""
    values = first + np.arange(8 * len(subjects), dtype=np.float64).reshape(len(subjects), 8)
    values[:, 3] = np.nan
    return values


def batch(subjects, outcomes=None, first=10.0, until=None, line=1):
    """A batch of customers; with `until`, of readings of the year that ends then."""
    return Batch(
        list(subjects),
        values_for(subjects, first),
        range(line, line + len(subjects)),
        None if outcomes is None else np.array(outcomes, dtype=np.int64),
        None if until is None else np.full(len(subjects), until - 364),
        None if until is None else np.full(len(subjects), until),
    )


def digest_of(store):
    """The hash of what lies in a store, computed anew from its table."""
    table = store.table()
    return table_digest(table.subjects, table.values, table.labels.tolist())


def all_of(store):
    """Everything in a store's file, as bytes of its SQL: what was not changed is the same."""
    return hashlib.sha256("\n".join(store._db.iterdump()).encode()).hexdigest()


def bytes_of(store):
    """All bytes of a store's file, its `-wal` and `-shm`."""
    return b"".join(path.read_bytes() for path in sorted(store.path.parent.glob(f"{store.path.name}*")))
