"""`tanxin network up|status|down --local`: a network of real processes on loopback."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from federated.operating.commands import refusals

if TYPE_CHECKING:
    from simulations.local_network.views import Seen

Home = Annotated[Path, typer.Option(help="Where the parties' homes lie, each in a folder of its own.")]
Local = Annotated[bool, typer.Option("--local", help="All on this machine, as a sandbox. Other networks have no `up`.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]
FIRMS, FOLDS = 17_000, 1


def up(
    local: Local = False,
    home: Home = Path("var/local-network"),
    data: Annotated[
        Path | None, typer.Option(help="Folder with FATE's Taiwan files; without it, generated firms.")
    ] = None,
    firms: Annotated[int, typer.Option(min=300, max=100_000, help="Size of the generated population.")] = FIRMS,
    folds: Annotated[int, typer.Option(min=1, max=5, help="How many of the five folds to measure.")] = FOLDS,
    seed: Annotated[int, typer.Option(min=0, help="Seed of data, folds and training.")] = 2024,
    least_rows: Annotated[
        int | None, typer.Option(min=0, help="How many customers nodes insist on, in place of their own limits.")
    ] = None,
    superlink: Annotated[
        bool, typer.Option(help="Begin the run over Flower's SuperLink and SuperNodes, in processes of their own too.")
    ] = True,
    namespaces: Annotated[
        bool, typer.Option("--namespaces", help="Each node in a network namespace with an address of its own: as root.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """From nothing to the first score: certificates, five nodes, training, approval. Safe to run again."""
    from simulations.experiments.vertical_credit.pipeline import cut_off, with_folds  # noqa: PLC0415
    from simulations.local_network import bringing_up  # noqa: PLC0415
    from simulations.local_network.layout import Layout  # noqa: PLC0415
    from simulations.training_run import load_tables  # noqa: PLC0415

    _require_local(local)
    console, began = Console(stderr=True, highlight=False, markup=False, soft_wrap=True), time.monotonic()

    def say(line: str) -> None:
        console.print(f"{time.monotonic() - began:6.1f} s  {line}")

    with refusals(console), bringing_up.alone(home):
        wanted = bringing_up.Wanted(
            lambda: with_folds(load_tables(data, firms, seed), seed), folds, seed, cut_off(), least_rows, superlink
        )
        done = bringing_up.bring_up(Layout.at(home, namespaces=namespaces), wanted, say)
    if as_json:
        sys.stdout.write(bringing_up.as_json(done))
        return
    say(f"up after {done['seconds']:.0f} s; `tanxin network status --home {home}` shows it, `network down` ends it")


def status(
    home: Home = Path("var/local-network"),
    as_json: AsJson = False,
    page: Annotated[
        Path | None, typer.Option(help="Write a page of it to this HTML file: all parties, stores and a drawing.")
    ] = None,
) -> None:
    """Who runs where: processes, addresses, memory, health, and whose stores each has open."""
    from simulations.local_network import bringing_up  # noqa: PLC0415
    from simulations.local_network.layout import Layout  # noqa: PLC0415
    from simulations.local_network.page import page as page_of  # noqa: PLC0415
    from simulations.local_network.views import look_at  # noqa: PLC0415

    console, errors = Console(width=160, highlight=False), Console(stderr=True, highlight=False, markup=False)
    with refusals(errors):
        found = look_at(Layout.known(home))
        if page is not None:
            page.write_text(page_of(found), "utf-8")
            errors.print(f"wrote {page}", soft_wrap=True)
    if as_json:
        sys.stdout.write(bringing_up.as_json([asdict(each) for each in found.processes]))
        return
    console.print(_table(found) if found.processes else "nothing runs")


def _table(found: Seen) -> Table:
    titles = ("process", "pid", "answers at", "MiB", "health", "certificate until", "has open", "champion", "met")
    table = Table(*titles, box=None, padding=(0, 2, 0, 0))
    for each in found.processes:
        standing = each.standing or {}
        peers = f"{len(standing['met'])}/{len(standing['met']) + len(standing['unmet'])}" if standing else "-"
        health = "-" if each.wrong is None else ", ".join(each.wrong) or "well"
        table.add_row(
            each.name, str(each.pid), each.address, f"{each.memory_mib:.0f}", health,
            (each.certificate_until or "-")[:10], "\n".join(each.stores) or "-", str(standing.get("champion") or "-"),
            peers,
        )  # fmt: skip
    return table


def down(home: Home = Path("var/local-network")) -> None:
    """End all processes of a local network. Homes and data stay."""
    from simulations.local_network.layout import Layout  # noqa: PLC0415
    from simulations.local_network.namespaces import remove  # noqa: PLC0415
    from simulations.local_network.processes import Processes  # noqa: PLC0415

    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    with refusals(console):
        layout = Layout.known(home)
        processes = Processes(layout.home)
        names = [each.name for each in processes.listed() if each.runs]
        killed = processes.stop()
        if layout.namespaces:
            remove(layout)
    console.print(f"ended: {', '.join(names) or 'nothing ran'}")
    for name in killed:
        console.print(f"{name} had to be killed", style="yellow")


def _require_local(local: bool) -> None:
    if not local:
        raise typer.BadParameter(
            "is needed: parties of a network on several hosts start their own nodes (docs/operations.md)",
            param_hint="--local",
        )
