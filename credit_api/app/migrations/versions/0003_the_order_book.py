"""the order book

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

from credit_api.app.migrations.rules import rules

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "instrument",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("rules", sa.String(), nullable=False),
        sa.Column("listed_by", sa.String(), nullable=False),
        sa.Column("listed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("halted", sa.Boolean(), nullable=False),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("reference_fen", sa.BigInteger(), nullable=False),
        sa.Column("last_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("phase IN ('closed','call','continuous')", name="instrument_phase"),
        sa.CheckConstraint("reference_fen > 0 AND last_fen > 0", name="instrument_prices"),
        sa.ForeignKeyConstraint(
            ["listed_by"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "block_report",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("instrument_id", sa.String(), nullable=False),
        sa.Column("buyer_id", sa.String(), nullable=False),
        sa.Column("seller_id", sa.String(), nullable=False),
        sa.Column("price_fen", sa.BigInteger(), nullable=False),
        sa.Column("lots", sa.BigInteger(), nullable=False),
        sa.Column("reported_by", sa.String(), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(state = 'settled') = (seq IS NOT NULL)", name="block_report_settled"),
        sa.CheckConstraint("state IN ('open','settled','withdrawn')", name="block_report_state"),
        sa.CheckConstraint("buyer_id <> seller_id AND lots > 0 AND price_fen > 0", name="block_report_terms"),
        sa.ForeignKeyConstraint(
            ["buyer_id"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["instrument_id"],
            ["instrument.id"],
        ),
        sa.ForeignKeyConstraint(
            ["reported_by"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["seller_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("block_report", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_block_report_instrument_id"), ["instrument_id"], unique=False)

    op.create_table(
        "book_order",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("instrument_id", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("order_type", sa.String(), nullable=False),
        sa.Column("tif", sa.String(), nullable=False),
        sa.Column("flags", sa.String(), nullable=False),
        sa.Column("self_trade", sa.String(), nullable=False),
        sa.Column("price_fen", sa.BigInteger(), nullable=False),
        sa.Column("lots", sa.BigInteger(), nullable=False),
        sa.Column("left_lots", sa.BigInteger(), nullable=False),
        sa.Column("filled_lots", sa.BigInteger(), nullable=False),
        sa.Column("spent_fen", sa.BigInteger(), nullable=False),
        sa.Column("fee_ppm", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'open') = (reserved > 0) AND (state = 'open' OR left_lots = 0)", name="book_order_set_aside"
        ),
        sa.CheckConstraint("side IN ('buy','sell')", name="book_order_side"),
        sa.CheckConstraint("state IN ('open','filled','cancelled','expired','self_trade')", name="book_order_state"),
        sa.CheckConstraint(
            "left_lots >= 0 AND left_lots <= lots AND lots > 0 AND price_fen > 0", name="book_order_lots"
        ),
        sa.ForeignKeyConstraint(
            ["instrument_id"],
            ["instrument.id"],
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("instrument_id", "seq", name="book_order_sequence"),
    )
    with op.batch_alter_table("book_order", schema=None) as batch_op:
        batch_op.create_index("book_order_open", ["instrument_id", "state", "side", "price_fen"], unique=False)
        batch_op.create_index("book_order_owner", ["owner_id", "instrument_id", "seq"], unique=False)

    op.create_table(
        "day_close",
        sa.Column("instrument_id", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("close_fen", sa.BigInteger(), nullable=False),
        sa.Column("lots", sa.BigInteger(), nullable=False),
        sa.Column("traded_fen", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("close_fen > 0 AND lots >= 0 AND traded_fen >= 0", name="day_close_amounts"),
        sa.ForeignKeyConstraint(
            ["instrument_id"],
            ["instrument.id"],
        ),
        sa.PrimaryKeyConstraint("instrument_id", "day"),
    )
    op.create_table(
        "order_journal",
        sa.Column("instrument_id", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("chain", sa.String(), nullable=False),
        sa.Column("actor_id", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("seq >= 1 AND length(chain) = 64", name="order_journal_link"),
        sa.ForeignKeyConstraint(
            ["actor_id"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["instrument_id"],
            ["instrument.id"],
        ),
        sa.PrimaryKeyConstraint("instrument_id", "seq"),
    )
    op.create_table(
        "trade",
        sa.Column("instrument_id", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("buyer_id", sa.String(), nullable=False),
        sa.Column("seller_id", sa.String(), nullable=False),
        sa.Column("buy_order_id", sa.String(), nullable=True),
        sa.Column("sell_order_id", sa.String(), nullable=True),
        sa.Column("price_fen", sa.BigInteger(), nullable=False),
        sa.Column("lots", sa.BigInteger(), nullable=False),
        sa.Column("buyer_fee_fen", sa.BigInteger(), nullable=False),
        sa.Column("seller_fee_fen", sa.BigInteger(), nullable=False),
        sa.Column("taker", sa.String(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("taker IN ('buy','sell','auction','block')", name="trade_taker"),
        sa.CheckConstraint("buyer_id <> seller_id", name="trade_parties"),
        sa.CheckConstraint(
            "price_fen > 0 AND lots > 0 AND buyer_fee_fen >= 0 AND seller_fee_fen >= 0", name="trade_amounts"
        ),
        sa.ForeignKeyConstraint(
            ["buy_order_id"],
            ["book_order.id"],
        ),
        sa.ForeignKeyConstraint(
            ["buyer_id"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["entry.id"],
        ),
        sa.ForeignKeyConstraint(
            ["instrument_id"],
            ["instrument.id"],
        ),
        sa.ForeignKeyConstraint(
            ["sell_order_id"],
            ["book_order.id"],
        ),
        sa.ForeignKeyConstraint(
            ["seller_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("instrument_id", "seq", "number"),
    )
    with op.batch_alter_table("trade", schema=None) as batch_op:
        batch_op.create_index("trade_buyer", ["buyer_id", "instrument_id"], unique=False)
        batch_op.create_index("trade_by_day", ["instrument_id", "day"], unique=False)
        batch_op.create_index("trade_seller", ["seller_id", "instrument_id"], unique=False)
    with op.batch_alter_table("serial_block", schema=None) as batch_op:
        batch_op.create_index(
            "serial_held",
            ["account_id", "issuance_id", "first_kg"],
            unique=False,
            sqlite_where=sa.text("until_entry_id IS NULL"),
            postgresql_where=sa.text("until_entry_id IS NULL"),
        )
        batch_op.create_index(
            "serial_open",
            ["issuance_id", "first_kg"],
            unique=False,
            sqlite_where=sa.text("until_entry_id IS NULL"),
            postgresql_where=sa.text("until_entry_id IS NULL"),
        )
    for statement in rules(revision, op.get_bind().dialect.name):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Going below the order book would lose orders and trades; use an empty database instead."""
    raise RuntimeError("the order book cannot be removed; use an empty database instead")
