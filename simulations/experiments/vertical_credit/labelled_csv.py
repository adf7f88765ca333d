"""Any labelled CSV file as the tables of sandbox banks and grid companies, with a schema made from its header.

A node's store holds numbers. A column of words becomes the numeric columns that `categories` makes of it in a run of
`tanxin bench credit`: a 0/1 column for each of its commonest values, and one for how common the row's value is where
there are many. Only how often values occur decides, never a label, so the same file gives the same columns.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from federated.errors import CorruptData
from federated.models.encoding.categories import MIN_ROWS, RawTable, merge_levels
from federated.models.encoding.ramps import FloatArray
from federated.nodes.schema import FeatureSchema, schema_of
from simulations.csv_options import LabelledCsv
from simulations.experiments.credit_zoo.datasets import enough_of_each
from simulations.worlds.credit_nodes import CreditTables, memberships
from simulations.worlds.names import BANKS, GRIDS

# What a column is called in Chinese and English, and what a reason says of a high and of a low value.
Names = tuple[str, str, str, str, str, str]
HASH_DIGITS = 12
PREFIXES = {"bank": "B", "grid": "G"}
SCOPES = {"bank": "bank_file", "grid": "electricity"}


def read_labelled(csv: LabelledCsv, seed: int, dated: date) -> CreditTables:
    """The rows of a labelled file dealt to three banks and two grid companies, ids `ROW-00001` … in the file's order.

    All rows consent to training, as those of the Taiwan set do. `dated` is the date of the schema. Raises
    `DataMissing`, `CorruptData` or `SchemaMismatch`, naming file, line and column.
    """
    table = csv.load()
    file = csv.path.name
    enough_of_each(table.labels, file)
    bank, grid = (_numeric(file, side) for side in (table.holder, table.other))
    banks, grids = memberships(len(table.labels), seed)
    _require_of_each(file, csv.target, table.labels, banks)
    for (names, values), owners, orgs in ((bank, banks, BANKS), (grid, grids, GRIDS)):
        _require_values(file, [column for column, _ in names], values, owners, orgs)
    everyone = np.ones(len(table.labels), dtype=np.bool_)
    return CreditTables(
        schema=_schema(csv.path, dated, bank[0], grid[0]),
        subjects=tuple(f"ROW-{i + 1:05d}" for i in range(len(table.labels))),
        labels=table.labels,
        bank_values=bank[1],
        grid_values=grid[1],
        bank_of=banks,
        grid_of=grids,
        trains=everyone,
        opens_electricity=everyone,
    )


def _numeric(file: str, side: RawTable) -> tuple[list[tuple[str, Names]], FloatArray]:
    """The numeric columns of one side, each with what it is called, and their values (rows, columns)."""
    counts = side.level_counts(np.ones(len(side.numbers), dtype=np.bool_))
    for j, levels in counts.items():
        if not levels:
            column = side.columns[j]
            detail = f"{file}: column {column} has no value that {MIN_ROWS} rows share, so it tells rows apart and"
            raise CorruptData(f"{detail} teaches nothing; drop it (--drop)", party=file, column=column)
    categories = merge_levels(side.columns, [counts])
    named = [
        (derived, _names(side.columns[j], derived if j in counts else None))
        for derived, j in zip(categories.names, categories.sources, strict=True)
    ]
    return named, categories.expand(side)


def _names(column: str, derived: str | None) -> Names:
    if derived is None:
        return _of_amount(column, column)
    if derived == f"{column}#":
        return _of_amount(f"{column} 取值的常见程度", f"how common the value of {column} is")
    value = derived.removeprefix(f"{column}=")
    zh, en = f"{column} 是否为 {value}", f"whether {column} is {value}"
    # Reasons tell no value: the same words where it is and where it is not.
    return zh, en, zh, en, zh, en


def _of_amount(zh: str, en: str) -> Names:
    high_zh, low_zh = f"{zh}高于一般客户", f"{zh}低于一般客户"
    return zh, en, high_zh, f"{en}: above the typical customer", low_zh, f"{en}: below the typical customer"


def _require_of_each(file: str, target: str, labels: NDArray[np.int64], banks: Iterable[str]) -> None:
    owners = np.array(list(banks))
    for bank in BANKS:
        if len(np.unique(labels[owners == bank])) < 2:
            detail = f"{file}: column {target} has too few rows of one class, {bank} of three banks would have none"
            raise CorruptData(detail, party=file, column=target)


def _require_values(
    file: str, columns: list[str], values: FloatArray, owners: Iterable[str], orgs: Iterable[str]
) -> None:
    owner_of = np.array(list(owners))
    for org in orgs:
        empty = np.isnan(values[owner_of == org]).all(axis=0)
        if empty.any():
            column = columns[int(np.argmax(empty))]
            detail = f"{file}: column {column} is filled in too few rows, {org} would have none; drop it (--drop)"
            raise CorruptData(detail, party=file, column=column)


def _schema(path: Path, dated: date, bank: list[tuple[str, Names]], grid: list[tuple[str, Names]]) -> FeatureSchema:
    """A schema without segments. The origin of data is the file's stem with the first digits of its SHA-256."""
    stem = re.sub(r"[^\w.-]+", "-", path.name.removesuffix(".gz").removesuffix(".csv"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:HASH_DIGITS]
    head = {"schema_id": f"csv-{stem}", "version": "1", "data_origin": f"{stem}-{digest}", "source": path.name}
    lines = [f"{key} = {_quoted(value)}" for key, value in head.items()]
    lines += [f"dated = {dated.isoformat()}"]
    for role, features in (("bank", bank), ("grid", grid)):
        lines += ["", f"[{role}]", f'code_prefix = "{PREFIXES[role]}"', f'scope = "{SCOPES[role]}"']
        for column, names in features:
            keys = ("column", "name", "zh", "en", "high_zh", "high_en", "low_zh", "low_en")
            told = zip(keys, (column, column, *names), strict=True)
            lines += ["", f"[[{role}.features]]", *(f"{key} = {_quoted(text)}" for key, text in told)]
    return schema_of("\n".join(lines) + "\n")


def _quoted(text: str) -> str:
    # A JSON string is a basic string of TOML, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
