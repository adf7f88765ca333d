"""The one database behind the service: all its tables, and its migrations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, MetaData
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

from credit_api.audit import tables as audit_tables
from credit_api.http import tables
from financing.base.storage import tables as storage_tables
from financing.ledger import tables as ledger_tables
from financing.lending.business_day import tables as business_day_tables
from financing.lending.collateral import tables as collateral_tables
from financing.lending.loans import tables as loans_tables
from financing.lending.origination import tables as origination_tables
from financing.market.auctions import tables as auctions_tables
from financing.market.order_book import tables as order_book_tables
from financing.market.over_the_counter import tables as over_the_counter_tables
from financing.market.prices import tables as prices_tables
from financing.registry.credits import tables as credits_tables
from financing.registry.metering import tables as metering_tables
from financing.registry.methodology import tables as methodology_tables
from financing.registry.neutrality import tables as neutrality_tables
from financing.registry.oversight import tables as oversight_tables
from financing.registry.packages import tables as packages_tables
from financing.registry.projects import tables as projects_tables
from financing.registry.retirement import tables as retirement_tables
from financing.registry.transfers import tables as transfers_tables
from financing.registry.verification import tables as verification_tables

MIGRATIONS = Path(__file__).with_name("migrations")
HEAD = max(path.name.partition("_")[0] for path in MIGRATIONS.glob("versions/0*.py"))
# Importing a module declares its tables.
DECLARED = (
    tables,
    audit_tables,
    storage_tables,
    ledger_tables,
    business_day_tables,
    collateral_tables,
    loans_tables,
    origination_tables,
    auctions_tables,
    order_book_tables,
    over_the_counter_tables,
    prices_tables,
    credits_tables,
    metering_tables,
    methodology_tables,
    neutrality_tables,
    oversight_tables,
    packages_tables,
    projects_tables,
    retirement_tables,
    transfers_tables,
    verification_tables,
)


def metadata() -> MetaData:
    """Every table of the service."""
    return SQLModel.metadata


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the database's schema to `revision`; a database that is there already is left as it is."""
    if revision == "head" and _revision(engine) == HEAD:
        return
    # Most starts find the schema as it is to be, and need not read what changes it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

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


def _revision(engine: Engine) -> str | None:
    """The revision that the database is at; None for one without tables."""
    with engine.connect() as connection:
        try:
            found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one_or_none()
        except DBAPIError:
            return None
        return None if found is None else str(found)


def _raw(connection: Connection, statement: str) -> None:
    """Run a statement outside of any transaction."""
    driver: Any = connection.connection.driver_connection
    driver.execute(statement)
