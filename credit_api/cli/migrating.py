"""`tanxin migrate`: it opens nothing but the database, so it loads nothing but tables."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from sqlalchemy import inspect

from credit_api.app.database import migrate
from credit_api.app.earlier_loans import EARLIER
from credit_api.app.settings import Settings
from credit_api.cli.options import Database, Home
from financing.base.storage.database import open_engine

out = Console()


def migrate_database(home: Home = Path("var"), database_url: Database = "") -> None:
    """Bring the books' schema up to date. What needs the rules besides, the service does when it opens the books."""
    settings = Settings(home=home, database_url=database_url)
    if not database_url:
        home.mkdir(parents=True, exist_ok=True)
    engine = open_engine(settings.url)
    migrate(engine)
    waiting = inspect(engine).has_table(EARLIER)
    engine.dispose()
    if waiting:
        out.print("loans of the earlier form get their accounts when the books are opened: try tanxin ledger verify")
    out.print(f"the schema of {engine.url.render_as_string()} is up to date")
