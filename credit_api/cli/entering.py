"""`tanxin init`: an empty home with the first organisation, and the invitation of its first administrator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from credit_api.app.settings import Settings
from credit_api.app.wiring import assemble
from credit_api.audit.model import AuditEvent
from credit_api.http.auth.principal import Principal
from credit_api.organisations.people import Invitation, code_of, invite
from financing.base.authority import EVERY_ROLE
from financing.base.errors import FinancingError, InvalidState
from financing.ledger.organisations import Organisation
from financing.lending.unit import UnitOfWork

REFUSED = 2


def init(
    organisation_id: Annotated[str, typer.Argument(help="The id of the first organisation, e.g. exchange-seee.")],
    name_zh: Annotated[str, typer.Option(help="Its name in Chinese.")],
    name_en: Annotated[str, typer.Option(help="Its name in English.")],
    kind: Annotated[
        Literal["exchange", "registry"], typer.Option(help="An exchange admits everybody else; a registry no other.")
    ] = "exchange",
    home: Annotated[Path, typer.Option(envvar="TANXIN_HOME", help="Folder for all that is written.")] = Path("var"),
    database_url: Annotated[str, typer.Option("--database-url", envvar="TANXIN_DATABASE_URL")] = "",
) -> None:
    """Make a home with one organisation, no sandbox, no wallet, no key; print its administrator's invitation once."""
    parts = assemble(Settings(home=home, database_url=database_url))
    new, at = Organisation(organisation_id, kind, name_zh, name_en), parts.clock()

    def command(unit: UnitOfWork) -> Invitation:
        if unit.organisations.all():
            raise InvalidState("these books have organisations already; an administrator invites others")
        unit.organisations.add(new, at)
        by = Principal(new.id, kind, name_zh, name_en, credential="shell")
        parts.audit.record(unit, AuditEvent.of(by, at, "init", "committed", object_id=new.id))
        context = parts.context(by)
        return invite(unit, context, parts.sealer, new.id, EVERY_ROLE)

    try:
        invited = parts.writer.execute(command)
        address = f"{parts.settings.address}/join?invitation={code_of(parts.sealer, invited.invitation_id)}"
        print(address)  # noqa: T201 (for a pipe)
        Console(stderr=True).print(
            f"open this within 72 hours, once `tanxin serve --home {home}` runs; it works once", markup=False
        )
    except FinancingError as error:
        Console(stderr=True).print(f"error {error.code}: {error.detail}", style="red", markup=False)
        raise typer.Exit(REFUSED) from error
    finally:
        parts.close()
