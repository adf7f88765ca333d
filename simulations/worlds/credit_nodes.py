"""Node stores of a sandbox, built from the tables of a credit data set.

The only place where data of several parties is in one pair of hands: it stands for each party loading its own file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from federated.consent.record import ConsentRecord, DataScope, Purpose
from federated.errors import HomeOccupied
from federated.models.encoding.ramps import FloatArray
from federated.nodes.bank import BankNode
from federated.nodes.budget import default_training_limit
from federated.nodes.checks import check_table
from federated.nodes.grid import GridNode
from federated.nodes.schema import FeatureSchema
from federated.nodes.store import NodeStore, table_digest
from simulations.worlds.columns import describe_stores
from simulations.worlds.names import BANKS, GRIDS
from simulations.worlds.wallet import Wallet

# Folds that customers are assigned to, and how long their standing consents hold.
SPLITS, CONSENT_YEARS = 5, 3
ALL_PURPOSES = frozenset(Purpose)
SERVICE_PURPOSES = frozenset({Purpose.CREDIT_APPLICATION, Purpose.LOAN_REVIEW})
ALL_SCOPES = frozenset(DataScope)


@dataclass(frozen=True, slots=True)
class CreditTables:
    """A data set before it is handed to its parties; all sequences have one entry per subject.

    `bank_values` (rows, bank columns), `grid_values` (rows, grid columns), NaN = missing; `labels` 0/1; `bank_of` names
    each subject's bank; `grid_of` its grid company, or "" if none serves it; `trains` and `opens_electricity` say
    whether the subject's standing consent covers model training and electricity data.
    """

    schema: FeatureSchema
    subjects: tuple[str, ...]
    labels: NDArray[np.int64]
    bank_values: FloatArray
    grid_values: FloatArray
    bank_of: tuple[str, ...]
    grid_of: tuple[str, ...]
    folds: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    trains: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    opens_electricity: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))

    @property
    def joint(self) -> NDArray[np.bool_]:
        """Mask (rows,) of subjects that enter alignment: training and electricity consented, grid file there."""
        served = np.array([bool(g) for g in self.grid_of])
        return np.asarray(self.trains & self.opens_electricity & served)


def memberships(rows: int, seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Seeded, independent and even assignment of rows to banks and to grid companies."""
    rng = np.random.default_rng(seed)
    banks = rng.permutation(np.arange(rows) % len(BANKS))
    grids = rng.permutation(np.arange(rows) % len(GRIDS))
    return tuple(BANKS[i] for i in banks), tuple(GRIDS[i] for i in grids)


def standing_consents(
    tables: CreditTables, wallet: Wallet, valid_from: datetime, valid_until: datetime
) -> list[ConsentRecord]:
    """One consent `CONS-<subject>` per subject towards its bank, with the purposes and scopes that the tables state.

    The Taiwan set comes without consents; these records stand in for them, signed by a sandbox's wallet, so that every
    later step can check one.
    """
    return [
        wallet.sign(
            ConsentRecord(
                consent_id=f"CONS-{subject}",
                subject_id=subject,
                bank_id=bank,
                purposes=ALL_PURPOSES if trains else SERVICE_PURPOSES,
                scope=ALL_SCOPES if opens and grid else frozenset({DataScope.BANK_FILE}),
                valid_from=valid_from,
                valid_until=valid_until,
                grid_id=grid if opens else "",
            )
        )
        for subject, bank, grid, trains, opens in zip(
            tables.subjects, tables.bank_of, tables.grid_of, tables.trains, tables.opens_electricity, strict=True
        )
    ]


def let_be_measured(bank: BankNode, tables: CreditTables, sets: int, least_rows: int | None = None) -> None:
    """Let a bank of one's own open that many `sets` of customers a run (folds, and all of them), in as many runs as its
    ledger lets it, over `least_rows`; others open `row_sets` of theirs, `runs_a_set` times."""
    limit = bank.training_limit
    # Sets of customers of two folds, or of one and all, differ by about a fold.
    half_fold = int(tables.joint.sum()) // (2 * SPLITS)
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


@dataclass(frozen=True, slots=True)
class _Part:
    org_id: str
    role: str
    subjects: tuple[str, ...]
    values: FloatArray
    labels: tuple[int, ...] | None
    folds: tuple[int, ...] | None


def _parts(tables: CreditTables) -> list[_Part]:
    parts = []
    for org, owners, role in [(b, tables.bank_of, "bank") for b in BANKS] + [
        (g, tables.grid_of, "grid") for g in GRIDS
    ]:
        rows = np.flatnonzero(np.array([owner == org for owner in owners]))
        values = (tables.bank_values if role == "bank" else tables.grid_values)[rows]
        labels = tuple(int(v) for v in tables.labels[rows]) if role == "bank" else None
        folds = tuple(int(v) for v in tables.folds[rows]) if role == "bank" and len(tables.folds) else None
        parts.append(_Part(org, role, tuple(tables.subjects[i] for i in rows), values, labels, folds))
    return parts


def build_nodes(home: Path, tables: CreditTables, consents: Sequence[ConsentRecord], authority: bytes) -> None:
    """Write one store per bank and grid company under `home`/nodes, with the consents that concern it.

    `authority` is the public key (32 bytes) that every node trusts for subjects' keys. If the stores exist with exactly
    this data they are kept, their consents included. Raises `HomeOccupied` if they hold other data, `StoreOutdated` if
    an earlier version wrote them, `ConsentSignatureInvalid`, and `CorruptData` or `SchemaMismatch` before anything is
    written.
    """
    parts = _parts(tables)
    for part in parts:
        check_table(part.org_id, tables.schema.party(part.role).columns, part.subjects, part.values, part.labels)
    existing = sorted((home / "nodes").glob("*.db"))
    if existing:
        describe_stores(home)
        _require_same(existing, parts, tables.schema.data_origin)
        return
    for part in parts:
        store = NodeStore.create(
            home / "nodes" / f"{part.org_id}.db",
            org_id=part.org_id,
            role=part.role,
            schema=tables.schema,
            data_origin=tables.schema.data_origin,
            authority=authority,
            subjects=part.subjects,
            values=part.values,
            labels=part.labels,
            folds=part.folds,
        )
        node = BankNode(store) if part.role == "bank" else GridNode(store)
        node.record_consents(c for c in consents if part.org_id in (c.bank_id, c.grid_id))
        store.close()


def _require_same(existing: Sequence[Path], parts: Sequence[_Part], data_origin: str) -> None:
    held = {}
    for path in existing:
        store = NodeStore(path)
        held[store.org_id] = store.data_origin, store.data_sha256
        store.close()
    wanted = {p.org_id: (data_origin, table_digest(p.subjects, p.values, p.labels)) for p in parts}
    if held != wanted:
        raise HomeOccupied("this home holds node stores of other data; choose another --home")
