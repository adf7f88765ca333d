"""`tanxin risk`."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from financing.base.errors import FinancingError

REFUSED = 2


def risk(
    data: Annotated[
        Path | None, typer.Option(help="Folder with daily carbon prices; without it, generated from the record.")
    ] = None,
    paths: Annotated[int, typer.Option(min=50_000, max=1_000_000, help="Paths of the joint simulation.")] = 100_000,
    loans: Annotated[int, typer.Option(min=100, max=100_000, help="Loans of the generated book.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the generated book and of every simulation.")] = 2024,
    picture: Annotated[Path | None, typer.Option(help="Draw the pictures into this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")] = False,
) -> None:
    """Fit carbon prices, derive haircuts, and simulate and stress a generated book of carbon loans."""
    # Scipy's distributions, pvlib and matplotlib take seconds to load; other commands do not pay for them.
    from simulations.experiments.carbon_risk.run import carbon_risk  # noqa: PLC0415

    progress = Console(stderr=True)
    try:
        report, markets, losses = carbon_risk(
            data, datetime.now(UTC).date(), seed, paths, loans, lambda line: progress.print(line, highlight=False)
        )
        if picture is not None:
            from simulations.experiments.carbon_risk.pictures import draw_all  # noqa: PLC0415

            draw_all(report, markets, losses, picture)
    except FinancingError as error:
        line = f"error {error.code}: {error.detail}"
        progress.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(REFUSED) from error
    if as_json:
        sys.stdout.write(json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        return
    from simulations.experiments.carbon_risk.report import tables_of  # noqa: PLC0415

    sys.stdout.write("\n\n".join(tables_of(report)) + "\n")
