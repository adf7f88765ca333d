"""Score a file of customers as a client of the API: one inquiry and one status a row, resumable.

The output is flushed to disk row by row. Started again, rows that are in it already are skipped, so an interrupted
batch asks nobody twice; a row whose answer was cut short is asked again.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

ASKED = ("subject_id", "consent_id", "purpose")
ANSWERED = (
    "status",
    "code",
    "score",
    "probability",
    "grade",
    "basis",
    "electricity",
    "model_version",
    "valid_until",
    "inquiry_id",
)
# The service or the key is wrong, not the row: going on would only repeat it.
FATAL = frozenset({401, 500, 501, 502, 503, 504})


class BatchRefused(Exception):
    """The batch cannot start or go on. `code` is stable; rows answered so far are kept."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def score_rows(source: Path, output: Path, url: str, key: str, console: Console) -> Counter[str]:
    """Score every row of `source` that is not in `output` yet; counts by status (score, no_file, refused).

    Raises `BatchRefused` for a file that is not such a CSV, an output of another shape, or a service that fails.
    """
    rows = _read(source, ASKED, "corrupt_data")
    done = {_identity(row) for row in _finished(output)}
    remaining = [row for row in rows if _identity(row) not in done]
    counts: Counter[str] = Counter()
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False) as http,
        output.open("a", newline="", encoding="utf-8") as file,
        Progress(*columns, console=console) as progress,
    ):
        writer = csv.DictWriter(file, [*ASKED, *ANSWERED])
        if file.tell() == 0:
            writer.writeheader()
        bar = progress.add_task("", total=len(rows), completed=len(rows) - len(remaining))
        for row in remaining:
            answer = _ask(http, row)
            writer.writerow(row | answer)
            _flush(file)
            counts[answer["status"]] += 1
            progress.advance(bar)
    return counts


def _ask(http: httpx.Client, row: dict[str, str]) -> dict[str, Any]:
    try:
        reply = http.post("/v1/scores", json=row)
        body = reply.json()
    except (httpx.HTTPError, ValueError) as error:
        raise BatchRefused("service_unreachable", f"no answer from the service: {error}") from error
    if reply.status_code in FATAL:
        raise BatchRefused(str(body.get("code", "service_failed")), str(body.get("detail", reply.status_code)))
    if reply.is_error:
        return {"status": "refused", "code": body["code"]}
    return {"status": body["answer"]} | {name: body[name] for name in ANSWERED if name in body}


def _read(path: Path, columns: tuple[str, ...], code: str) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            if reader.fieldnames is None or not set(columns) <= set(reader.fieldnames):
                raise BatchRefused(code, f"{path}: needs the columns {', '.join(columns)}")
            return [_cells(path, number, row, columns, code) for number, row in enumerate(reader, 2)]
    except FileNotFoundError as error:
        raise BatchRefused("not_found", f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BatchRefused(code, f"{path}: cannot be read as CSV: {error}") from error


def _cells(path: Path, number: int, row: dict[str, str | None], columns: tuple[str, ...], code: str) -> dict[str, str]:
    cells = {name: (row[name] or "").strip() for name in columns}
    if not all(cells[name] for name in ASKED):
        raise BatchRefused(code, f"{path}, line {number}: a cell is empty")
    return cells


def _finished(output: Path) -> Iterator[dict[str, str]]:
    """Rows with an answer. A last line that was cut short is taken away first, so that it is asked again.

    Raises `BatchRefused`, the file untouched, for one of another program or with the columns of an earlier version:
    rows of this one would land in the wrong columns.
    """
    if not output.exists() or output.stat().st_size == 0:
        return
    with output.open("rb+") as file:
        content = file.read()
        header = f"{','.join((*ASKED, *ANSWERED))}\r\n".encode()
        if not content.startswith(header) and not header.startswith(content):
            raise BatchRefused("output_not_ours", f"{output}: has other columns than are written now; name a new file")
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)
    if whole:
        yield from _read(output, (*ASKED, "status"), "output_not_ours")


def _identity(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in ASKED)


def _flush(file: IO[str]) -> None:
    file.flush()
    os.fsync(file.fileno())
