"""what a bank's node signed of a score stands beside the decision that rests on it

Decisions of before rest on inquiries whose answers nobody signed; they stay as they are. An inquiry that was answered
before supports no new decision: the score is asked anew.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

from credit_api.app.migrations.rules import rules

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "score_statement",
        _text("bank_id"),
        _text("statement_id"),
        _text("subject_id"),
        _text("sha256"),
        sa.Column("statement", sa.JSON(), nullable=False),
        _text("machine_id"),
        _text("kid"),
        _text("signature"),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(sha256) = 64", name="score_statement_hash"),
        sa.CheckConstraint("length(signature) = 128", name="score_statement_signature"),
        sa.ForeignKeyConstraint(["bank_id"], ["organisation.id"]),
        sa.ForeignKeyConstraint(
            ["machine_id", "kid"], ["machine_key.machine_id", "machine_key.kid"], name="score_statement_key"
        ),
        sa.PrimaryKeyConstraint("bank_id", "statement_id"),
    )
    op.create_index("ix_score_statement_subject_id", "score_statement", ["subject_id"])
    op.create_table(
        "decision_statement",
        _text("decision_id"),
        _text("bank_id"),
        _text("statement_id"),
        sa.ForeignKeyConstraint(["decision_id"], ["credit_decision.id"]),
        sa.ForeignKeyConstraint(
            ["bank_id", "statement_id"],
            ["score_statement.bank_id", "score_statement.statement_id"],
            name="decision_statement_of",
        ),
        sa.PrimaryKeyConstraint("decision_id"),
    )
    bind = op.get_bind()
    for statement in rules(revision, bind.dialect.name):
        bind.exec_driver_sql(statement)
