"""Tables of a grid node's own database, apart from the registry's: batches as they came, readings by revision."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, MetaData, String, Table

from financing.base.storage.columns import RowId, UtcDateTime

node_tables = MetaData()
batch_t = Table(
    "reading_batch",
    node_tables,
    Column("id", RowId, primary_key=True),
    Column("meter_id", String, nullable=False),
    Column("interval_minutes", Integer, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("commitment", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("public_key", String, nullable=False),
    Column("signature", String, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Index("reading_batch_by_meter", "meter_id", "commitment"),
)
reading_t = Table(
    "interval_reading",
    node_tables,
    Column("meter_id", String, primary_key=True),
    Column("starts_at", BigInteger, primary_key=True, autoincrement=False),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("energy_wh", BigInteger, nullable=False),
    Column("export_wh", BigInteger),
    Column("register_wh", BigInteger),
    Column("batch_id", BigInteger, ForeignKey("reading_batch.id"), nullable=False),
    CheckConstraint("energy_wh >= 0", name="interval_reading_energy"),
    CheckConstraint("export_wh IS NULL OR export_wh BETWEEN 0 AND energy_wh", name="interval_reading_export"),
    CheckConstraint("revision >= 0", name="interval_reading_revision"),
    sqlite_with_rowid=False,
)
COLUMNS = ("meter_id", "starts_at", "revision", "energy_wh", "export_wh", "register_wh", "batch_id")


def immutability(dialect: str) -> list[str]:
    """Triggers that keep batches and readings as they were received."""
    tables = ("reading_batch", "interval_reading")
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is immutable'); END"
            for table in tables
            for verb in ("UPDATE", "DELETE")
        ]
    function = (
        "CREATE OR REPLACE FUNCTION readings_immutable() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'readings are immutable' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    return [
        function,
        *(
            f"CREATE OR REPLACE TRIGGER {table}_immutable BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION readings_immutable()"
            for table in tables
        ),
    ]
