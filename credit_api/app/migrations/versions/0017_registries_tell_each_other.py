"""registries with books of their own tell each other of transfers, signed

Transfers of before are between registries of one service, and stay as they are.

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op

from credit_api.app.migrations.rules import rules

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "transfer_message",
        _text("from_registry"),
        _text("transfer_id"),
        _text("to_registry"),
        _text("kind"),
        _text("public_key"),
        _text("signature"),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('export','receipt')", name="transfer_message_kind"),
        sa.CheckConstraint("from_registry <> to_registry", name="transfer_message_regions"),
        sa.CheckConstraint("length(public_key) = 64 AND length(signature) = 128", name="transfer_message_signed"),
        sa.ForeignKeyConstraint(["from_registry"], ["organisation.id"]),
        sa.ForeignKeyConstraint(["to_registry"], ["organisation.id"]),
        sa.PrimaryKeyConstraint("from_registry", "transfer_id", "kind"),
    )
    bind = op.get_bind()
    for statement in rules(revision, bind.dialect.name):
        bind.exec_driver_sql(statement)
