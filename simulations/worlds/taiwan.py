"""The Taiwan credit card set in FATE's vertical split: its files as tables of sandbox banks and grid companies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from federated.errors import CorruptData, DataMissing
from federated.nodes.checks import check_table, numbers, read_csv
from simulations.worlds.columns import load_schema
from simulations.worlds.credit_nodes import CreditTables, memberships

GUEST = "taiwan_fate_hetero_guest.csv"
HOST = "taiwan_fate_hetero_host.csv"


def read_taiwan(folder: Path, seed: int) -> CreditTables:
    """FATE's vertical split of the Taiwan set from `folder` (plain or .gz), ids as `TW-00001`.

    Raises `DataMissing`, `CorruptData` or `SchemaMismatch`, naming the party (`bank` or `grid`) and column.
    """
    schema = load_schema("taiwan-fate-hetero")
    guest = read_csv(_file(folder, GUEST, "bank"), "bank", ("id", "y", *schema.bank.columns))
    host = read_csv(_file(folder, HOST, "grid"), "grid", ("id", *schema.grid.columns))
    subjects = _taiwan_ids(guest, "bank")
    grid_ids = _taiwan_ids(host, "grid")
    labels = numbers([[row[1]] for row in guest], ("y",), 0, "bank")[:, 0]
    if not np.isin(labels, (0.0, 1.0)).all():
        raise CorruptData("bank: column y holds something else than 0 and 1", party="bank", column="y")
    bank_values = numbers(guest, schema.bank.columns, 2, "bank")
    host_values = numbers(host, schema.grid.columns, 1, "grid")
    check_table("bank", schema.bank.columns, subjects, bank_values, [int(label) for label in labels])
    check_table("grid", schema.grid.columns, grid_ids, host_values, None)
    row_of = {subject: i for i, subject in enumerate(grid_ids)}
    grid_values = np.full((len(subjects), len(schema.grid.columns)), np.nan)
    for i, subject in enumerate(subjects):
        if subject in row_of:
            grid_values[i] = host_values[row_of[subject]]
    # FATE shuffled the rows; folds and assignments are drawn over the original order, which the ids keep.
    order = np.argsort(np.array(subjects), kind="stable")
    subjects = tuple(subjects[i] for i in order)
    bank_values, grid_values, labels = bank_values[order], grid_values[order], labels[order]
    banks, grids = memberships(len(subjects), seed)
    everyone = np.ones(len(subjects), dtype=np.bool_)
    return CreditTables(
        schema=schema,
        subjects=subjects,
        labels=labels.astype(np.int64),
        bank_values=bank_values,
        grid_values=grid_values,
        bank_of=banks,
        grid_of=tuple(g if s in row_of else "" for s, g in zip(subjects, grids, strict=True)),
        trains=everyone,
        opens_electricity=everyone,
    )


def _file(folder: Path, name: str, party: str) -> Path:
    for candidate in (folder / f"{name}.gz", folder / name):
        if candidate.is_file():
            return candidate
    raise DataMissing(f"{party}: neither {name}.gz nor {name} is in {folder}", party=party, file=name)


def _taiwan_ids(rows: Sequence[Sequence[str]], party: str) -> tuple[str, ...]:
    for line, row in enumerate(rows, start=2):
        if not row[0].isdecimal():
            detail = f"{party}: column id line {line} is not a row number: {row[0][:40]!r}"
            raise CorruptData(detail, party=party, column="id", line=line)
    return tuple(f"TW-{int(row[0]):05d}" for row in rows)
