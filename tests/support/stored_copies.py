"""Databases of earlier versions, put back as they were: SQLite as the file it is, PostgreSQL row by row from it."""

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path

from sqlalchemy import JSON, BigInteger, Date, DateTime, Integer, MetaData, create_engine, text

from credit_api.app.database import migrate
from financing.base.storage.database import open_engine

COPIES = Path(__file__).parents[1] / "golden" / "databases"


def put_back(revision, database_url, tmp_path):
    """An engine on the stored copy of `revision`, not migrated any further."""
    content = gzip.decompress((COPIES / f"revision_{revision}.db.gz").read_bytes())
    if database_url.startswith("sqlite"):
        Path(database_url.removeprefix("sqlite:///")).write_bytes(content)
        return open_engine(database_url)
    (tmp_path / "copy.db").write_bytes(content)
    engine = open_engine(database_url)
    migrate(engine, revision)
    _fill(engine, create_engine(f"sqlite:///{tmp_path / 'copy.db'}"))
    return engine


def _fill(engine, copy):
    tables, stored = MetaData(), MetaData()
    with engine.execution_options(tanxin_writer=True).begin() as connection, copy.connect() as source:
        tables.reflect(connection)
        stored.reflect(source)
        # The rows stood under the same triggers where they come from.
        connection.execute(text("SET session_replication_role = replica"))
        for table in tables.sorted_tables:
            names = [name for name in table.c.keys() if name in stored.tables[table.name].c]  # noqa: SIM118
            rows = source.exec_driver_sql(f'SELECT {", ".join(names)} FROM "{table.name}"').all()
            connection.execute(table.delete())
            if rows:
                values = [
                    {name: _typed(table.c[name], value) for name, value in zip(names, row, strict=True)} for row in rows
                ]
                connection.execute(table.insert(), values)
            key = table.c.get("id")
            if key is not None and isinstance(key.type, BigInteger | Integer):
                connection.execute(
                    text(
                        f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), COALESCE(MAX(id), 0) + 1, false) "
                        f'FROM "{table.name}"'
                    )
                )
        connection.execute(text("SET session_replication_role = DEFAULT"))
    copy.dispose()


def _typed(column, value):
    if value is None:
        return None
    if isinstance(column.type, DateTime):
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    if isinstance(column.type, Date):
        return date.fromisoformat(value)
    if isinstance(column.type, JSON):
        return json.loads(value)
    return bool(value) if column.type.python_type is bool else value
