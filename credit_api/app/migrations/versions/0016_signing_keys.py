"""whose public key is whose: organisations sign with keys that the service never sees

Keys that the service kept for organisations are registered when it starts: their files lie beside the database.

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

from credit_api.app.migrations.rules import rules

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "signing_key",
        _text("public_key"),
        _text("organisation_id"),
        _text("held_by"),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        _text("registered_by"),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        _text("why"),
        sa.CheckConstraint("length(public_key) = 64", name="signing_key_length"),
        sa.CheckConstraint("held_by IN ('holder','node','service')", name="signing_key_holder"),
        sa.CheckConstraint("revoked_at IS NULL OR revoked_at >= registered_at", name="signing_key_revoked"),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"]),
        sa.PrimaryKeyConstraint("public_key"),
    )
    op.create_index("ix_signing_key_organisation_id", "signing_key", ["organisation_id"])
    # A meter's key was replaced by nothing: its table had one row a meter.
    op.create_table(
        "meter_keys",
        _text("meter_id"),
        sa.Column("seq", sa.Integer(), nullable=False),
        _text("public_key"),
        _text("held_by"),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        _text("why"),
        sa.CheckConstraint("held_by IN ('meter','service')", name="meter_key_holder"),
        sa.CheckConstraint("length(public_key) = 64", name="meter_key_length"),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"]),
        sa.PrimaryKeyConstraint("meter_id", "seq"),
    )
    op.execute(
        "INSERT INTO meter_keys (meter_id, seq, public_key, held_by, registered_at, why) "
        "SELECT meter_id, 0, public_key, held_by, registered_at, '' FROM meter_key"
    )
    op.drop_table("meter_key")
    op.rename_table("meter_keys", "meter_key")
    bind = op.get_bind()
    for statement in rules(revision, bind.dialect.name):
        bind.exec_driver_sql(statement)
