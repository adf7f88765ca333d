"""`tanxin audit …`: check the audit trail, and print the head that proves it later."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from credit_api.app.errors import AuditTampered
from credit_api.app.settings import Limits, Settings
from credit_api.app.signers import FileSigner
from credit_api.audit.exported import exported, imported
from credit_api.audit.store import AuditStore
from credit_api.audit.verifying import verify_trail
from credit_api.scores.statements import verify_stored
from financing.base.errors import FinancingError, LedgerTampered
from financing.base.storage.database import open_engine
from financing.lending.unit import UnitOfWork

audit_app = typer.Typer(no_args_is_help=True, help="Check the audit trail.")
BROKEN, REFUSED = 1, 2
Home = Annotated[Path, typer.Option(envvar="TANXIN_HOME", help="Folder of the books.")]
Database = Annotated[
    str, typer.Option("--database-url", envvar="TANXIN_DATABASE_URL", help="PostgreSQL instead of a file.")
]
err = Console(stderr=True)


@audit_app.command("head")
def print_head(home: Home = Path("var"), database_url: Database = "") -> None:
    """Print number and hash of the last event as JSON, signed by the service: keep it outside the system."""
    with _books(home, database_url) as unit:
        head = AuditStore(unit.connection).head()
    sys.stdout.write(json.dumps(exported(head, FileSigner(home / "signing"))) + "\n")


@audit_app.command("verify")
def verify(
    home: Home = Path("var"),
    database_url: Database = "",
    head: Annotated[Path | None, typer.Option(help="A head that `tanxin audit head` printed before.")] = None,
) -> None:
    """Walk the trail and hold it against the ledger's anchors and an exported head. Exit 1 at the first break."""
    with _books(home, database_url) as unit, _breaks():
        known = None if head is None else imported(_text(head), FileSigner(home / "signing"))
        unit.ledger.verify()
        found = verify_trail(unit, known)
    sys.stdout.write(
        f"{found.head.seq} events agree with their hashes and with {found.anchors} anchors in the ledger; "
        f"{found.loose} follow the last of them; head {found.head.hash}\n"
    )


@audit_app.command("statements")
def verify_statements(home: Home = Path("var"), database_url: Database = "") -> None:
    """Verify every signed score that a decision rests on, from the database alone: trail, hashes, signatures, keys."""
    with _books(home, database_url) as unit, _breaks():
        unit.ledger.verify()
        verify_trail(unit)
        count = verify_stored(unit.connection)
    sys.stdout.write(f"{count} stored statements are what banks' nodes signed, by keys that were registered then\n")


@audit_app.command("cost", hidden=True)
def cost(
    home: Home,
    questions: Annotated[Path, typer.Option(help="JSON: scores to ask, as `POST /v1/scores` takes them.")],
    bank: Annotated[str, typer.Option(help="The bank that asks.")] = "bank-gusu",
    rounds: Annotated[int, typer.Option(min=1, help="How often each side asks them all.")] = 10,
) -> None:
    """Measure what the trail costs a score, in a sandbox's home made for it. `tanxin bench scoring` calls this."""
    # Only here are every route and the parts of a service needed.
    from credit_api.app.main import create_app  # noqa: PLC0415
    from credit_api.app.sandbox import register_founders  # noqa: PLC0415
    from credit_api.app.wiring import assemble  # noqa: PLC0415
    from credit_api.audit.cost import measure_cost  # noqa: PLC0415

    unlimited = Limits(requests_per_key="1000000/second")
    parts = assemble(Settings(home=home, sandbox=True, limits=unlimited))
    try:
        key = json.loads(register_founders(parts).read_text("utf-8"))["keys"][bank]
        asked = json.loads(_text(questions))
        found = measure_cost(create_app(parts), parts, key, asked, rounds)
    finally:
        parts.close()
    sys.stdout.write(json.dumps(asdict(found)) + "\n")


@contextmanager
def _books(home: Path, database_url: str) -> Iterator[UnitOfWork]:
    """The books as they are, for reading; nothing is brought up to date."""
    settings = Settings(home=home, database_url=database_url)
    if not database_url and not (home / "tanxin.db").exists():
        err.print(f"no books at {home / 'tanxin.db'}: is --home right?", style="red", markup=False)
        raise typer.Exit(REFUSED)
    engine = open_engine(settings.url)
    try:
        with engine.connect() as connection:
            yield UnitOfWork(connection)
    except FinancingError as error:
        err.print(f"error {error.code}: {error.detail} {error.context}", style="red", markup=False)
        raise typer.Exit(REFUSED) from error
    finally:
        engine.dispose()


@contextmanager
def _breaks() -> Iterator[None]:
    """Say where the trail or the ledger first breaks, and end."""
    try:
        yield
    except (AuditTampered, LedgerTampered) as error:
        err.print(f"error {error.code}: {error.detail} {error.context}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(BROKEN) from error


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        err.print(f"{path}: {error.strerror}", style="red", markup=False)
        raise typer.Exit(REFUSED) from error
