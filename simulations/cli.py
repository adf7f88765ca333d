"""Commands of the `tanxin` console script that train and measure."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from federated.errors import FederatedError, RowsTooAlike, TooFewRows
from simulations import (
    customer_bench_commands,  # noqa: F401 (adds its command to bench)
    loan_bench_commands,  # noqa: F401 (adds its command to bench)
    market_bench_commands,  # noqa: F401 (adds its command to bench)
    network_bench_commands,  # noqa: F401 (adds its command to bench)
)
from simulations.bench_commands import bench
from simulations.consent_commands import consent
from simulations.csv_options import Csv, Drop, GridColumns, LabelledCsv, Parties, Positive, Target
from simulations.private_commands import privacy, private
from simulations.risk_commands import risk

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)
app.add_typer(bench, name="bench")
app.add_typer(consent, name="consent")
app.add_typer(private, name="private")
app.add_typer(privacy, name="privacy")
app.command("risk")(risk)
REFUSED = 2
# Enough that banks let gradients be opened.
FIRMS = 17_000


@app.callback()
def commands() -> None:
    """Train and measure the credit network."""


@app.command()
def train(
    data: Annotated[
        Path | None, typer.Option(help="Folder with FATE's Taiwan files; without it, generated firms.")
    ] = None,
    folds: Annotated[int, typer.Option(min=1, max=5, help="How many of the five folds to run.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Seed of split, assignment, networks and generated firms.")] = 2024,
    home: Annotated[Path | None, typer.Option(help="Keep node stores here and register the model here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")] = False,
    firms: Annotated[
        int | None,
        typer.Option(min=300, max=100_000, help=f"Size of the generated population; {FIRMS:,} if not given."),
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="protected: nobody reads another's rows; open: the model zoo, in the clear; both.")
    ] = "protected",
    strategy: Annotated[
        str, typer.Option(help="How the open zoo averages networks (docs/protocols.md); fedavg if not given.")
    ] = "",
    least_rows: Annotated[
        int | None,
        typer.Option(min=0, help="How many customers banks insist on, in place of their own limits. Few tell labels."),
    ] = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Keep keys of all customers in the home, of a public data set too.")
    ] = False,
    csv: Csv = None,
    target: Target = "",
    positive: Positive = None,
    drop: Drop = "",
    parties: Parties = None,
    grid_columns: GridColumns = "",
) -> None:
    """Align, train across three banks and two grid companies, and measure beside what pooling would give."""
    progress = Console(stderr=True)
    labelled = LabelledCsv.chosen(csv, target, positive, drop, parties, grid_columns)
    if labelled is not None and (data is not None or firms is not None):
        raise typer.BadParameter(
            "is read instead of --data and of generated --firms, not with them", param_hint="--csv"
        )
    try:
        # Torch and Flower take seconds to load; other commands of the same script do not pay for them.
        from federated.protocols.catalogue import averaged_by, vertical_protocols  # noqa: PLC0415
        from simulations.training_run import train_and_report  # noqa: PLC0415

        try:
            protocols = vertical_protocols(protocol)
        except KeyError as error:
            raise typer.BadParameter(str(error.args[0]), param_hint="--protocol") from error
        result = train_and_report(
            data=data,
            folds=folds,
            seed=seed,
            home=home,
            firms=FIRMS if firms is None else firms,
            at=datetime.now(UTC),
            console=progress,
            protocols=averaged_by(strategy, protocols) if strategy else protocols,
            sandbox=sandbox,
            least_rows=least_rows,
            csv=labelled,
        )
    except FederatedError as error:
        few = isinstance(error, TooFewRows | RowsTooAlike)
        hint = " (in a simulation, --least-rows sets another limit)" if few else ""
        line = f"error {error.code}: {error.detail}{hint}"
        progress.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(REFUSED) from error
    if as_json:
        from simulations.report import to_json  # noqa: PLC0415

        sys.stdout.write(to_json(result))
        return
    Console().print(_table(result))


def _table(report: dict[str, Any]) -> Table:
    from simulations.report import NAMES, metric_cells  # noqa: PLC0415

    table = Table(title=f"{report['dataset']}, data origin: {report['data_origin']}, folds: {report['folds']}")
    for heading in ("model", "AUC", "KS", "Brier", "ECE", "s a fold"):
        table.add_column(heading)
    for name in report["models"]:
        title = NAMES[name]
        table.add_row(title, *metric_cells(report, name))
    return table


@app.command("sandbox-seed")
def sandbox_seed(
    url: Annotated[str, typer.Option(help="Address of the running service.")],
    keys: Annotated[Path, typer.Option(help="The founders' keys, as `tanxin run` wrote them.")],
    data: Annotated[Path | None, typer.Option(help="Folder with energy/ research files.")] = None,
) -> None:
    """Bring the sandbox's plants, prices, credits and loans in over the API. Safe to run again."""
    from simulations.worlds.seeding import SeedingFailed, seed_over_http  # noqa: PLC0415

    progress = Console(stderr=True)
    try:
        seed_over_http(url, keys, data / "energy" if data else None, progress)
    except SeedingFailed as error:
        progress.print(f"error: {error}", style="red", markup=False, highlight=False)
        raise typer.Exit(REFUSED) from error


@app.command("describe-stores")
def describe_stores_of(
    home: Annotated[Path, typer.Option(help="The network's home, with the node stores under `nodes`.")],
) -> None:
    """Write into node stores of an earlier version what their columns are. Safe to run again."""
    from simulations.worlds.columns import describe_stores  # noqa: PLC0415

    try:
        described = describe_stores(home)
    except FederatedError as error:
        text = f"error {error.code}: {error.detail}"
        Console(stderr=True).print(text, style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(REFUSED) from error
    Console().print(f"described: {', '.join(described) or 'nothing, all stores say what they hold'}", highlight=False)


@bench.command("ledger")
def bench_ledger(
    transfers: Annotated[int, typer.Option(min=256, help="Transfers of the larger runs.")] = 2_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")] = False,
) -> None:
    """Durable transfers a second: a commit each, group commit under 64 threads, and one commit for all."""
    from simulations.benchmarks.ledger import measure_ledger  # noqa: PLC0415

    _print_figures(asdict(measure_ledger(transfers)), as_json)


@bench.command("scoring")
def bench_scoring(
    queries: Annotated[int, typer.Option(min=10, help="Single-row evaluations to time.")] = 2_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")] = False,
) -> None:
    """One party's logit in numpy against the same network in torch, and a score with the audit trail and without."""
    from simulations.benchmarks.audited_scores import CUSTOMERS, measure_audited_scores  # noqa: PLC0415
    from simulations.benchmarks.scoring import measure_scoring  # noqa: PLC0415

    figures = asdict(measure_scoring(queries))
    audited = measure_audited_scores(max(1, queries // CUSTOMERS))
    _print_figures(figures | {f"audit_{name}": value for name, value in audited.items()}, as_json)


@bench.command("attack")
def bench_attack(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")] = False,
) -> None:
    """Try to own a running service, over HTTP as anybody could: each attempt is held back, or the exit code is 1."""
    from simulations.benchmarks.attacks import run_attacks  # noqa: PLC0415

    progress = Console(stderr=True)
    attempts = run_attacks(lambda text: progress.print(text, style="dim", markup=False, highlight=False))
    if as_json:
        sys.stdout.write(json.dumps([asdict(each) for each in attempts], indent=1) + "\n")
    else:
        for each in attempts:
            sys.stdout.write(f"{'held' if each.held else 'GOT THROUGH':12} {each.name}: {each.shown}\n")
    if not all(each.held for each in attempts):
        raise typer.Exit(1)


def _print_figures(figures: dict[str, float], as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(figures, indent=1) + "\n")
        return
    for name, value in figures.items():
        sys.stdout.write(f"{name:24} {value:,.2f}\n")
