"""`tanxin bench market`."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.console import Console

from simulations.bench_commands import bench


@bench.command("market")
def market(
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the orders, three kills instead of 200.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="matching, http or kill; may be given several times.")] = None,
) -> None:
    """Matching beside its peers and a bare book, durable orders over HTTP with 64 clients, and kill -9 under load."""
    from simulations.benchmarks.market import measured, parts_of  # noqa: PLC0415

    progress = Console(stderr=True)
    parts = parts_of(quick=quick)
    if only and (unknown := set(only) - set(parts)):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: {', '.join(parts)}", param_hint="--only")
    chosen = {name: part for name, part in parts.items() if not only or name in only}
    report = measured(chosen, lambda line: progress.print(line, highlight=False, markup=False), quick=quick)
    if as_json:
        sys.stdout.write(json.dumps(report, indent=1) + "\n")
        return
    for part in chosen:
        for name, value in report[part].items():
            shown = f"{value:,.6g}" if isinstance(value, int | float) else value or "not measured"
            sys.stdout.write(f"{part:10} {name:28} {shown}\n")
