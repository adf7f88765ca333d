"""`tanxin bench network`: real processes on loopback, measured beside one process."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from federated.errors import FederatedError
from simulations.bench_commands import bench

if TYPE_CHECKING:
    from simulations.worlds.credit_nodes import CreditTables

REFUSED = 2
# Of this generated population a joint model is better than banks alone, or no grid company would be asked.
FIRMS, SEED, LEAST_ROWS = 2_000, 2, 60


@bench.command("network")
def bench_network(
    home: Annotated[
        Path | None, typer.Option(help="A local network that is up; without it, a small one is brought up and ended.")
    ] = None,
    superlink: Annotated[bool, typer.Option(help="Begin the small one's run over Flower's SuperLink.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")] = False,
) -> None:
    """A score between five processes beside one process, scores a second, and scores in faults: of processes,
    certificates, clocks, connections."""
    from simulations.benchmarks.network import measure_network  # noqa: PLC0415
    from simulations.experiments.vertical_credit.pipeline import cut_off  # noqa: PLC0415
    from simulations.local_network.bringing_up import Wanted, bring_up  # noqa: PLC0415
    from simulations.local_network.layout import Layout  # noqa: PLC0415
    from simulations.local_network.processes import Processes  # noqa: PLC0415

    progress, began = Console(stderr=True, highlight=False, markup=False, soft_wrap=True), time.monotonic()

    def say(line: str) -> None:
        if "round" not in line:
            progress.print(f"{time.monotonic() - began:6.1f} s  {line}", style="dim")

    try:
        if home is not None:
            figures, up_s = measure_network(Layout.known(home), say), None
        else:
            with tempfile.TemporaryDirectory(prefix="tanxin-net-") as folder:
                layout = Layout.at(Path(folder))
                wanted = Wanted(_tables, 1, SEED, cut_off(), LEAST_ROWS, superlink)
                try:
                    up_s = bring_up(layout, wanted, say)["seconds"]
                    figures = measure_network(layout, say)
                finally:
                    Processes(layout.home).stop()
    except FederatedError as error:
        progress.print(f"error {error.code}: {error.detail}", style="red")
        raise typer.Exit(REFUSED) from error
    told = asdict(figures) | {"up_seconds": up_s, "data": "generated"}
    if as_json:
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
        return
    for name, value in told.items():
        if isinstance(value, int | float):
            sys.stdout.write(f"{name:24} {value:,.2f}\n")
    for name, value in figures.training.items():
        sys.stdout.write(f"training {name:15} {value:,.2f}\n")
    for each in figures.faults:
        counted = f"{each.wrong} wrong, {each.opened} opened"
        sys.stdout.write(f"{each.name}: meanwhile {each.meanwhile}; afterwards {each.afterwards}; {counted}\n")


def _tables() -> CreditTables:
    from simulations.experiments.vertical_credit.pipeline import with_folds  # noqa: PLC0415
    from simulations.worlds.credit_population import generate_population  # noqa: PLC0415

    return with_folds(generate_population(FIRMS, SEED), SEED)
