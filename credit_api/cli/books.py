"""`tanxin ledger …` and `tanxin keys …`: what is done to the books themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from credit_api.app.sandbox import KEYS_FILE, OFFICER, SECOND, officer
from credit_api.app.settings import Settings
from credit_api.audit.model import AuditEvent
from credit_api.cli.opening import err, existing
from credit_api.cli.options import REFUSED, Database, Home
from credit_api.http.auth.keys import issue, key_id
from credit_api.http.auth.principal import Principal
from financing.base.errors import FinancingError
from financing.lending.unit import UnitOfWork

keys_app = typer.Typer(no_args_is_help=True, help="API keys of a sandbox.")
ledger_app = typer.Typer(no_args_is_help=True, help="Check the books.")
out = Console()


@ledger_app.command("verify")
def verify(home: Home = Path("var"), database_url: Database = "") -> None:
    """Recompute every hash, balance and serial from the postings alone."""
    parts = existing(Settings(home=home, database_url=database_url))
    try:
        with parts.reading() as connection:
            unit = UnitOfWork(connection)
            head, blocks = unit.ledger.verify(), unit.serials.verify()
        out.print(f"{head.entry_id} entries agree with their postings; {blocks} serial blocks; head {head.hash}")
    except FinancingError as error:
        err.print(f"error {error.code}: {error.detail} {error.context}", style="red", markup=False)
        raise typer.Exit(REFUSED) from error
    finally:
        parts.close()


@keys_app.command("issue")
def issue_key(
    organisation_id: str,
    home: Home = Path("var"),
    database_url: Database = "",
    second: Annotated[bool, typer.Option("--second", help="A key of the second officer.")] = False,
) -> None:
    """Hand out a new API key of an organisation's officer, in a sandbox. It is printed once and cannot be read back."""
    if not (home / KEYS_FILE).exists():
        err.print("this home is no sandbox: people sign in, and machines ask for tokens", style="red")
        raise typer.Exit(REFUSED)
    parts = existing(Settings(home=home, database_url=database_url, sandbox=True))

    def command(unit: UnitOfWork) -> str:
        unit.organisations.get(organisation_id)
        person = officer(unit, organisation_id, SECOND if second else OFFICER, parts.clock())
        key = issue(unit.connection, person.person_id, "command line", parts.clock())
        by = Principal(organisation_id, "", "", "", person.person_id, credential="shell")
        parts.audit.record(unit, AuditEvent.of(by, parts.clock(), "issue_key", "committed", object_id=key_id(key)))
        return key

    try:
        print(parts.writer.execute(command))  # noqa: T201 (the key itself, for a pipe)
    except FinancingError as error:
        err.print(f"error {error.code}: {error.detail}", style="red", markup=False)
        raise typer.Exit(REFUSED) from error
    finally:
        parts.close()
