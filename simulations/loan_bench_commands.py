"""`tanxin bench finance`."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from simulations.bench_commands import bench


@bench.command("finance")
def finance(
    quick: Annotated[bool, typer.Option("--quick", help="Smaller books, SQLite only: under a minute.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="A part by name; may be given several times.")] = None,
    postgresql: Annotated[
        str | None, typer.Option(help="Address of a server for its part; else one is started.")
    ] = None,
) -> None:
    """Ends of day on growing books, revaluation of a million pledges, schedules a second, the joint simulation."""
    from simulations.benchmarks.finance import parts_of  # noqa: PLC0415

    progress = Console(stderr=True)
    parts = parts_of(quick=quick, postgresql=postgresql)
    if only and (unknown := set(only) - set(parts)):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: {', '.join(parts)}", param_hint="--only")
    report: dict[str, Any] = {"quick": quick, "population": "generated"}
    for name, part in parts.items():
        if not only or name in only:
            report[name] = part(lambda line: progress.print(line, highlight=False, markup=False))
    if as_json:
        sys.stdout.write(json.dumps(report, indent=1) + "\n")
        return
    for name, found in report.items():
        sys.stdout.write(f"{name}: {json.dumps(found)}\n")
