"""`tanxin models …`: governance of a home's models at the command line, beside a running service or without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from credit_api.app.wiring import system_clock
from federated.errors import FederatedError
from federated.governance.cards.markdown import markdown
from federated.governance.decisions import Act
from federated.governance.lifecycle import Event, Role
from federated.governance.model_registry import ModelRegistry
from federated.governance.oversight import Oversight
from federated.serving import Network

models_app = typer.Typer(no_args_is_help=True, help="Approve, appoint and watch model versions.")
out = Console()
err = Console(stderr=True)
REFUSED = 2

Home = Annotated[
    Path, typer.Option(envvar="TANXIN_HOME", help="A service's home, or the folder given to `train --home`.")
]
By = Annotated[str, typer.Option(help="Who decides: a bank's id. It is recorded as given.")]
Note = Annotated[str, typer.Option(help="Why; it stays on record.")]
Version = Annotated[str, typer.Argument(help="Such as v0001.")]


@models_app.command("list")
def list_versions(home: Home = Path("var")) -> None:
    """Every registered version with its status and role."""
    with _oversight(home) as oversight:
        standing, at = oversight.lifecycle(), system_clock()
        table = Table("version", "status", "role", "registered", "approved", "until", "AUC")
        for column in table.columns:
            column.overflow = "fold"
        for manifest in oversight.manifests():
            record = standing.record(manifest.version)
            auc = manifest.metrics.get("federated", {}).get("auc")
            table.add_row(
                manifest.version,
                record.status(at),
                standing.role(manifest.version) or "",
                record.registered_by,
                record.approved_by or "",
                f"{record.valid_until:%Y-%m-%d}" if record.valid_until else "",
                "not measured" if auc is None else f"{auc:.4f}",
            )
        out.print(table)


@models_app.command("show")
def show(version: Version, home: Home = Path("var")) -> None:
    """A version's manifest as JSON."""
    with _oversight(home) as oversight:
        print(oversight.governance.manifest(version).to_json(), end="")  # noqa: T201 (JSON, for a pipe)


@models_app.command("card")
def card(version: Version, home: Home = Path("var"), language: Literal["zh", "en"] = "en") -> None:
    """A version's model card as Markdown."""
    with _oversight(home) as oversight:
        print(markdown(oversight.card(version, language, system_clock())))  # noqa: T201 (Markdown, for a pipe)


@models_app.command("approve")
def approve(version: Version, by: By, note: Note, home: Home = Path("var")) -> None:
    """Approve a version for a year, as another party than the one that registered it."""
    with _oversight(home) as oversight:
        _say(oversight.governance.approve(version, Act(by, system_clock(), note)))


@models_app.command("reject")
def reject(version: Version, by: By, note: Note, home: Home = Path("var")) -> None:
    """Turn a version down for good."""
    with _oversight(home) as oversight:
        _say(oversight.governance.reject(version, Act(by, system_clock(), note)))


@models_app.command("appoint")
def appoint(
    version: Version,
    by: By,
    role: Literal["champion", "challenger", "none"] = "champion",
    home: Home = Path("var"),
    note: Note = "",
) -> None:
    """Give an approved version a role: a champion takes a second bank. `none` takes the challenger out of its own."""
    with _oversight(home) as oversight:
        act = Act(by, system_clock(), note)
        if role == "none":
            _say(oversight.governance.withdraw_challenger(version, act))
        else:
            _say(oversight.governance.appoint(version, Role(role), act))


@models_app.command("rollback")
def rollback(by: By, note: Note, home: Home = Path("var")) -> None:
    """Return to the latest earlier champion that is still approved."""
    with _oversight(home) as oversight:
        _say(oversight.governance.roll_back(Act(by, system_clock(), note)))


@models_app.command("retire")
def retire(version: Version, by: By, note: Note, home: Home = Path("var")) -> None:
    """Take a version that does not score out of use for good."""
    with _oversight(home) as oversight:
        _say(oversight.governance.retire(version, Act(by, system_clock(), note)))


@models_app.command("monitor")
def monitor(home: Home = Path("var")) -> None:
    """What the scores of the last 90 days show: drift, and the challenger beside the champion."""
    with _oversight(home) as oversight:
        monitoring = oversight.monitoring(system_clock())
        table = Table("basis", "rows", "PSI", "p-value", "verdict", title=f"scores of {monitoring.champion}")
        for basis, each in sorted(monitoring.drift.items()):
            figures = (f"{each.psi:.4f}", f"{each.p_value:.4f}") if each.rows else ("not measured", "not measured")
            table.add_row(basis, f"{each.rows:,}", *figures, each.verdict)
        out.print(table)
        if monitoring.shadow is not None:
            shadow = monitoring.shadow
            difference = "not measured" if shadow.mean_difference is None else f"{shadow.mean_difference:+.1f} points"
            out.print(
                f"challenger {monitoring.challenger}: {shadow.rows:,} rows, {shadow.failed:,} failed, {difference}, "
                f"{shadow.swap_in:,} swapped in, {shadow.swap_out:,} swapped out"
            )


@models_app.command("drift")
def drift(home: Home = Path("var")) -> None:
    """How the customers of today differ from the champion's training rows, column by column, counted at the nodes."""
    with _refusals():
        network = Network.open(_models_home(home), system_clock)
        try:
            report = network.feature_drift(system_clock())
        finally:
            network.close()
    title = f"columns of {report.version}, p-values corrected for their number"
    table = Table("party", "column", "rows", "PSI", "p-value", "verdict", title=title)
    for each in report.ranked():
        rows, psi, p_value = each.drift.rows, each.drift.psi, each.drift.p_value
        figures = (f"{psi:.4f}", f"{p_value:.4f}") if rows else ("not measured", "not measured")
        table.add_row(each.role, each.feature.column, f"{rows:,}", *figures, each.drift.verdict)
    out.print(table)
    out.print(f"counted at: {', '.join(report.counted) or 'no node'}")
    if report.unavailable:
        out.print(f"not counted, their customers are missing: {', '.join(report.unavailable)}", style="yellow")


def _say(event: Event) -> None:
    role = event.details.get("role")
    out.print(
        f"event {event.number}: {event.version} {event.kind}{f' {role}' if role else ''} by {event.by}", markup=False
    )


@contextmanager
def _oversight(home: Path) -> Iterator[Oversight]:
    """Open a home's models."""
    folder = _models_home(home)
    oversight = Oversight(folder, ModelRegistry(folder))
    try:
        with _refusals():
            yield oversight
    finally:
        oversight.close()


def _models_home(home: Path) -> Path:
    """Where a home keeps its models; a mistyped folder is an error, not a new empty registry."""
    folder = next((each for each in (home, home / "network") if (each / "registry").is_dir()), None)
    if folder is None:
        err.print(f"no models under {home}: is --home right?", style="red", markup=False)
        raise typer.Exit(REFUSED)
    return folder


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except FederatedError as error:
        err.print(f"error {error.code}: {error.detail}", style="red", markup=False)
        raise typer.Exit(REFUSED) from error
