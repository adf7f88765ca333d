"""Banks that hold the same columns of different customers, their ledgers, and a Flower grid between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from federated.engines.in_process import InProcessGrid, Seat
from federated.errors import DataMissing
from federated.models.encoding.public_ranges import PublicTable
from federated.models.encoding.ramps import FloatArray
from federated.nodes.checks import numbers, read_csv
from federated.nodes.identity import Identity, fresh_identities
from federated.privacy.budget import Budget, PrivacyLedger
from federated.privacy.ledgers import ledger_path
from federated.protocols.core.messages import Switchboard
from federated.protocols.node_app import bank_app
from federated.protocols.private.node import PrivateNode, PrivateRows
from federated.protocols.private.protocol import PrivateProtocol
from simulations.experiments.credit_zoo.bench import fold_masks
from simulations.worlds.columns import load_ranges
from simulations.worlds.credit_population import generate_population

BANKS = 5
RAW_FILE = "taiwan_default_credit.csv"


@dataclass(frozen=True, slots=True)
class PrivateTable:
    """A pooled table before it is dealt to banks: `values` (rows, columns of `public`), `labels` (rows,)."""

    public: PublicTable
    data_origin: str
    values: FloatArray
    labels: NDArray[np.int64]

    def columns(self, public: PublicTable) -> FloatArray:
        """Values of the columns that `public` names, in its order."""
        return self.values[:, [self.public.names.index(name) for name in public.names]]


def load_table(data: Path | None, firms: int, seed: int) -> PrivateTable:
    """The Taiwan set in its own units from `data`, or the bank files of generated firms. Raises `FederatedError`."""
    if data is None:
        tables = generate_population(firms, seed)
        return PrivateTable(load_ranges("generated-firms"), "generated", tables.bank_values, tables.labels)
    public = load_ranges("taiwan-raw")
    for path in (data / f"{RAW_FILE}.gz", data / RAW_FILE):
        if path.is_file():
            break
    else:
        raise DataMissing(f"neither {RAW_FILE}.gz nor {RAW_FILE} is in {data}", party="bank", file=RAW_FILE)
    rows = read_csv(path, "bank", ("ID", *public.names, "default"))
    names = (*public.names, "default")
    values = numbers(rows, names, 1, "bank")
    return PrivateTable(public, "taiwan-default-credit-2005", values[:, :-1], values[:, -1].astype(np.int64))


def folds_of(table: PrivateTable) -> list[NDArray[np.bool_]]:
    """Held-out masks of the protocol's five folds (stratified, shuffled, seed 2024, rows in order of id)."""
    return fold_masks(table.labels, table.data_origin)


def now() -> datetime:
    """The clock of nodes in experiments."""
    return datetime.now(UTC)


def bank_names(count: int = BANKS) -> tuple[str, ...]:
    """Names of the banks of an experiment."""
    return tuple(f"bank-{i}" for i in range(1, count + 1))


def dealt_nodes(
    table: PrivateTable,
    held_out: NDArray[np.bool_],
    home: Path,
    seed: int,
    banks: Sequence[str] = bank_names(),
    grant: Budget | Mapping[str, Budget] | None = None,
) -> dict[str, PrivateNode]:
    """Rows dealt evenly and at random to banks, each with its ledger under `home`; `grant` sets budgets there first."""
    owners = np.random.default_rng(seed).permutation(np.arange(len(table.labels)) % len(banks))
    nodes = {}
    for place, bank in enumerate(banks):
        mine = owners == place
        ledger = PrivacyLedger(ledger_path(home, bank))
        budget = grant.get(bank) if isinstance(grant, Mapping) else grant
        if budget is not None:
            ledger.grant(table.public.table, budget, now())

        def rows(public: PublicTable, mine: NDArray[np.bool_] = mine) -> PrivateRows:
            values, own = table.columns(public)[mine], held_out[mine]
            return PrivateRows(table.public.table, values, table.labels[mine], ~own, ~own)

        nodes[bank] = PrivateNode(bank, table.public, rows, ledger, now)
    return nodes


def switchboard(nodes: Mapping[str, PrivateNode], given: Mapping[str, Identity] | None = None) -> Switchboard:
    """The operator's way to these banks over an in-process Flower grid; keys are made for the run if none are given."""
    known = given or fresh_identities(nodes)
    seats = {i + 2: Seat(bank_app(PrivateProtocol(), node, known[b]), {}) for i, (b, node) in enumerate(nodes.items())}
    board = Switchboard(InProcessGrid(seats))
    board.introduce()
    return board
