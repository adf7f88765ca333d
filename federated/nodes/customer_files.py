"""Files of customers, CSV (plain or gzip) and parquet, as batches of columns: what they say is checked, not guessed.

A file is read in blocks, so its length does not matter. Columns go by name and in any order; each has to be there, and
no other. A cell that is empty is missing; a word, `nan` and `inf` among them, is refused, and so is a line of another
length, each with its line. Blocks are parsed by pandas where they are plain and each line has as many cells as the
header; any other block is read cell by cell, which also finds the line of what is wrong.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

from federated.errors import CorruptData, DataMissing, SchemaMismatch
from federated.models.encoding.ramps import FloatArray
from federated.nodes.checks import GZIP_MAGIC
from federated.nodes.customers import EPOCH, ID, OUTCOME, READ_FROM, READ_UNTIL, UNKNOWN, Batch, IntArray, Outcomes
from federated.nodes.store import NodeStore

PARQUET_MAGIC = b"PAR1"
# Bytes of a CSV file, and rows of a parquet file, that are parsed at a time.
BLOCK = 4 << 20
# The longest line: a thousand times what one of a schema has.
LINE = 1 << 20
ROWS = 50_000
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
BOM = b"\xef\xbb\xbf"
DAYS = (READ_FROM, READ_UNTIL)
Told = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class _Cells:
    """Columns of some rows: texts of ids, numbers (NaN = missing) of values and outcomes, days of periods."""

    subjects: list[str]
    numbers: dict[str, FloatArray]
    days: dict[str, IntArray]
    lines: range


class CustomerFile:
    """A file for one node's store. `told` is given the bytes (of a parquet file, rows) that were read since."""

    def __init__(self, store: NodeStore, path: Path, told: Told = lambda _: None) -> None:
        self._party, self._role, self._path, self._told = store.org_id, store.role, path, told
        self._columns = store.schema.party(store.role).columns
        try:
            with path.open("rb") as file:
                self._magic = file.read(4)
            self.size = path.stat().st_size
        except FileNotFoundError:
            raise DataMissing(f"{self._party}: {path.name} does not exist", party=self._party, file=path.name) from None
        except OSError as error:
            self._unreadable(error.strerror or "it is no file", error)

    def customers(self) -> Iterator[Batch]:
        """The customers of a file: `subject_id`, the party's columns, at a bank `outcome` or not, at a grid company
        `read_from` and `read_until`.

        Raises `SchemaMismatch`, `CorruptData` naming party, column and line, `DataMissing` for parquet without pyarrow.
        """
        bank = self._role == "bank"
        given = (ID, *self._columns, *(() if bank else DAYS))
        for cells in self._cells(given, (OUTCOME,) if bank else ()):
            yield Batch(
                cells.subjects,
                np.column_stack([cells.numbers[column] for column in self._columns]),
                cells.lines,
                self._outcomes(cells) if OUTCOME in cells.numbers else None,
                cells.days.get(READ_FROM),
                cells.days.get(READ_UNTIL),
            )

    def outcomes(self) -> Iterator[Outcomes]:
        """The outcomes of a file with the columns `subject_id` and `outcome`. Raises as `customers`."""
        for cells in self._cells((ID, OUTCOME), ()):
            yield Outcomes(cells.subjects, self._outcomes(cells), cells.lines)

    def subjects(self) -> Iterator[Sequence[str]]:
        """The ids of a file with the one column `subject_id`. Raises as `customers`."""
        for cells in self._cells((ID,), ()):
            yield cells.subjects

    def _outcomes(self, cells: _Cells) -> IntArray:
        told = cells.numbers[OUTCOME]
        for i in np.flatnonzero(~np.isnan(told) & (told != 0) & (told != 1))[:1]:
            self._refuse(OUTCOME, cells.lines[int(i)], "is neither 0 nor 1 nor empty")
        return np.where(np.isnan(told), UNKNOWN, told).astype(np.int64)

    def _cells(self, needed: Sequence[str], allowed: Sequence[str]) -> Iterator[_Cells]:
        if self._magic == PARQUET_MAGIC:
            return self._of_parquet(needed, allowed)
        return self._of_csv(needed, allowed)

    def _require_columns(self, header: Sequence[str], needed: Sequence[str], allowed: Sequence[str]) -> None:
        missing = [column for column in needed if column not in header]
        unknown = [column for column in header if column not in needed and column not in allowed]
        twice = sorted({column for column in header if header.count(column) > 1})
        if missing or unknown or twice:
            said = [
                f"{what} {', '.join(repr(column[:40]) for column in columns)}"
                for what, columns in (("lacks", missing), ("has no use for", unknown), ("has twice", twice))
                if columns
            ]
            detail = f"{self._party}: {self._path.name} line 1 {' and '.join(said)}"
            raise SchemaMismatch(
                detail, party=self._party, file=self._path.name, column=(missing or unknown or twice)[0],
                missing=missing, unknown=unknown,
            )  # fmt: skip

    # CSV

    def _of_csv(self, needed: Sequence[str], allowed: Sequence[str]) -> Iterator[_Cells]:
        line, header = 2, None
        for raw in self._blocks():
            block = raw
            if header is None:
                first, _, block = raw.removeprefix(BOM).partition(b"\n")
                header = self._split(first, 1)
                self._require_columns(header, needed, allowed)
            rows = block.count(b"\n")
            if rows:
                yield self._parsed(block, header, range(line, line + rows))
            line += rows
        if header is None:
            raise CorruptData(f"{self._party}: {self._path.name} is empty", party=self._party, file=self._path.name)

    def _blocks(self) -> Iterator[bytes]:
        """The file in blocks of whole lines that end with a line feed."""
        try:
            with self._path.open("rb") as raw:
                zipped = gzip.GzipFile(fileobj=raw) if self._magic[:2] == GZIP_MAGIC else None
                file: IO[bytes] = raw if zipped is None else zipped  # type: ignore[assignment]
                left, done = b"", 0
                while read := file.read(BLOCK):
                    whole, feed, rest = (left + read).rpartition(b"\n")
                    if feed:
                        yield (whole + feed).replace(b"\r\n", b"\n")
                    left = rest
                    if len(left) > LINE:
                        detail = f"{self._party}: {self._path.name} has a line of more than {LINE:,} bytes"
                        raise CorruptData(detail, party=self._party, file=self._path.name)
                    done, before = raw.tell(), done
                    self._told(done - before)
                if left.strip():
                    yield left.rstrip(b"\r") + b"\n"
        except (OSError, EOFError, zlib.error) as error:
            self._unreadable(str(error), error)

    def _parsed(self, block: bytes, header: Sequence[str], lines: range) -> _Cells:
        cells = self._parsed_at_once(block, header, lines)
        return self._parsed_by_cell(block, header, lines) if cells is None else cells

    @staticmethod
    def _parsed_at_once(block: bytes, header: Sequence[str], lines: range) -> _Cells | None:
        """A plain block by pandas; None where there is anything to look into."""
        # Pandas takes its time to load; who loads no file does not pay for it.
        import pandas as pd  # noqa: PLC0415

        if b'"' in block or b"\r" in block:
            return None
        signs = np.frombuffer(block, dtype=np.uint8)
        ends = np.flatnonzero(signs == ord("\n"))
        commas = np.flatnonzero(signs == ord(","))
        # Each line has as many cells as the header: pandas would fill a short one up.
        if not np.array_equal(np.searchsorted(commas, ends), (len(header) - 1) * np.arange(1, len(ends) + 1)):
            return None
        numbers = [column for column in header if column not in (ID, *DAYS)]
        try:
            frame = pd.read_csv(
                io.BytesIO(block),
                header=None,
                names=list(header),
                index_col=False,
                dtype={column: np.float64 if column in numbers else object for column in header},
                keep_default_na=False,
                na_values={column: [""] for column in numbers},
                skip_blank_lines=False,
                quoting=csv.QUOTE_NONE,
            )
        except (ValueError, OverflowError):
            return None
        if len(frame) != len(lines):
            return None
        days: dict[str, IntArray] = {}
        for column in (each for each in DAYS if each in header):
            told = {text: _day(text) for text in frame[column].unique().tolist()}
            if None in told.values():
                return None
            days[column] = np.array([told[text] for text in frame[column].tolist()], dtype=np.int64)
        return _Cells(frame[ID].tolist(), {each: frame[each].to_numpy(np.float64) for each in numbers}, days, lines)

    def _parsed_by_cell(self, block: bytes, header: Sequence[str], lines: range) -> _Cells:
        rows = [self._split(raw, line) for raw, line in zip(block[:-1].split(b"\n"), lines, strict=True)]
        for row, line in zip(rows, lines, strict=True):
            if len(row) != len(header):
                what = "an empty line" if row in ([], [""]) else f"{len(row)} cells, not {len(header)}"
                detail = f"{self._party}: {self._path.name} line {line} has {what}"
                raise CorruptData(detail, party=self._party, file=self._path.name, line=line)
        numbers, days, subjects = {}, {}, [""] * len(rows)
        for j, column in enumerate(header):
            texts = [row[j] for row in rows]
            if column == ID:
                subjects = texts
            elif column in DAYS:
                days[column] = np.array(
                    [self._day(text, column, line) for text, line in zip(texts, lines, strict=True)], dtype=np.int64
                )
            else:
                numbers[column] = np.array(
                    [self._number(text.strip(), column, line) for text, line in zip(texts, lines, strict=True)]
                )
        return _Cells(subjects, numbers, days, lines)

    def _split(self, raw: bytes, line: int) -> list[str]:
        try:
            return next(csv.reader([raw.decode("utf-8")], strict=True), [])
        except (UnicodeDecodeError, csv.Error) as error:
            what = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else f"is no line of CSV: {error}"
            detail = f"{self._party}: {self._path.name} line {line} {what}"
            raise CorruptData(detail, party=self._party, file=self._path.name, line=line) from error

    def _number(self, text: str, column: str, line: int) -> float:
        if not text:
            return float("nan")
        value = float(text) if NUMBER.fullmatch(text) else float("inf")
        if np.isinf(value):
            self._refuse(column, line, "is not a finite number")
        return value

    def _day(self, text: str, column: str, line: int) -> int:
        day = _day(text)
        if day is None:
            self._refuse(column, line, "is not a day (2026-01-31)")
        return day

    # Parquet

    def _of_parquet(self, needed: Sequence[str], allowed: Sequence[str]) -> Iterator[_Cells]:
        try:
            import pyarrow as pa  # noqa: PLC0415
            import pyarrow.parquet as pq  # noqa: PLC0415
        except ModuleNotFoundError as error:
            detail = f"{self._party}: {self._path.name} is parquet, which pyarrow reads: pip install 'tanxin[parquet]'"
            raise DataMissing(detail, party=self._party, file=self._path.name) from error
        try:
            with closing(pq.ParquetFile(self._path)) as file:
                header = list(file.schema_arrow.names)
                self._require_columns(header, needed, allowed)
                self._require_types(pa, file.schema_arrow)
                line, rows, size = 1, max(1, file.metadata.num_rows), self.size
                for part in file.iter_batches(ROWS):
                    if part.num_rows:
                        yield self._of_arrow(pa, part, range(line, line + part.num_rows))
                    before, line = line, line + part.num_rows
                    self._told(size * (line - 1) // rows - size * (before - 1) // rows)
        except (pa.ArrowException, OSError) as error:
            self._unreadable(str(error).splitlines()[0], error)

    def _require_types(self, pa: Any, schema: Any) -> None:
        types = pa.types
        for column in schema:
            text = types.is_string(column.type) or types.is_large_string(column.type)
            if column.name == ID:
                fits = text
            elif column.name in DAYS:
                fits = types.is_date(column.type)
            else:
                fits = types.is_integer(column.type) or types.is_floating(column.type) or types.is_decimal(column.type)
            if not fits:
                detail = f"{self._party}: {self._path.name} has {column.type} in column {column.name}"
                raise SchemaMismatch(detail, party=self._party, file=self._path.name, column=column.name)

    def _of_arrow(self, pa: Any, part: Any, lines: range) -> _Cells:
        numbers: dict[str, FloatArray] = {}
        days: dict[str, IntArray] = {}
        for name in part.schema.names:
            column = part.column(name)
            if name in (ID, *DAYS) and column.null_count:
                first = next(i for i, cell in enumerate(column.is_null().to_pylist()) if cell)
                self._refuse(name, lines[first], "is empty")
            if name in DAYS:
                days[name] = column.cast(pa.date32()).cast(pa.int32()).to_numpy().astype(np.int64)
            elif name != ID:
                # Missing is null. What is no number says that something was computed wrongly.
                told = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
                valid = ~np.asarray(column.is_null().to_numpy(zero_copy_only=False))
                for i in np.flatnonzero(valid & ~np.isfinite(told))[:1]:
                    self._refuse(name, lines[int(i)], "is not a finite number")
                numbers[name] = np.asarray(told, dtype=np.float64)
        return _Cells(part.column(ID).to_pylist(), numbers, days, lines)

    def _refuse(self, column: str, line: int, what: str) -> NoReturn:
        detail = f"{self._party}: column {column} line {line} {what}"
        raise CorruptData(detail, party=self._party, column=column, line=line, file=self._path.name)

    def _unreadable(self, why: str, error: Exception) -> NoReturn:
        detail = f"{self._party}: {self._path.name} cannot be read: {why}"
        raise CorruptData(detail, party=self._party, file=self._path.name) from error


def _day(text: str) -> int | None:
    if not DAY.fullmatch(text):
        return None
    try:
        return (date.fromisoformat(text) - EPOCH).days
    except ValueError:
        return None
