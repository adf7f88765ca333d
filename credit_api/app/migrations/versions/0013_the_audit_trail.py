"""the audit trail is a chain in the books' database

Lines of audit.jsonl could be changed and cut off unnoticed. Events stand in a table that is only added to, each hash
covers the one before, and an entry of the ledger that moves nothing holds the head from time to time. The file stays
where it is.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

from credit_api.app.migrations.rules import rules

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None
TEXTS = (
    "organisation_id",
    "person",
    "credential",
    "concerns_id",
    "action",
    "object_id",
    "outcome",
    "code",
    "request_id",
)


def upgrade() -> None:
    op.create_table(
        "audit_event",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in TEXTS),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("previous_hash", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.CheckConstraint("length(hash) = 64 AND length(previous_hash) = 64", name="audit_event_hash_length"),
        sa.CheckConstraint("outcome IN ('committed','replayed','refused','failed','read')", name="audit_event_outcome"),
        sa.CheckConstraint("count >= 1", name="audit_event_count"),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("audit_event_by_organisation", "audit_event", ["organisation_id", "seq"])
    bind = op.get_bind()
    for statement in rules(revision, bind.dialect.name):
        bind.exec_driver_sql(statement)
