"""`tanxin operator …`: train nodes that run elsewhere, and hand them what was registered."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from federated.channel.client import urls_of
from federated.errors import FederatedError

operator_app = typer.Typer(no_args_is_help=True, help="The network's operator: it sees sums and sealed messages.")
REFUSED = 2

OperatorHome = Annotated[Path, typer.Option("--home", help="The operator's home: its key, certificate and register.")]
NodeUrls = Annotated[
    list[str], typer.Option("--node", help="NAME=URL of a node, such as grid-sip=https://10.0.0.2:8443; all of them.")
]


@operator_app.command("train")
def train_nodes(
    home: OperatorHome,
    node: NodeUrls,
    cut_off: Annotated[int, typer.Option(min=300, max=850, help="Lowest score that is approved, for segments.")],
    folds: Annotated[int, typer.Option(min=1, max=5, help="How many of the five folds to measure.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the folds and of training.")] = 2024,
    anew: Annotated[
        bool, typer.Option("--anew", help="Measure all folds, also those of a run that was broken off within a day.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")] = False,
) -> None:
    """Train over nodes in processes of their own, protected; register, and hand the version over to them."""
    # Flower takes seconds to load; other commands do not pay for it.
    from federated.operating.telling import timed_reporter  # noqa: PLC0415
    from federated.operating.training import train  # noqa: PLC0415

    console, began = Console(stderr=True, highlight=False, markup=False, soft_wrap=True), time.monotonic()
    reporter = timed_reporter(console.print)
    with refusals(console):
        done = train(
            home, urls_of(node), folds=folds, seed=seed, cut_off=cut_off, at=datetime.now(UTC),
            reporter=reporter, anew=anew,
        )  # fmt: skip
    versions = [manifest.version for manifest in done.record.manifests]
    figures = {manifest.version: manifest.metrics for manifest in done.record.manifests}
    for name, why in done.not_told.items():
        console.print(f"{name} was not handed the version ({why}): hand it over once it is back", style="yellow")
    told = {
        "versions": versions, "metrics": figures, "seconds": round(time.monotonic() - began, 1),
        "exchanges": sum(part.exchanges for parts in done.record.models.values() for part in parts),
        "channel_bytes": done.bytes, "not_handed_over": done.not_told,
    }  # fmt: skip
    if as_json:
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
        return
    for version in versions:
        reporter.say(
            f"registered {version}: held-out AUC {figures[version]['federated']['auc']:.4f}; banks decide about it"
        )


@operator_app.command("hand-over")
def hand_over_version(home: OperatorHome, node: NodeUrls, version: Annotated[str, typer.Argument()]) -> None:
    """Hand a registered version to nodes that do not have it yet."""
    from federated.operating.nodes import operator_of, seats_of  # noqa: PLC0415
    from federated.operating.training import hand_over  # noqa: PLC0415

    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    with refusals(console):
        keys, _ = operator_of(home, datetime.now(UTC))
        seats = seats_of(keys, urls_of(node))
        not_told = hand_over(home, version, seats)
        for seat in seats.values():
            seat.close()
    for name in seats:
        console.print(f"{name}: {not_told.get(name, 'has it')}")
    if not_told:
        raise typer.Exit(REFUSED)


@contextmanager
def refusals(console: Console) -> Iterator[None]:
    """Say what was refused, and end."""
    try:
        yield
    except FederatedError as error:
        console.print(f"error {error.code}: {error.detail}", style="red")
        raise typer.Exit(REFUSED) from error
