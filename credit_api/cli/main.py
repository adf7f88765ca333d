"""The `tanxin` command. Rooms that it may not import add their own commands as entry points (`tanxin.commands`)."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pkgutil import resolve_name
from typing import Any

import typer
from click import Command, Context
from typer.core import TyperGroup

from credit_api.app.file_modes import write_for_owner_only

COMMANDS = {
    "run": "credit_api.cli.service:run",
    "serve": "credit_api.cli.service:serve",
    "init": "credit_api.cli.entering:init",
    "score-file": "credit_api.cli.scores:score_file",
    "migrate": "credit_api.cli.migrating:migrate_database",
    "ledger": "credit_api.cli.books:ledger_app",
    "keys": "credit_api.cli.books:keys_app",
    "audit": "credit_api.cli.audit:audit_app",
    "end-of-day": "credit_api.cli.business_days:end_of_day",
    "machine": "credit_api.cli.machines:machine_app",
    "market": "credit_api.cli.market:market_app",
    "models": "credit_api.cli.models:models_app",
    "network": "credit_api.cli.network:network_app",
    "node": "credit_api.cli.customers:node_app",
    "readings": "credit_api.cli.readings:readings_app",
    "sign": "credit_api.cli.signing:sign_app",
    "identity": "credit_api.cli.identity:identity_app",
    "subject": "credit_api.cli.subject:subject_app",
    "registry": "credit_api.cli.registry:registry_app",
    "documents": "credit_api.cli.documenting:documents",
}


class Commands(TyperGroup):
    """Commands by name, each imported when it is asked for: to sign a consent takes no tables and no network."""

    def list_commands(self, ctx: Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """Names of all commands, those of other rooms last."""
        return [*COMMANDS, *sorted(entry_points(group="tanxin.commands").names)]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:  # noqa: ARG002
        """The command of this name."""
        if cmd_name in COMMANDS:
            return _command(cmd_name, resolve_name(COMMANDS[cmd_name]))
        for point in entry_points(group="tanxin.commands", name=cmd_name):
            return _command(cmd_name, point.load())
        return None


def _command(name: str, declared: typer.Typer | Callable[..., Any]) -> Command:
    if isinstance(declared, typer.Typer):
        group = typer.main.get_group(declared)
        group.name = name
        for point in entry_points(group=f"tanxin.commands.{name}"):
            group.add_command(_command(point.name, point.load()), point.name)
        return group
    single = typer.Typer(add_completion=False)
    single.command(name)(declared)
    return typer.main.get_command(single)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    # Locals in a traceback could hold a key.
    pretty_exceptions_show_locals=False,
)


@app.callback()
def tanxin() -> None:
    """Tanxin (碳信): credit and financing on carbon assets."""


def main() -> None:
    """The console script."""
    write_for_owner_only()
    app()
