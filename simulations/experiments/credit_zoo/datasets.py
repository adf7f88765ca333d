"""The public credit sets and arbitrary labelled tables, cut by columns between a label holder and another party."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from federated.errors import CorruptData, DataMissing, SchemaMismatch
from federated.models.encoding.categories import RawTable
from federated.nodes.checks import GZIP_MAGIC

SPLIT_SEED = 0
# Twice as many as there are folds: each fold then holds a few rows of either class.
LEAST_OF_A_CLASS = 10
# A column with at least this share of numbers among its filled cells is one of numbers, and a word in it a slip.
MOSTLY_NUMBERS = 0.9
# Known only after the outcome, or naming the row: never features.
SBA_DROPPED = (
    "Selected", "LoanNr_ChkDgt", "State", "ChgOffDate", "BalanceGross", "MIS_Status", "ChgOffPrinGr", "Recession",
    "daysterm", "xx",
)  # fmt: skip
FILES = {
    "taiwan": ("taiwan_fate_hetero_guest.csv", "y", ()),
    "german": ("german_credit.csv", "bad", ()),
    "australian": ("australian_credit.csv", "approved", ()),
    "heloc": ("heloc_fico.csv", "bad", ()),
    "sba": ("sba_ca_realestate_sme.csv", "Default", SBA_DROPPED),
    "polish5": ("polish_bankruptcy_5year_sme.csv", "bankrupt", ()),
}  # fmt: skip
# Columns whose numbers are codes without an order.
CODES = {
    "australian": ("A1", "A4", "A5", "A6", "A8", "A9", "A11", "A12"),
    "sba": ("Zip", "NAICS", "NewExist", "FranchiseCode", "UrbanRural"),
}


@dataclass(frozen=True, slots=True)
class BenchTable:
    """A labelled table: `labels` (rows,) in {0, 1}, and the columns of the label holder and of the other party."""

    name: str
    labels: NDArray[np.int64]
    holder: RawTable
    other: RawTable
    data_sha256: str


def load_dataset(name: str, folder: Path) -> BenchTable:
    """A public set from `folder` (plain or .gz). Raises `DataMissing`, `CorruptData` or `SchemaMismatch`."""
    if name not in FILES:
        raise DataMissing(f"there is no data set {name}; known are {', '.join(FILES)}", dataset=name)
    file, target, dropped = FILES[name]
    if name == "taiwan":
        return _taiwan(folder)
    frame = read_frame(_file_in(folder, file))
    return cut_table(name, frame, target, None, dropped, None, CODES.get(name, ()))


def load_csv(
    path: Path,
    target: str,
    positive: str | None,
    drop: Sequence[str],
    parties: str | None,
    grid_columns: Sequence[str] = (),
) -> BenchTable:
    """Any labelled CSV file, its columns cut between the label holder (a bank) and the other party (a grid company).

    `parties` is `a,b|c,d`: the bank's columns, then the grid company's, the rest left out. `grid_columns` names the
    grid company's alone, the rest being the bank's. Without either: random halves. Raises `DataMissing`, `CorruptData`
    or `SchemaMismatch`, naming file, line and column.
    """
    frame = read_frame(path)
    features = [str(c) for c in frame.columns if c != target and c not in drop]
    for column in features:
        _refuse_slips(path.name, frame[column])
    sides = None
    if grid_columns:
        if parties is not None:
            raise SchemaMismatch(f"{path.name}: give --parties or --grid-columns, not both", file=path.name)
        sides = _beside(path.name, features, grid_columns)
    cut = cut_table(path.name, frame, target, positive, drop, parties, (), sides)
    return replace(cut, name=path.stem)


def read_frame(path: Path) -> pd.DataFrame:
    """A CSV file, plain or gzip, with a header; rows are indexed by their lines in the file.

    Raises `DataMissing`, `CorruptData` (unreadable, or rows of another length than the header) or `SchemaMismatch`.
    """
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == GZIP_MAGIC else raw).decode("utf-8-sig")
        lines = _lines(path.name, text)
        frame = pd.read_csv(io.StringIO(text), skipinitialspace=True, low_memory=False, index_col=False)
        frame.index = pd.Index(lines)
    except FileNotFoundError:
        raise DataMissing(f"{path.name} does not exist", file=path.name) from None
    except (OSError, EOFError, ValueError, csv.Error, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        told = " ".join(str(error).split())
        raise CorruptData(f"{path.name} cannot be read: {told}", file=path.name) from error
    frame.columns = [str(c).strip() for c in frame.columns]
    return frame


def _lines(name: str, text: str) -> list[int]:
    """The line of each row, once every row has as many fields as the header and no column occurs twice."""
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    header = [column.strip() for column in next((row for row in reader if row), [])]
    twice = sorted({c for c in header if header.count(c) > 1})
    if twice:
        raise SchemaMismatch(f"{name} has column {twice[0]} twice", file=name, column=twice[0])
    lines = []
    for row in reader:
        if row and len(row) != len(header):
            detail = f"{name} line {reader.line_num} has {len(row)} fields, the header has {len(header)}"
            raise CorruptData(detail, file=name, line=reader.line_num)
        if row:
            lines.append(reader.line_num)
    return lines


def enough_of_each(labels: NDArray[np.int64], name: str) -> None:
    """Raise `CorruptData` if a class of `labels` (rows,) in {0, 1} has too few rows to be spread over the folds."""
    if min(np.bincount(labels, minlength=2)) < LEAST_OF_A_CLASS:
        raise CorruptData(f"{name}: a class has fewer than {LEAST_OF_A_CLASS} rows", party=name, column="y")


def cut_table(
    name: str,
    frame: pd.DataFrame,
    target: str,
    positive: str | None,
    drop: Sequence[str],
    parties: str | None,
    codes: Sequence[str],
    sides: tuple[list[str], list[str]] | None = None,
) -> BenchTable:
    """Labels and the two parties' columns of a frame: `sides`, or `parties`, or random halves of them, seed 0."""
    if not target:
        raise SchemaMismatch(f"{name}: name the label column (--target)", party=name)
    for column in (target, *drop, *codes):
        if column not in frame.columns:
            raise SchemaMismatch(f"{name}: there is no column {column}", party=name, column=column)
    if frame.empty:
        raise CorruptData(f"{name}: there are no rows below the header", party=name)
    labels = _labels(name, frame[target], positive)
    features = [str(c) for c in frame.columns if c != target and c not in drop]
    if len(features) < 2:
        raise SchemaMismatch(f"{name}: two parties need at least two feature columns", party=name)
    if sides is None:
        sides = _halves(features) if parties is None else _named(name, features, parties)
    digest = hashlib.sha256(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    digest.update(repr((sides, target, positive, tuple(codes))).encode())
    holder, other = (_raw(name, frame, columns, codes) for columns in sides)
    return BenchTable(name, labels, holder, other, digest.hexdigest())


def _labels(name: str, column: pd.Series, positive: str | None) -> NDArray[np.int64]:
    if column.isna().any():
        line = _first(column.isna())
        raise CorruptData(f"{name}: column {column.name} line {line} has no label", party=name, column=column.name)
    words = column.astype(str).str.strip()
    if positive is not None:
        labels = ((words == positive) | (words == f"{positive}.0")).to_numpy().astype(np.int64)
    else:
        number = pd.to_numeric(words, errors="coerce")
        others = ~number.isin([0, 1])
        if others.any():
            line = _first(others)
            detail = (
                f"{name}: column {column.name} holds something else than 0 and 1, {words[line][:40]!r} in line {line}; "
                "name the bad outcome (--positive)"
            )
            raise CorruptData(detail, party=name, column=column.name, line=line)
        labels = number.to_numpy().astype(np.int64)
    if len(np.unique(labels)) < 2:
        detail = f"{name}: column {column.name} has one class only, nothing can be learnt"
        if positive is not None and not labels.any():
            detail += f": no row holds {positive!r}"
        raise CorruptData(detail, party=name, column=column.name)
    return np.asarray(labels, dtype=np.int64)


def _first(rows: pd.Series) -> int:
    """The line of the first row that is marked."""
    return int(rows.index[int(np.argmax(rows.to_numpy()))])


def _refuse_slips(name: str, cells: pd.Series) -> None:
    """Raise `CorruptData` for words in a column of numbers: one slip would make categories of them all."""
    if pd.api.types.is_numeric_dtype(cells):
        return
    filled = cells.dropna()
    words = pd.to_numeric(filled, errors="coerce").isna()
    if words.any() and words.mean() <= 1 - MOSTLY_NUMBERS:
        line = _first(words)
        found = str(filled[line]).strip()[:40]
        detail = (
            f"{name}: column {cells.name} line {line} is not a number: {found!r}; most of the column are, "
            "so empty that cell or drop the column (--drop)"
        )
        raise CorruptData(detail, party=name, column=cells.name, line=line)


def _halves(features: list[str]) -> tuple[list[str], list[str]]:
    order = np.random.default_rng(SPLIT_SEED).permutation(len(features))
    half = len(features) // 2
    return [features[i] for i in np.sort(order[:half])], [features[i] for i in np.sort(order[half:])]


def _named(name: str, features: list[str], parties: str) -> tuple[list[str], list[str]]:
    sides = [[c.strip() for c in side.split(",") if c.strip()] for side in parties.split("|")]
    if len(sides) != 2 or not all(sides):
        raise SchemaMismatch(f"{name}: --parties has to look like 'a,b|c,d'", party=name)
    for column in (*sides[0], *sides[1]):
        if column not in features:
            raise SchemaMismatch(f"{name}: there is no feature column {column}", party=name, column=column)
        if (sides[0] + sides[1]).count(column) > 1:
            raise SchemaMismatch(f"{name}: column {column} is given to both parties", party=name, column=column)
    return sides[0], sides[1]


def _beside(name: str, features: list[str], theirs: Sequence[str]) -> tuple[list[str], list[str]]:
    for column in theirs:
        if column not in features:
            raise SchemaMismatch(f"{name}: there is no feature column {column}", party=name, column=column)
    own = [column for column in features if column not in theirs]
    if not own:
        raise SchemaMismatch(f"{name}: --grid-columns leaves the bank no column", party=name)
    return own, list(dict.fromkeys(theirs))


def _raw(name: str, frame: pd.DataFrame, columns: Sequence[str], codes: Sequence[str]) -> RawTable:
    numbers = np.full((len(frame), len(columns)), np.nan)
    words = {}
    for j, column in enumerate(columns):
        cells = frame[column]
        if cells.isna().all():
            raise CorruptData(f"{name}: column {column} is empty in every row", party=name, column=column)
        if pd.api.types.is_numeric_dtype(cells) and column not in codes:
            numbers[:, j] = cells.to_numpy(dtype=np.float64)
        else:
            text = cells.astype(str).str.strip().astype(object)
            words[j] = np.array(text.where(cells.notna(), None), dtype=object)
    for i, j in np.argwhere(np.isinf(numbers)).tolist()[:1]:
        line = int(frame.index[i])
        detail = f"{name}: column {columns[j]} holds an infinite value in line {line}"
        raise CorruptData(detail, party=name, column=columns[j], line=line)
    return RawTable(tuple(columns), numbers, words)


def _file_in(folder: Path, name: str) -> Path:
    for candidate in (folder / f"{name}.gz", folder / name):
        if candidate.is_file():
            return candidate
    raise DataMissing(f"neither {name}.gz nor {name} is in {folder}", file=name)


def _taiwan(folder: Path) -> BenchTable:
    """FATE's own vertical split, rows in order of id."""
    guest = read_frame(_file_in(folder, "taiwan_fate_hetero_guest.csv")).sort_values("id", kind="stable")
    host = read_frame(_file_in(folder, "taiwan_fate_hetero_host.csv")).sort_values("id", kind="stable")
    if guest["id"].tolist() != host["id"].tolist():
        raise CorruptData("grid: column id holds other ids than the bank's file", party="grid", column="id")
    own = [c for c in guest.columns if c not in ("id", "y")]
    theirs = {c: f"host_{c}" for c in host.columns if c != "id"}
    frame = pd.concat(
        [
            guest.drop(columns="id").reset_index(drop=True),
            host.drop(columns="id").rename(columns=theirs).reset_index(drop=True),
        ],
        axis=1,
    )
    parties = f"{','.join(own)}|{','.join(theirs.values())}"
    return cut_table("taiwan", frame, "y", None, (), parties, ())
