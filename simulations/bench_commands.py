"""`tanxin bench …` of this room: accuracy beside peers in the same run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from federated.errors import FederatedError
from simulations.csv_options import Csv, Drop, GridColumns, LabelledCsv, Parties, Positive, Target

bench = typer.Typer(no_args_is_help=True, help="Measure, both sides in one process.")
REFUSED = 2
EPSILONS = "0.5,1,2,4,8,inf"
DATA = Path("../shared/data/credit")
CACHE = Path("var/bench/credit")
PSI_PEER = Path("var/bench/openmined-psi")
PLOTS = Path("simulations/experiments/credit_zoo/plots")


@bench.command("credit")
def credit(
    dataset: Annotated[
        str, typer.Option(help="taiwan, german, australian, heloc, sba, polish5, or all; crossed is generated.")
    ] = "taiwan",
    csv: Csv = None,
    target: Target = "",
    positive: Positive = None,
    drop: Drop = "",
    parties: Parties = None,
    grid_columns: GridColumns = "",
    folds: Annotated[int, typer.Option(min=1, max=5, help="How many of the five folds to run.")] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="One fold.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")] = False,
    data: Annotated[Path, typer.Option(help="Folder with the public sets.")] = DATA,
    zoo: Annotated[bool, typer.Option(help="Train the open zoo too, which takes longest.")] = True,
    horizontal: Annotated[bool, typer.Option("--horizontal", help="Ten banks with the same columns instead.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch, XGBoost and LightGBM.")] = os.cpu_count() or 1,
    cache: Annotated[Path, typer.Option(help="Finished folds are kept here and not run again.")] = CACHE,
) -> None:
    """The federated models, the label holder alone, XGBoost and LightGBM on the same folds."""
    progress = Console(stderr=True)
    try:
        reports = _reports(
            dataset,
            LabelledCsv.chosen(csv, target, positive, drop, parties, grid_columns),
            1 if quick else folds,
            data,
            cache,
            threads,
            progress,
            horizontal,
            zoo,
        )
    except FederatedError as error:
        _refuse(error, progress)
    if as_json:
        sys.stdout.write(json.dumps(reports[0] if len(reports) == 1 else reports, indent=2, allow_nan=False) + "\n")
        return
    for report in reports:
        if horizontal:
            _print_horizontal(report)
        else:
            _print(report)


@bench.command("single-score")
def single_score(
    dataset: Annotated[str, typer.Option(help="A public set.")] = "heloc",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")] = False,
    data: Annotated[Path, typer.Option(help="Folder with the public sets.")] = DATA,
) -> None:
    """Microseconds of one score with reasons: exact tables beside networks with sampled Shapley values."""
    from simulations.experiments.credit_zoo.single_score import run_single_score  # noqa: PLC0415

    report = _one(dataset, data, run_single_score)
    if as_json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
        return
    for name in ("additive", "networks"):
        timed = report[name]
        line = f"{name}: median {timed['median_us']:.0f} µs, 95 % below {timed['p95_us']:.0f} µs"
        Console().print(line, highlight=False)
    Console().print(f"neutralising a stated reason improves the score in {report['neutralised_better']:.1%}")


@bench.command("private-credit")
def private_credit(
    data: Annotated[
        Path | None, typer.Option(help="Folder with the Taiwan set in its own units; without it, generated firms.")
    ] = None,
    folds: Annotated[int, typer.Option(min=1, max=5, help="How many of the five folds to run.")] = 5,
    models: Annotated[int, typer.Option(min=8, help="Shadow models of the membership attack.")] = 96,
    trials: Annotated[int, typer.Option(min=40, help="Runs with and without a canary.")] = 6_000,
    epsilons: Annotated[str, typer.Option(help="ε of the runs, with commas between; inf is no noise.")] = EPSILONS,
    picture: Annotated[Path | None, typer.Option(help="Draw to this PNG file.")] = None,
) -> None:
    """The experiment of private credit as JSON: accuracy and attacks by ε."""
    from simulations.experiments.private_credit.report import draw, run_experiment  # noqa: PLC0415
    from simulations.experiments.private_credit.world import load_table  # noqa: PLC0415

    try:
        wanted = [float(part) for part in epsilons.split(",")]
    except ValueError as error:
        raise typer.BadParameter("numbers with commas between", param_hint="--epsilons") from error
    report = _experiment(
        lambda say: run_experiment(
            load_table(data, 12_000, 2024), epsilons=wanted, folds=folds, models=models, trials=trials, say=say
        )
    )
    if picture is not None:
        draw(report, picture)
    sys.stdout.write(json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


@bench.command("poisoned-banks")
def poisoned_banks(
    data: Annotated[
        Path | None, typer.Option(help="Folder with the Taiwan set in its own units; without it, generated firms.")
    ] = None,
    folds: Annotated[int, typer.Option(min=1, max=5, help="How many of the five folds to run.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Draw to this PNG file.")] = None,
) -> None:
    """Banks that poison a run, one and two of five, in every mode: accuracy and backdoors."""
    from simulations.experiments.poisoned_banks.report import draw, run_experiment, table_text  # noqa: PLC0415
    from simulations.experiments.private_credit.world import load_table  # noqa: PLC0415

    report = _experiment(lambda say: run_experiment(load_table(data, 12_000, 2024), folds=folds, say=say))
    if picture is not None:
        draw(report, picture)
    if as_json:
        sys.stdout.write(json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        sys.stdout.write(table_text(report) + "\n")


def _experiment(work: Callable[[Callable[[str], None]], dict[str, Any]]) -> dict[str, Any]:
    """An experiment's report, with progress on stderr; a refusal is printed and ends the command."""
    progress = Console(stderr=True)
    try:
        return work(lambda line: progress.print(line, highlight=False, soft_wrap=True))
    except FederatedError as error:
        _refuse(error, progress)


@bench.command("credit-plots")
def credit_plots(
    dataset: Annotated[str, typer.Option(help="A public set.")] = "taiwan",
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = PLOTS,
    data: Annotated[Path, typer.Option(help="Folder with the public sets.")] = DATA,
) -> None:
    """Draw ROC curves, calibration and contributions of one fold."""
    from simulations.experiments.credit_zoo.plots import draw  # noqa: PLC0415

    for path in _one(dataset, data, lambda table, plan, say: draw(table, plan, out, say)):
        Console().print(str(path), highlight=False, soft_wrap=True)


def _one(dataset: str, data: Path, work: Any) -> Any:
    """Do `work` on one public set; a refusal is printed and ends the command."""
    from federated.protocols.open.settings import ZooSettings  # noqa: PLC0415
    from simulations.experiments.credit_zoo.bench import BenchPlan  # noqa: PLC0415
    from simulations.experiments.credit_zoo.datasets import load_dataset  # noqa: PLC0415

    progress = Console(stderr=True)
    try:
        plan = BenchPlan(1, os.cpu_count() or 1, None, ZooSettings())
        return work(load_dataset(dataset, data), plan, progress.print)
    except FederatedError as error:
        _refuse(error, progress)


def _refuse(error: FederatedError, progress: Console) -> NoReturn:
    line = f"error {error.code}: {error.detail}"
    progress.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(REFUSED) from error


def _reports(
    dataset: str,
    csv: LabelledCsv | None,
    folds: int,
    data: Path,
    cache: Path,
    threads: int,
    progress: Console,
    horizontal: bool,
    zoo: bool,
) -> list[dict[str, Any]]:
    # Torch, Flower and the rivals take seconds to load; other commands of the same script do not pay for them.
    from federated.protocols.open.settings import ZooSettings  # noqa: PLC0415
    from federated.protocols.protected.settings import ProtectedSettings  # noqa: PLC0415
    from simulations.experiments.credit_zoo.bench import BenchPlan, run_bench  # noqa: PLC0415
    from simulations.experiments.credit_zoo.crossed import CROSSED, crossed_table  # noqa: PLC0415
    from simulations.experiments.credit_zoo.datasets import FILES, load_dataset  # noqa: PLC0415
    from simulations.experiments.credit_zoo.horizontal import run_horizontal  # noqa: PLC0415

    plan = BenchPlan(folds, threads, cache, ZooSettings(), ProtectedSettings(), zoo)
    if csv is not None:
        tables = [csv.load()]
    else:
        named = FILES if dataset == "all" else (dataset,)
        tables = [crossed_table() if name == CROSSED else load_dataset(name, data) for name in named]

    def say(line: str) -> None:
        progress.print(line, highlight=False, markup=False, soft_wrap=True)

    return [run_horizontal(table, plan, say) if horizontal else run_bench(table, plan, say) for table in tables]


def _print(report: dict[str, Any]) -> None:
    table = Table(title=f"{report['dataset']}: {report['folds']} of 5 folds, {report['rows']:,} rows")
    for heading in ("model", "AUC", "KS", "Brier", "ECE", "s a fold", "exchanges", "MB"):
        table.add_column(heading)
    for name, model in report["models"].items():
        metrics = [f"{model[key]:.4f}" for key in ("ks", "brier", "ece")]
        wire = [str(model["exchanges"]), f"{model['bytes'] / 1e6:.0f}"] if model["exchanges"] else ["–", "–"]
        auc = f"{model['auc']:.4f} ±{model['auc_sd']:.4f}"
        table.add_row(name, auc, *metrics, f"{model['seconds']:.1f}", *wire)
    console = Console()
    console.print(table)
    pooled = {name: model for name, model in report["models"].items() if "ece_pooled" in model}
    errors = "; ".join(f"{m['ece_pooled']:.4f} ({m['ece_by_chance']:.4f}) {name}" for name, m in pooled.items())
    console.print(f"ECE of all folds in one (by chance alone): {errors}", soft_wrap=True, highlight=False)
    for ours, rivals in report["paired"].items():
        gaps = "; ".join(f"{g['difference']:+.4f} (s.e. {g['standard_error']:.4f}) {r}" for r, g in rivals.items())
        console.print(f"{ours} against: {gaps}", soft_wrap=True, highlight=False)


def _print_horizontal(report: dict[str, Any]) -> None:
    from simulations.experiments.credit_zoo.tables import horizontal_table  # noqa: PLC0415

    Console().print(horizontal_table(report), markup=False, highlight=False, soft_wrap=True)


@bench.command("registry")
def registry(
    quick: Annotated[
        bool, typer.Option("--quick", help="200,000 readings, 30,000 plants, not a million each.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")] = False,
    only: Annotated[str | None, typer.Option(help="readings or package.")] = None,
) -> None:
    """The registry's speed beside the same one by one: a million signed readings, a million plants in a package."""
    from dataclasses import asdict  # noqa: PLC0415

    from simulations.benchmarks.packaging import measure_packaging  # noqa: PLC0415
    from simulations.benchmarks.readings import measure_readings  # noqa: PLC0415

    parts: dict[str, Callable[[], Any]] = {
        "readings": lambda: measure_readings(200_000 if quick else 1_000_000),
        "package": lambda: measure_packaging(30_000 if quick else 1_000_000),
    }
    if only is not None and only not in parts:
        raise typer.BadParameter(", ".join(parts), param_hint="--only")
    progress = Console(stderr=True)
    report: dict[str, dict[str, Any]] = {}
    for name, part in parts.items():
        if only in {None, name}:
            progress.print(f"measuring {name}", highlight=False)
            report[name] = asdict(part())
    if as_json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
        return
    say = Console(highlight=False, soft_wrap=True).print
    if speed := report.get("readings"):
        say(
            f"{speed['readings']:,} generated readings of {speed['meters']} meters in {speed['total_s']:.1f} s "
            f"({speed['readings_per_s']:,.0f}/s, {speed['times_row_by_row']:.0f} times row by row); "
            f"peak {speed['peak_memory_mib']:.0f} MiB"
        )
    if speed := report.get("package"):
        say(
            f"{speed['plants']:,} generated plants in one package in {speed['total_s']:.1f} s "
            f"(created {speed['create_s']:.1f}, valued {speed['value_s']:.1f}, looked through "
            f"{speed['look_through_s']:.1f}); one by one takes {speed['one_by_one_over_set_based']:.0f} times as long; "
            f"peak {speed['peak_memory_mib']:.0f} MiB"
        )


@bench.command("privacy")
def privacy(
    quick: Annotated[
        bool, typer.Option("--quick", help="5,000 ids, 20 clients and 100 races, not 100,000, 100 and 10,000.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")] = False,
    peer: Annotated[Path, typer.Option(help="Where openmined-psi's own environment is kept.")] = PSI_PEER,
    data: Annotated[
        Path | None, typer.Option(help="Folder with FATE's Taiwan files; without it, generated firms.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="A part's name; may be given several times.")] = None,
) -> None:
    """Alignment and aggregation beside their peers, every attack that was tried, withdrawals, private training."""
    from simulations.benchmarks.privacy import measured, parts_of  # noqa: PLC0415

    progress = Console(stderr=True)
    parts = parts_of(data, peer, quick=quick)
    if only and (unknown := set(only) - set(parts)):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: {', '.join(parts)}", param_hint="--only")
    chosen = {name: part for name, part in parts.items() if not only or name in only}
    try:
        report = measured(chosen, lambda line: progress.print(line, highlight=False, markup=False))
    except FederatedError as error:
        _refuse(error, progress)
    if as_json:
        sys.stdout.write(json.dumps(report, indent=1) + "\n")
        return
    for part, figures in report.items():
        for name, value in figures.items():
            shown = f"{value:,.8g}" if isinstance(value, int | float) else value or "not measured"
            sys.stdout.write(f"{part:20} {name:28} {shown}\n")
