"""Customers of a node that runs, from its own organisation's systems: added, changed, corrected, deleted, counted.

One process has the store open, so what changes it is asked of that process. A file is taken whole or not at all, as
`tanxin node load` takes it; rows as JSON are such a file too.
"""

from __future__ import annotations

import csv
import json
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from anyio import to_thread
from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from credit_api.nodes.hearing import on_question, read, route, told
from federated.errors import ChannelRefused, CorruptData
from federated.nodes.bank import BankNode
from federated.nodes.customer_files import CustomerFile
from federated.nodes.customers import Deletion, Loaded, delete_customers, holdings, load_customers, set_outcomes
from federated.nodes.grid import GridNode
from federated.nodes.node import Node

# Twelve times what a million customers of 23 columns have.
MOST_FILE_BYTES = 1 << 32
MOST_ROWS = 1_000
ARRIVING = ".arriving-"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
JSON = "application/json"
Id = Annotated[str, Field(min_length=1, max_length=128)]


class Named(BaseModel):
    """Customers that are to be deleted."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    subjects: Annotated[list[Id], Field(min_length=1, max_length=10_000)]


class Asked(BaseModel):
    """One customer."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    subject: Id


class Nothing(BaseModel):
    """A question without terms."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# Whole numbers stay whole: an id that is written as a number is these digits.
Row = dict[Annotated[str, Field(max_length=100)], StrictStr | StrictInt | StrictFloat | None]


class Rows(BaseModel):
    """Customers, or outcomes, as rows: columns by name, null where a value is missing."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    rows: Annotated[list[Row], Field(min_length=1, max_length=MOST_ROWS)]


def customer_routes(app: Starlette, node: BankNode | GridNode, home: Path) -> None:
    """Routes on a node's own socket; `home` has room for what arrives."""
    clear(home)

    async def load(request: Request) -> Response:
        return await _taken(request, node, home, lambda source: load_customers(node.store, source.customers()))

    async def outcomes(request: Request) -> Response:
        if not isinstance(node, BankNode):
            raise ChannelRefused(f"{node.org_id} is no bank: how loans ended is a bank's to say")
        return await _taken(request, node, home, lambda source: set_outcomes(node.store, source.outcomes()))

    @on_question(app, "/customers/delete", Named)
    def delete(asked: Named) -> dict[str, Any]:
        return asdict(delete_customers(node.store, asked.subjects))

    async def delete_file(request: Request) -> Response:
        def gone(source: CustomerFile) -> Deletion:
            return delete_customers(node.store, [each for part in source.subjects() for each in part])

        return await _taken(request, node, home, gone)

    route(app, "/customers/load", load)
    route(app, "/customers/outcomes", outcomes)
    route(app, "/customers/delete-file", delete_file)

    @on_question(app, "/customers/holdings", Nothing)
    def held(_: Nothing) -> dict[str, Any]:
        return asdict(holdings(node.store))

    @on_question(app, "/customers/uses", Asked)
    def uses(asked: Asked) -> dict[str, Any]:
        return {"uses": [asdict(use) for use in node.uses_of(asked.subject)]}


def clear(home: Path) -> None:
    """Remove what was arriving when a process ended."""
    for left in home.glob(f"{ARRIVING}*"):
        shutil.rmtree(left, ignore_errors=True)


async def _taken(
    request: Request, node: Node, home: Path, put: Callable[[CustomerFile], Loaded | Deletion]
) -> Response:
    name = request.query_params.get("name", "customers")
    if not NAME.fullmatch(name):
        raise CorruptData("a file's name has up to 100 letters, digits, dots, hyphens and underscores")
    with _room(home) as folder:
        path = folder / name
        if request.headers.get("content-type", "").partition(";")[0] == JSON:
            rows = await read(request, Rows)
            await to_thread.run_sync(_written, path, rows.rows)
        else:
            await _received(request, path)
        done = await to_thread.run_sync(lambda: put(CustomerFile(node.store, path)))
    return told(asdict(done))


@contextmanager
def _room(home: Path) -> Iterator[Path]:
    folder = home / f"{ARRIVING}{secrets.token_hex(8)}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _received(request: Request, path: Path) -> None:
    size = 0
    with path.open("wb") as file:
        async for part in request.stream():
            size += len(part)
            if size > MOST_FILE_BYTES:
                raise ChannelRefused(f"a file of customers has {MOST_FILE_BYTES:,} bytes at the most")
            await to_thread.run_sync(file.write, part)


def _written(path: Path, rows: Sequence[Row]) -> None:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


def _cell(value: str | int | float | None) -> str:
    # Numbers are written as JSON writes them, so that none loses a digit.
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
