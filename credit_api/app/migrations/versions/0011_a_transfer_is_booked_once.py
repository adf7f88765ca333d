"""a transfer that reached the settlement account is booked once

Sixty-four deposits with one payment number were all booked. The number of a transfer is one within its payer's bank, so
both are kept from now on. Of what was booked before the bank is unknown; such a number is refused whichever bank it is
said to be of. Where one number was booked several times, the first entry stands for all.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

from credit_api.app.migrations.rules import rules

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "payment",
        sa.Column("payer_bank", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("length(payer_bank) IN (0, 12)", name="payment_payer_bank"),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"]),
        sa.PrimaryKeyConstraint("payer_bank", "reference"),
        sa.UniqueConstraint("entry_id"),
    )
    bind = op.get_bind()
    bind.exec_driver_sql(
        "INSERT INTO payment (payer_bank, reference, entry_id)"
        " SELECT '', reference, MIN(id) FROM entry WHERE kind = 'funding' GROUP BY reference"
    )
    for statement in rules(revision, bind.dialect.name):
        bind.exec_driver_sql(statement)
