"""trade over the counter and at auction

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

from credit_api.app.migrations.rules import rules

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "auction",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("seller_id", sa.String(), nullable=False),
        sa.Column("asset", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("closes_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_kg", sa.BigInteger(), nullable=False),
        sa.Column("terms", sa.JSON(), nullable=False),
        sa.CheckConstraint("state IN ('running','awarded','unsold','withdrawn','done')", name="auction_state"),
        sa.CheckConstraint("left_kg >= 0", name="auction_left"),
        sa.ForeignKeyConstraint(
            ["seller_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("auction", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_auction_seller_id"), ["seller_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_auction_state"), ["state"], unique=False)

    op.create_table(
        "listing",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("seller_id", sa.String(), nullable=False),
        sa.Column("asset", sa.String(), nullable=False),
        sa.Column("quantity_kg", sa.BigInteger(), nullable=False),
        sa.Column("left_kg", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.CheckConstraint("(state = 'sold') = (left_kg = 0)", name="listing_sold"),
        sa.CheckConstraint("state IN ('open','sold','withdrawn','expired')", name="listing_state"),
        sa.CheckConstraint("left_kg BETWEEN 0 AND quantity_kg AND quantity_kg > 0", name="listing_quantity"),
        sa.ForeignKeyConstraint(
            ["seller_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("listing", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_listing_asset"), ["asset"], unique=False)
        batch_op.create_index(batch_op.f("ix_listing_seller_id"), ["seller_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_listing_state"), ["state"], unique=False)

    op.create_table(
        "quote_request",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("requester_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.CheckConstraint("state IN ('open','dealt','withdrawn','expired')", name="quote_request_state"),
        sa.ForeignKeyConstraint(
            ["requester_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("quote_request", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_quote_request_requester_id"), ["requester_id"], unique=False)

    op.create_table(
        "award",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("auction_id", sa.String(), nullable=False),
        sa.Column("bidder_id", sa.String(), nullable=False),
        sa.Column("quantity_kg", sa.BigInteger(), nullable=False),
        sa.Column("price_fen", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signatures", sa.JSON(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(state = 'paid') = (entry_id IS NOT NULL)", name="award_paid"),
        sa.CheckConstraint("state IN ('contract','signed','paid','defaulted')", name="award_state"),
        sa.CheckConstraint("quantity_kg > 0 AND price_fen > 0", name="award_positive"),
        sa.ForeignKeyConstraint(
            ["auction_id"],
            ["auction.id"],
        ),
        sa.ForeignKeyConstraint(
            ["bidder_id"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["entry.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("award", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_award_auction_id"), ["auction_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_award_bidder_id"), ["bidder_id"], unique=False)

    op.create_table(
        "bid",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("auction_id", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("bidder_id", sa.String(), nullable=False),
        sa.Column("quantity_kg", sa.BigInteger(), nullable=False),
        sa.Column("price_fen", sa.BigInteger(), nullable=True),
        sa.Column("commitment", sa.String(), nullable=True),
        sa.Column("deposit_fen", sa.BigInteger(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revealed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("deposit_fen >= 0", name="bid_deposit"),
        sa.CheckConstraint("price_fen IS NOT NULL OR commitment IS NOT NULL", name="bid_content"),
        sa.CheckConstraint("price_fen IS NULL OR price_fen > 0", name="bid_price"),
        sa.ForeignKeyConstraint(
            ["auction_id"],
            ["auction.id"],
        ),
        sa.ForeignKeyConstraint(
            ["bidder_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("auction_id", "seq", name="bid_sequence"),
    )
    with op.batch_alter_table("bid", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bid_bidder_id"), ["bidder_id"], unique=False)

    op.create_table(
        "deal",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("seller_id", sa.String(), nullable=False),
        sa.Column("buyer_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(state = 'settled') = (entry_id IS NOT NULL)", name="deal_settled"),
        sa.CheckConstraint("state IN ('proposed','settled','declined','expired')", name="deal_state"),
        sa.ForeignKeyConstraint(
            ["buyer_id"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["entry.id"],
        ),
        sa.ForeignKeyConstraint(
            ["seller_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("deal", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_deal_buyer_id"), ["buyer_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_deal_seller_id"), ["seller_id"], unique=False)

    op.create_table(
        "otc_trade",
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("asset", sa.String(), nullable=False),
        sa.Column("seller_id", sa.String(), nullable=False),
        sa.Column("buyer_id", sa.String(), nullable=False),
        sa.Column("quantity_kg", sa.BigInteger(), nullable=False),
        sa.Column("fen_per_tonne", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("quantity_kg > 0 AND fen_per_tonne > 0", name="otc_trade_positive"),
        sa.ForeignKeyConstraint(
            ["buyer_id"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["entry.id"],
        ),
        sa.ForeignKeyConstraint(
            ["seller_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("entry_id"),
    )
    with op.batch_alter_table("otc_trade", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_otc_trade_asset"), ["asset"], unique=False)

    op.create_table(
        "quote",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("maker_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(state = 'taken') = (entry_id IS NOT NULL)", name="quote_taken"),
        sa.CheckConstraint("state IN ('open','taken','lapsed','expired')", name="quote_state"),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["entry.id"],
        ),
        sa.ForeignKeyConstraint(
            ["maker_id"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["quote_request.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("quote", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_quote_maker_id"), ["maker_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_quote_request_id"), ["request_id"], unique=False)
    for statement in rules(revision, op.get_bind().dialect.name):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """What is in escrow for a sale would have no owner without these tables."""
    raise RuntimeError("this migration cannot be undone; restore a copy from before it instead")
