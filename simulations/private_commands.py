"""`tanxin private …`: train under differential privacy. `tanxin privacy …`: budgets that banks grant, what is left."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from federated.errors import FederatedError

private = typer.Typer(no_args_is_help=True, help="Train among banks under record-level differential privacy.")
privacy = typer.Typer(no_args_is_help=True, help="Privacy budgets: each bank's own, in a ledger of its own.")
REFUSED = 2
Home = Annotated[Path, typer.Option(envvar="TANXIN_HOME", help="Folder with the banks' stores and ledgers.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]


def _refuse(error: FederatedError) -> NoReturn:
    line = f"error {error.code}: {error.detail}"
    Console(stderr=True).print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(REFUSED) from error


@private.command("train")
def train(
    home: Annotated[
        Path | None, typer.Option(help="The banks' stores, as `tanxin train --home` left them, with their ledgers.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Without --home: folder with the Taiwan set in its own units.")
    ] = None,
    epsilon: Annotated[float, typer.Option(min=0.01, max=100.0, help="ε of this run.")] = 4.0,
    delta: Annotated[float, typer.Option(min=1e-12, max=1e-3, help="δ of this run.")] = 1e-5,
    network: Annotated[bool, typer.Option("--network", help="Private gradient descent instead.")] = False,
    fold: Annotated[int, typer.Option(min=0, max=4, help="The fold that is held out.")] = 0,
    firms: Annotated[int, typer.Option(min=1_000, max=100_000, help="Without --home and --data: firms.")] = 12_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of generated firms, dealing, and initial weights.")] = 2024,
    as_json: AsJson = False,
) -> None:
    """Propose a private run to the banks; what leaves them is noised, and paid for in their own ledgers first."""
    try:
        # Torch and Flower take seconds to load; other commands of the same script do not pay for them.
        from simulations.private_run import private_report  # noqa: PLC0415

        report = private_report(
            home=home, data=data, epsilon=epsilon, delta=delta, network=network, fold=fold, firms=firms, seed=seed
        )
    except FederatedError as error:
        _refuse(error)
    if as_json:
        sys.stdout.write(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
        return
    for name, value in report.items():
        if name not in ("contributions", "plan"):
            sys.stdout.write(f"{name:14} {value:.6g}\n" if isinstance(value, float) else f"{name:14} {value}\n")


@privacy.command("grant")
def grant(
    bank: Annotated[str, typer.Option(help="The bank whose officer decides this.")],
    epsilon: Annotated[float, typer.Option(help="The most that all runs together may cost.")],
    home: Home = Path("var"),
    delta: Annotated[float, typer.Option(help="δ at which ε is counted.")] = 1e-5,
    dataset: Annotated[str, typer.Option(help="The data set; the bank's customers' file if not given.")] = "",
) -> None:
    """Grant a data set a budget, from now on. Nothing leaves a bank that has granted none."""
    from federated.privacy.budget import Budget  # noqa: PLC0415
    from federated.privacy.ledgers import customers_of, ledgers_in  # noqa: PLC0415

    try:
        # Asked also where another data set is named: a ledger belongs to a bank of this home.
        customers = customers_of(home, bank)
        dataset = dataset or customers
        with ledgers_in(home) as ledgers:
            ledgers[bank].grant(dataset, Budget(epsilon, delta), datetime.now(UTC))
    except FederatedError as error:
        _refuse(error)
    Console().print(f"{bank} grants {dataset} ε = {epsilon:g} at δ = {delta:g}", highlight=False, soft_wrap=True)


@privacy.command("budget")
def budget(home: Home = Path("var"), as_json: AsJson = False) -> None:
    """What each bank has granted, spent and left, from its ledger, whose chain is checked first."""
    from federated.privacy.ledgers import ledgers_in  # noqa: PLC0415

    accounts: list[dict[str, Any]] = []
    try:
        with ledgers_in(home) as ledgers:
            for bank, ledger in ledgers.items():
                head = ledger.head()
                for account in ledger.accounts():
                    accounts.append({"bank": bank} | asdict(account) | {"left": account.left, "head": head})
    except FederatedError as error:
        _refuse(error)
    if as_json:
        sys.stdout.write(json.dumps(accounts, indent=1, ensure_ascii=False) + "\n")
        return
    table = Table(title=f"Privacy budgets in {home}")
    for heading in ("bank", "data set", "ε spent", "ε granted", "ε left", "δ", "runs"):
        table.add_column(heading)
    for each in accounts:
        spent, granted, left = (f"{v:.4g}" for v in (each["epsilon"], each["budget"]["epsilon"], each["left"]))
        delta = f"{each['budget']['delta']:g}"
        table.add_row(each["bank"], each["dataset"], spent, granted, left, delta, str(len(each["runs"])))
    Console().print(table)


@privacy.command("report")
def report(
    out: Annotated[Path, typer.Option(help="Folder for report.html, report.png and report.json.")],
    home: Home = Path("var"),
    bench: Annotated[
        Path | None, typer.Option(help="What `tanxin bench privacy --json` printed; its figures are shown.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Without --bench: run the short bench now.")] = False,
    data: Annotated[Path | None, typer.Option(help="With --quick: folder with FATE's Taiwan files.")] = None,
) -> None:
    """Who sees what in each run of a home, under which mechanism, with which leakage measured."""
    from federated.privacy.claims import load_claims  # noqa: PLC0415
    from federated.privacy.findings import read_bench  # noqa: PLC0415
    from simulations.privacy_report.report import write_report  # noqa: PLC0415
    from simulations.privacy_report.runs import runs_in  # noqa: PLC0415

    if bench is not None and quick:
        raise typer.BadParameter("either --bench or --quick", param_hint="--quick")
    try:
        runs_in(home)  # An empty home is refused before minutes are spent on measuring.
        figures = {} if bench is None else read_bench(bench)
        if quick:
            from simulations.bench_commands import PSI_PEER  # noqa: PLC0415
            from simulations.benchmarks.privacy import measured, parts_of  # noqa: PLC0415

            progress = Console(stderr=True)
            figures = measured(
                parts_of(data, PSI_PEER, quick=True), lambda line: progress.print(line, highlight=False, markup=False)
            )
        written = write_report(home, figures, load_claims(), datetime.now(UTC), out)
    except FederatedError as error:
        _refuse(error)
    except OSError as error:
        raise typer.BadParameter(f"nothing can be written there: {error.strerror}", param_hint="--out") from error
    counts = Counter(each["verdict"] for each in written["findings"])
    said = ", ".join(f"{counts[verdict]} {verdict.replace('_', ' ')}" for verdict in sorted(counts))
    console = Console()
    console.print(f"{len(written['runs'])} runs; figures: {said}", highlight=False, soft_wrap=True)
    for name in ("report.html", "report.png", "report.json"):
        console.print(str(out / name), highlight=False, soft_wrap=True)
