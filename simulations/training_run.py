"""From command-line choices to a report: pick the data, show progress, run the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from federated.operating.telling import round_line
from federated.protocols.core.alignment import AlignmentStep
from federated.protocols.core.protocol import VerticalProtocol
from federated.protocols.operator_run import Reporter
from simulations.csv_options import LabelledCsv
from simulations.experiments.vertical_credit.labelled_csv import read_labelled
from simulations.experiments.vertical_credit.pipeline import run
from simulations.report import Report, report_of
from simulations.worlds.credit_nodes import CreditTables
from simulations.worlds.credit_population import generate_population
from simulations.worlds.taiwan import read_taiwan


def load_tables(data: Path | None, firms: int, seed: int) -> CreditTables:
    """The Taiwan files in `data`, or generated firms. Raises `FederatedError`."""
    return generate_population(firms, seed) if data is None else read_taiwan(data, seed)


def train_and_report(
    *,
    data: Path | None,
    folds: int,
    seed: int,
    home: Path | None,
    firms: int,
    at: datetime,
    console: Console,
    protocols: Sequence[VerticalProtocol],
    sandbox: bool = False,
    least_rows: int | None = None,
    csv: LabelledCsv | None = None,
) -> Report:
    """Run the pipeline with progress on `console` and return its report. Raises `FederatedError`.

    The tables are those of `csv` if it is given, else those of `load_tables`.
    """
    tables = load_tables(data, firms, seed) if csv is None else read_labelled(csv, seed, at.date())
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("starting", total=None)

        def rounds(fold: int, phase: str, number: int, loss: float | None) -> None:
            progress.update(bar, description=round_line(fold, phase, number, loss), total=None)

        def aligning(step: AlignmentStep) -> None:
            line = f"aligning {step.bank} with {step.grid}: {step.action}"
            progress.update(bar, description=line, completed=step.done, total=step.total)

        reporter = Reporter(
            say=lambda line: console.print(line, highlight=False, markup=False, soft_wrap=True),
            round=rounds,
            aligning=aligning,
        )
        result = run(
            tables,
            folds=folds,
            protocols=protocols,
            seed=seed,
            at=at,
            home=home,
            reporter=reporter,
            sandbox=sandbox,
            least_rows=least_rows,
        )
    for manifest in result.manifests:
        console.print(f"registered {manifest.model} {manifest.version} ({', '.join(manifest.learners)})")
    if result.manifests:
        console.print("registered only: another party approves and appoints (tanxin models, or /v1/models)")
    return report_of(result)
