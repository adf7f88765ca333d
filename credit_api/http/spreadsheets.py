"""Rows as CSV or XLSX bytes, and back. Text that a spreadsheet would run as a formula is written as text.

openpyxl is loaded by the first workbook: a service that starts needs none.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from financing.base.errors import CorruptData

CSV_TYPE = "text/csv; charset=utf-8"
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORMULA = ("=", "+", "-", "@", "\t", "\r")
ROWS_MAX = 100_000


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """UTF-8 with a byte-order mark, which is what spreadsheets in China expect."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_safe(value) for value in row] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def as_xlsx(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    from openpyxl import Workbook  # noqa: PLC0415

    book = Workbook(write_only=True)
    sheet = book.create_sheet(title)
    sheet.append(list(columns))
    for row in rows:
        sheet.append([_safe(value) for value in row])
    output = io.BytesIO()
    book.save(output)
    return output.getvalue()


def read_csv(content: bytes) -> list[dict[str, Any]]:
    """Rows by column name. Raises `CorruptData` for something that is not such a table."""
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorruptData(f"not a CSV table: {error}") from error
    if any(None in row for row in rows):
        raise CorruptData("a line has more fields than the header")
    return _limited([{name: _plain(value) for name, value in row.items() if value != ""} for row in rows])


def read_xlsx(content: bytes) -> list[dict[str, Any]]:
    """Rows of the first sheet by column name. Raises `CorruptData`."""
    from openpyxl import load_workbook  # noqa: PLC0415
    from openpyxl.utils.exceptions import InvalidFileException  # noqa: PLC0415

    try:
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        lines = [list(line) for line in book.worksheets[0].iter_rows(values_only=True)]
        book.close()
    except (InvalidFileException, OSError, KeyError, ValueError, IndexError) as error:
        raise CorruptData(f"not an XLSX table: {error}") from error
    except Exception as error:  # what a broken archive raises depends on where it is broken
        raise CorruptData("not an XLSX table") from error
    if not lines:
        raise CorruptData("the table is empty")
    names = [str(name) for name in lines[0]]
    rows = [
        {name: _plain(value) for name, value in zip(names, line, strict=False) if value is not None}
        for line in lines[1:]
    ]
    return _limited(rows)


def _limited(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(rows) > ROWS_MAX:
        raise CorruptData("a table has at most 100,000 rows", rows=len(rows))
    return rows


def _safe(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _plain(value: Any) -> Any:
    """Undo `_safe`."""
    return value[1:] if isinstance(value, str) and value[:1] == "'" and value[1:].startswith(FORMULA) else value
