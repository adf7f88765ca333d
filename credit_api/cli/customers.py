"""`tanxin node …`: load, correct and delete the customers of one node, in its own store."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from credit_api.cli import node_consents, node_keys, node_serving
from credit_api.cli.meters import meter_app
from credit_api.cli.network import refusals
from credit_api.cli.options import REFUSED
from federated.channel.own_socket import OwnNode, is_served
from federated.errors import ChannelRefused, FederatedError
from federated.nodes.customer_files import CustomerFile
from federated.nodes.customers import (
    Deletion,
    Holdings,
    Loaded,
    delete_customers,
    holdings,
    load_customers,
    set_outcomes,
)
from federated.nodes.store import NodeStore

node_app = typer.Typer(no_args_is_help=True, help="One bank or grid company: its key, its certificate, its customers.")
for _name, _command in (node_keys.COMMANDS | node_serving.COMMANDS | node_consents.COMMANDS).items():
    node_app.command(_name)(_command)
node_app.add_typer(meter_app, name="meter")
Store = Annotated[Path, typer.Option(help="The node's store, such as <home>/network/nodes/bank-gusu.db.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]


@node_app.command("load")
def load(
    store: Store,
    file: Annotated[
        Path, typer.Option(help="CSV (gzip too) or parquet: subject_id and all columns of the party, by name.")
    ],
    as_json: AsJson = False,
) -> None:
    """Add customers and replace those that are there, the whole file or nothing. A correction is the same command."""
    served = _served(store)
    if served is not None:
        done = _sent(served, "/customers/load", file)
    else:
        with _opened(store) as opened, _read(opened, file) as source:
            done = load_customers(opened, source.customers())
    _say_loaded(done, as_json)


@node_app.command("outcomes")
def outcomes(
    store: Store,
    file: Annotated[
        Path, typer.Option(help="CSV (gzip too) or parquet: subject_id and outcome, 0 = paid, 1 = defaulted.")
    ],
    as_json: AsJson = False,
) -> None:
    """Set or correct how customers' loans ended, the whole file or nothing; an empty outcome takes one back."""
    served = _served(store)
    if served is not None:
        done = _sent(served, "/customers/outcomes", file)
    else:
        with _opened(store) as opened, _read(opened, file) as source:
            done = set_outcomes(opened, source.outcomes())
    _say_loaded(done, as_json)


@node_app.command("delete")
def delete(
    store: Store,
    subject: Annotated[list[str] | None, typer.Option(help="A customer; may be given several times.")] = None,
    file: Annotated[Path | None, typer.Option(help="CSV (gzip too) or parquet with the one column subject_id.")] = None,
    as_json: AsJson = False,
) -> None:
    """Delete customers from a node (PIPL, article 47), and name what is left of them and why. Safe to run again."""
    if not subject and file is None:
        raise typer.BadParameter("name a customer, or a file of them", param_hint="--subject")
    named, served = list(subject or ()), _served(store)
    if served is not None:
        done = _deleted_there(served, named, file)
    else:
        with _opened(store) as opened:
            if file is not None:
                with _read(opened, file) as source:
                    named += [each for part in source.subjects() for each in part]
            done = delete_customers(opened, named)
    if as_json:
        _print_json(done)
    else:
        _say_deleted(done)


@node_app.command("show")
def show(store: Store, as_json: AsJson = False) -> None:
    """What a node's store holds, in numbers: customers, schema, hash of the data. Never a row."""
    served = _served(store)
    if served is not None:
        with refusals():
            held = TypeAdapter(Holdings).validate_python(OwnNode(served).ask("/customers/holdings"))
    else:
        with _opened(store) as opened:
            held = holdings(opened)
    if as_json:
        _print_json(held)
        return
    for name, value in _lines(held):
        sys.stdout.write(f"{name:16} {value}\n")


@node_app.command("uses")
def uses(
    home: Annotated[Path, typer.Option(help="The home that a running node serves.")],
    subject: Annotated[str, typer.Option(help="The customer.")],
) -> None:
    """What the running node did with a customer's data, newest first: what it owes the customer to tell; JSON."""
    with refusals():
        told = OwnNode(home).ask("/customers/uses", {"subject": subject})
    sys.stdout.write(json.dumps(told["uses"], indent=1, ensure_ascii=False) + "\n")


def _served(store: Path) -> Path | None:
    """The home whose running node has this store open: then what is asked for is asked of it, as it alone opens it."""
    home = store.resolve().parent.parent
    return home if store.resolve().parent.name == "nodes" and is_served(home) else None


def _sent(home: Path, path: str, file: Path) -> Loaded:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with refusals(), Progress(*columns, console=Console(stderr=True)) as progress:
        size = file.stat().st_size if file.is_file() else None
        task = progress.add_task(f"{file.name}, to the running node", total=size)
        told = OwnNode(home).send(path, file, lambda sent: progress.update(task, advance=sent))
        return TypeAdapter(Loaded).validate_python(told)


def _deleted_there(home: Path, named: list[str], file: Path | None) -> Deletion:
    with refusals():
        if named and file is not None:
            raise ChannelRefused("a running node is given customers or a file of them, one at a time")
        node = OwnNode(home)
        asked = (
            node.send("/customers/delete-file", file) if file else node.ask("/customers/delete", {"subjects": named})
        )
        return TypeAdapter(Deletion).validate_python(asked)


@contextmanager
def _opened(path: Path) -> Iterator[NodeStore]:
    """A node's store; a refusal is one line on stderr, and nothing was changed then."""
    try:
        store = NodeStore(path)
        try:
            yield store
        finally:
            store.close()
    except FederatedError as error:
        text = f"error {error.code}: {error.detail}"
        Console(stderr=True).print(text, style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(REFUSED) from error


@contextmanager
def _read(store: NodeStore, path: Path) -> Iterator[CustomerFile]:
    """A file whose reading shows on stderr; what follows it, as the last step, is named there too."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        source = CustomerFile(store, path, lambda read: progress.update(task, advance=read))
        task = progress.add_task(path.name, total=source.size)
        yield source


def _say_loaded(done: Loaded, as_json: bool) -> None:
    if as_json:
        _print_json(done)
        return
    sys.stdout.write(
        f"{done.party}: {done.added:,} added, {done.changed:,} changed, {done.unchanged:,} as they were;"
        f" {done.customers:,} customers, data {done.data_sha256}\n"
    )


def _say_deleted(done: Deletion) -> None:
    out, err = Console(highlight=False, soft_wrap=True, markup=False), Console(stderr=True, soft_wrap=True)
    out.print(f"{done.party}: {done.deleted:,} deleted; {done.customers:,} customers, data {done.data_sha256}")
    if done.unknown:
        err.print(f"no file here of: {', '.join(done.unknown)}", style="yellow", markup=False, highlight=False)
    for peer, places in done.places.items():
        out.print(f"alignment with {peer}: {places:,} places are empty now")
    if not done.scrubbed:
        line = "another program holds the store: its free pages are cleared at its next use, or when you ask again"
        err.print(line, style="yellow", markup=False)
    for kept in done.kept:
        number = "" if kept.count is None else f" ({kept.count:,})"
        until = "" if kept.until is None else f"; until {kept.until:%Y-%m-%d}"
        out.print(f"left, {kept.what}{number}: {kept.why}{until}")


def _lines(held: Holdings) -> Iterator[tuple[str, str]]:
    yield "party", f"{held.party} ({held.role})"
    yield "schema", f"{held.schema_id} {held.schema_version}, data origin: {held.data_origin}"
    yield "columns", ", ".join(held.columns)
    yield "customers", f"{held.customers:,}"
    if held.role == "bank":
        yield "outcomes", _counts(held.outcomes, {"0": "paid", "1": "defaulted", "-1": "not known"})
        yield "folds", _counts(held.folds, {"-1": "none"})
    else:
        yield (
            "readings",
            f"{held.read_from or '-'} to {held.read_until or '-'}, {held.without_period:,} without a period",
        )
    yield "alignments", _counts(held.alignments, {}) or "none"
    yield "consents", f"{held.consents:,}"
    yield "uses", f"{held.uses:,}"
    yield "data", held.data_sha256


def _counts(counts: dict[str, int], names: dict[str, str]) -> str:
    return ", ".join(f"{names.get(value, value)}: {count:,}" for value, count in counts.items())


def _print_json(done: Any) -> None:
    sys.stdout.write(json.dumps(asdict(done), indent=1, default=_instant) + "\n")


def _instant(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)
