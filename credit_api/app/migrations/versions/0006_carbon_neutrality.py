"""carbon neutrality

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

from credit_api.app.migrations.rules import rules

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "neutrality_claim",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("entity_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("residual_kg", sa.BigInteger(), nullable=False),
        sa.Column("matched_kg", sa.BigInteger(), nullable=False),
        sa.Column("certificate_number", sa.String(), nullable=True),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("drafted_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(state = 'certified') = (certificate_number IS NOT NULL)", name="neutrality_certified"),
        sa.CheckConstraint("state <> 'certified' OR matched_kg >= residual_kg", name="neutrality_covered"),
        sa.CheckConstraint("state IN ('drafted','certified','refused')", name="neutrality_state"),
        sa.ForeignKeyConstraint(
            ["entity_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("certificate_number"),
        sa.UniqueConstraint("number"),
    )
    with op.batch_alter_table("neutrality_claim", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_neutrality_claim_entity_id"), ["entity_id"], unique=False)

    op.create_table(
        "neutrality_match",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("claim_id", sa.String(), nullable=False),
        sa.Column("certificate_number", sa.String(), nullable=False),
        sa.Column("quantity_kg", sa.BigInteger(), nullable=False),
        sa.Column("freed", sa.Boolean(), nullable=False),
        sa.CheckConstraint("quantity_kg > 0", name="neutrality_match_quantity"),
        sa.ForeignKeyConstraint(
            ["certificate_number"],
            ["retirement.certificate_number"],
        ),
        sa.ForeignKeyConstraint(
            ["claim_id"],
            ["neutrality_claim.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("neutrality_match", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_neutrality_match_certificate_number"), ["certificate_number"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_neutrality_match_claim_id"), ["claim_id"], unique=False)
    for statement in rules(revision, op.get_bind().dialect.name):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """A certificate that was given stands."""
    raise RuntimeError("this migration cannot be undone; restore a copy from before it instead")
