"""The one database behind the service: all its tables, and its migrations."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, MetaData
from sqlmodel import SQLModel

from credit_api import tables
from financing.persistence.tables import books, lending, registry, trading

MIGRATIONS = Path(__file__).with_name("migrations")
DECLARED = (tables, books, lending, registry, trading)  # importing a module declares its tables


def metadata() -> MetaData:
    """Every table of the service."""
    return SQLModel.metadata


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the database's schema to `revision`; a database that is there already is left as it is."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.execution_options(tanxin_writer=True).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
