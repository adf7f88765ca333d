"""Opening the books for a command."""

from __future__ import annotations

import typer
from rich.console import Console

from credit_api.app.settings import Settings
from credit_api.app.wiring import Parts, assemble
from credit_api.cli.options import REFUSED
from financing.base.errors import FinancingError

err = Console(stderr=True)


def existing(settings: Settings) -> Parts:
    """Open books that are there; a mistyped folder is an error, not a new empty database."""
    if not settings.database_url and not (settings.home / "tanxin.db").exists():
        err.print(f"no books at {settings.home / 'tanxin.db'}: is --home right?", style="red", markup=False)
        raise typer.Exit(REFUSED)
    return assembled(settings)


def assembled(settings: Settings) -> Parts:
    """Open the books. What an earlier version left and this one cannot carry over is one line, and nothing is lost."""
    try:
        return assemble(settings)
    except FinancingError as error:
        err.print(f"error {error.code}: {error.detail} {error.context}", style="red", markup=False)
        raise typer.Exit(REFUSED) from error
