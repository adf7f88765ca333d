"""`tanxin end-of-day`: close the business dates that are over, of every bank or of one, as a scheduler would."""

from __future__ import annotations

import json
import sys
from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from credit_api.app.settings import Settings
from credit_api.app.wiring import Parts, assemble
from credit_api.audit.model import AuditEvent
from credit_api.cli.options import REFUSED, Database, Home
from financing.base.context import Actor, Context
from financing.base.errors import FinancingError
from financing.base.quantities import business_date
from financing.lending.business_day.closing import close_day, open_dates
from financing.lending.business_day.outcome import ClosedDay
from financing.lending.unit import UnitOfWork


def end_of_day(
    bank: Annotated[str, typer.Option(help="One bank's id; every bank if left out.")] = "",
    through: Annotated[str, typer.Option(help="The last date to close (YYYY-MM-DD); yesterday if left out.")] = "",
    home: Home = Path("var"),
    database_url: Database = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")] = False,
) -> None:
    """Close open business dates, missed ones first, a commit each. Exit 1 when a bank's date could not be closed."""
    try:
        last = date.fromisoformat(through) if through else None
    except ValueError as error:
        raise typer.BadParameter("a date is YYYY-MM-DD", param_hint="--through") from error
    if not database_url and not (home / "tanxin.db").exists():
        Console(stderr=True).print(f"no books at {home / 'tanxin.db'}: is --home right?", style="red", highlight=False)
        raise typer.Exit(REFUSED)
    parts = assemble(Settings(home=home, database_url=database_url))
    if (warning := parts.parameters.china.warning(business_date(parts.clock()))) is not None:
        Console(stderr=True).print(f"warning: {warning}", style="yellow", highlight=False, soft_wrap=True)
    closed: list[ClosedDay] = []
    failed: list[dict[str, str]] = []
    try:
        with parts.reading() as connection:
            banks = [each.id for each in UnitOfWork(connection).organisations.all() if each.kind == "bank"]
        for name in [each for each in banks if not bank or each == bank]:
            try:
                closed += _close(parts, name, last, as_json)
            except FinancingError as error:
                failed.append({"bank": name, "code": error.code, "detail": error.detail})
    finally:
        parts.close()
    if as_json:
        document: dict[str, Any] = {"closed": [_row(day) for day in closed], "failed": failed}
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    else:
        for refusal in failed:
            Console(stderr=True).print(f"{refusal['bank']}: {refusal['detail']}", style="red", highlight=False)
        sys.stdout.write(f"{len(closed)} business dates closed\n")
    if failed:
        raise typer.Exit(1)


def _close(parts: Parts, bank: str, last: date | None, quiet: bool) -> list[ClosedDay]:
    def context() -> Context:
        return Context(Actor(bank, "bank"), parts.clock(), parts.new_id, parts.parameters, parts.signer, parts.nodes)

    with parts.reading() as connection:
        dates = [day for day in open_dates(UnitOfWork(connection), context()) if last is None or day <= last]
    done = []
    for day in dates:
        closed = parts.writer.execute(partial(_closed, parts, context(), day))
        done.append(closed)
        if not quiet:
            sys.stdout.write(f"{bank} {closed.day}: {closed.loans} loans, {closed.parked} parked\n")
    return done


def _closed(parts: Parts, context: Context, day: date, unit: UnitOfWork) -> ClosedDay:
    closed = close_day(unit, context, day)
    event = AuditEvent(
        at=context.at,
        action="close_day",
        outcome="committed",
        organisation_id=context.actor.id,
        credential="command_line",
        object_id=day.isoformat(),
    )
    parts.audit.record(unit, event)
    return closed


def _row(day: ClosedDay) -> dict[str, Any]:
    return {
        "bank": day.bank_id,
        "day": str(day.day),
        "loans": day.loans,
        "parked": day.parked,
        "steps": [dict(step) for step in day.steps],
    }
