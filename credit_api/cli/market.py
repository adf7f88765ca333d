"""`tanxin market …`: check the order books against their journals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from credit_api.app.settings import Settings
from financing.base.errors import FinancingError
from financing.base.storage.database import open_engine
from financing.lending.unit import UnitOfWork
from financing.market.order_book.audit import verify_books

market_app = typer.Typer(no_args_is_help=True, help="Check the order books.")
REFUSED = 2


@market_app.callback()
def commands() -> None:
    """Check the order books."""


@market_app.command("verify")
def verify(
    home: Annotated[Path, typer.Option(envvar="TANXIN_HOME", help="Folder of the books.")] = Path("var"),
    database_url: Annotated[
        str, typer.Option("--database-url", envvar="TANXIN_DATABASE_URL", help="PostgreSQL instead of a file.")
    ] = "",
) -> None:
    """Rebuild every book from its journal; orders, trades and reservations must be what it leads to."""
    out, err = Console(), Console(stderr=True)
    settings = Settings(home=home, database_url=database_url)
    if not database_url and not (home / "tanxin.db").exists():
        err.print(f"no books at {home / 'tanxin.db'}: is --home right?", style="red", markup=False)
        raise typer.Exit(REFUSED)
    engine = open_engine(settings.url)
    try:
        with engine.connect() as connection:
            books = verify_books(UnitOfWork(connection))
    except FinancingError as error:
        err.print(f"error {error.code}: {error.detail} {error.context}", style="red", markup=False)
        raise typer.Exit(REFUSED) from error
    finally:
        engine.dispose()
    for book in books:
        out.print(
            f"{book.instrument}: {book.events} events, {book.waiting} orders waiting, {book.trades} trades, "
            f"state {book.state_hash}",
            highlight=False,
            soft_wrap=True,
        )
    out.print(f"{len(books)} books are what their journals lead to")
