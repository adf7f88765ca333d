"""`tanxin bench finance`, `actus` and `emi`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from simulations.bench_commands import bench

if TYPE_CHECKING:
    from simulations.benchmarks.actus import FileResult


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
    for name, figures in report.items():
        sys.stdout.write(f"{name}: {json.dumps(figures)}\n")


@bench.command("actus")
def actus(
    files: Annotated[list[Path], typer.Argument(help="Files of ACTUS reference vectors.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")] = False,
) -> None:
    """Contracts against reference vectors: passed, total and the first differences. Exit 1 if any failed."""
    from simulations.benchmarks.actus import check_file  # noqa: PLC0415

    _checked(files, check_file, as_json)


@bench.command("emi")
def emi(
    files: Annotated[list[Path], typer.Argument(help="Files of rounded instalment schedules.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")] = False,
) -> None:
    """Rounded instalments against reference schedules, to the cent. Exit 1 if any differed."""
    from simulations.benchmarks.emi import check_file  # noqa: PLC0415

    _checked(files, check_file, as_json)


def _checked(files: list[Path], check: Callable[[Path], FileResult], as_json: bool) -> None:
    from simulations.benchmarks.actus import VectorsInvalid  # noqa: PLC0415

    try:
        results = [check(path) for path in files]
    except VectorsInvalid as error:
        Console(stderr=True).print(str(error), style="red", highlight=False, markup=False)
        raise typer.Exit(2) from error
    passed, total = sum(each.passed for each in results), sum(each.total for each in results)
    if as_json:
        rows = [asdict(each) for each in results]
        sys.stdout.write(json.dumps({"passed": passed, "total": total, "files": rows}, indent=1) + "\n")
    else:
        for each in results:
            sys.stdout.write(f"{each.file}: {each.passed} of {each.total}\n")
            for line in each.differences:
                sys.stdout.write(f"  {line}\n")
        sys.stdout.write(f"passed {passed} of {total}\n")
    if passed < total:
        raise typer.Exit(1)
