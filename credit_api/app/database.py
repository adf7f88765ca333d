"""The one database behind the service: all its tables, and its migrations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, MetaData
from sqlmodel import SQLModel

from credit_api.http import tables
from financing.ledger import tables as books
from financing.lending import tables as lending
from financing.lending.loans import tables as loan_book
from financing.market.order_book import tables as trading
from financing.market.over_the_counter import tables as otc
from financing.registry import tables as registry
from financing.registry.neutrality import tables as neutrality
from financing.registry.oversight import tables as custody
from financing.registry.verification import tables as measuring

MIGRATIONS = Path(__file__).with_name("migrations")
# Importing a module declares its tables.
DECLARED = (tables, books, custody, lending, loan_book, measuring, neutrality, otc, registry, trading)


def metadata() -> MetaData:
    """Every table of the service."""
    return SQLModel.metadata


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the database's schema to `revision`; a database that is there already is left as it is."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.execution_options(tanxin_writer=True).connect() as connection:
        sqlite = connection.dialect.name == "sqlite"
        if sqlite:
            # SQLite changes a table by building it again; its references must not be followed meanwhile, and are
            # checked before the commit instead (https://www.sqlite.org/lang_altertable.html#otheralter).
            _raw(connection, "PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                config.attributes["connection"] = connection
                command.upgrade(config, revision)
                if sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise RuntimeError("the migration would leave references that lead nowhere; nothing was changed")
        finally:
            if sqlite:
                _raw(connection, "PRAGMA foreign_keys=ON")


def _raw(connection: Connection, statement: str) -> None:
    """Run a statement outside of any transaction."""
    driver: Any = connection.connection.driver_connection
    driver.execute(statement)
