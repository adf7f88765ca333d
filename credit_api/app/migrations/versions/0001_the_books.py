"""the books

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

from credit_api.app.migrations.rules import rules

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "organisation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name_zh", sa.String(), nullable=False),
        sa.Column("name_en", sa.String(), nullable=False),
        sa.Column("subject_id", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('bank','grid','developer','verifier','registry','exchange','buyer')", name="organisation_kind"
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("subject_id"),
    )
    op.create_table(
        "account",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("asset", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("floor", sa.BigInteger(), nullable=True),
        sa.Column("ceiling", sa.BigInteger(), nullable=True),
        sa.Column("posted", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("posting_count", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("ceiling IS NULL OR posted <= ceiling", name="account_ceiling"),
        sa.CheckConstraint("floor IS NULL OR posted - held >= floor", name="account_floor"),
        sa.CheckConstraint("held >= 0", name="account_held"),
        sa.CheckConstraint("posting_count >= 0", name="account_posting_count"),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("owner_id", "kind", "asset", "reference", name="account_identity"),
    )
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.create_index("account_by_asset", ["asset", "kind"], unique=False)
        batch_op.create_index("account_by_reference", ["reference"], unique=False)

    op.create_table(
        "api_key",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("organisation_id", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("length(sha256) = 64", name="api_key_hash"),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("sha256"),
    )
    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_key_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "console_session",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("organisation_id", sa.String(), nullable=False),
        sa.Column("csrf_token", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_table(
        "credit_decision",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("bank_id", sa.String(), nullable=False),
        sa.Column("borrower_id", sa.String(), nullable=False),
        sa.Column("product", sa.String(), nullable=False),
        sa.Column("requested_fen", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("max_amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("outcome IN ('approve','refer','decline')", name="decision_outcome"),
        sa.CheckConstraint("requested_fen > 0 AND max_amount_fen >= 0", name="decision_amounts"),
        sa.ForeignKeyConstraint(
            ["bank_id"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["borrower_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("credit_decision", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_credit_decision_bank_id"), ["bank_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_credit_decision_borrower_id"), ["borrower_id"], unique=False)

    op.create_table(
        "entry",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.String(), nullable=False),
        sa.Column("previous_hash", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.CheckConstraint("length(hash) = 64 AND length(previous_hash) = 64", name="entry_hash_length"),
        sa.ForeignKeyConstraint(
            ["actor_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
        sa.UniqueConstraint("previous_hash"),
    )
    with op.batch_alter_table("entry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_entry_reference"), ["reference"], unique=False)

    op.create_table(
        "idempotency_record",
        sa.Column("organisation_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("organisation_id", "key"),
    )
    op.create_table(
        "inquiry",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("bank_id", sa.String(), nullable=False),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("consent_id", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("outcome IN ('score','no_file','refused')", name="inquiry_outcome"),
        sa.ForeignKeyConstraint(
            ["bank_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("inquiry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_inquiry_bank_id"), ["bank_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_inquiry_subject_id"), ["subject_id"], unique=False)

    op.create_table(
        "price_observation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("asset_class", sa.String(), nullable=False),
        sa.Column("fen_per_tonne", sa.BigInteger(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("fen_per_tonne > 0", name="price_positive"),
        sa.ForeignKeyConstraint(
            ["recorded_by"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("price_observation", schema=None) as batch_op:
        batch_op.create_index("price_latest", ["asset_class", "observed_at"], unique=False)

    op.create_table(
        "project",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("methodology", sa.String(), nullable=False),
        sa.Column("capacity_w", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("capacity_w > 0", name="project_capacity"),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code"),
    )
    with op.batch_alter_table("project", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_project_owner_id"), ["owner_id"], unique=False)

    op.create_table(
        "hold",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'pending') = (closed_at IS NULL)", name="hold_closed"),
        sa.CheckConstraint("state IN ('pending','posted','voided','expired')", name="hold_state"),
        sa.CheckConstraint("amount > 0", name="hold_amount"),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("hold", schema=None) as batch_op:
        batch_op.create_index("hold_by_account", ["account_id", "state"], unique=False)
        batch_op.create_index(batch_op.f("ix_hold_reference"), ["reference"], unique=False)

    op.create_table(
        "loan",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("decision_id", sa.String(), nullable=False),
        sa.Column("bank_id", sa.String(), nullable=False),
        sa.Column("borrower_id", sa.String(), nullable=False),
        sa.Column("product", sa.String(), nullable=False),
        sa.Column("rate_bps", sa.Integer(), nullable=False),
        sa.Column("disbursed_on", sa.Date(), nullable=False),
        sa.Column("matures_on", sa.Date(), nullable=False),
        sa.Column("drawn_fen", sa.BigInteger(), nullable=False),
        sa.Column("principal_fen", sa.BigInteger(), nullable=False),
        sa.Column("accrued_from", sa.Date(), nullable=False),
        sa.Column("principal_days", sa.BigInteger(), nullable=False),
        sa.Column("interest_booked_fen", sa.BigInteger(), nullable=False),
        sa.Column("interest_paid_fen", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('active','repaid','written_off')", name="loan_state"),
        sa.CheckConstraint(
            "drawn_fen > 0 AND principal_fen >= 0 AND principal_fen <= drawn_fen", name="loan_principal"
        ),
        sa.CheckConstraint("interest_paid_fen <= interest_booked_fen", name="loan_interest"),
        sa.ForeignKeyConstraint(
            ["bank_id"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["borrower_id"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["decision_id"],
            ["credit_decision.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("decision_id"),
    )
    with op.batch_alter_table("loan", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_loan_bank_id"), ["bank_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_loan_borrower_id"), ["borrower_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_loan_state"), ["state"], unique=False)

    op.create_table(
        "meter",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("measured_by", sa.String(), nullable=False),
        sa.Column("interval_minutes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["measured_by"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("meter", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_meter_measured_by"), ["measured_by"], unique=False)
        batch_op.create_index(batch_op.f("ix_meter_project_id"), ["project_id"], unique=False)

    op.create_table(
        "monitoring_period",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("generation_wh", sa.BigInteger(), nullable=False),
        sa.Column("reduction_kg", sa.BigInteger(), nullable=False),
        sa.Column("commitment", sa.String(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('submitted','accepted','rejected','issued')", name="period_state"),
        sa.CheckConstraint("generation_wh >= 0 AND reduction_kg >= 0", name="period_amounts"),
        sa.CheckConstraint("starts_at < ends_at", name="period_order"),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("monitoring_period", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_monitoring_period_project_id"), ["project_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_monitoring_period_state"), ["state"], unique=False)

    op.create_table(
        "posting",
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("account_seq", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("balance_after", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("account_seq >= 1", name="posting_seq_positive"),
        sa.CheckConstraint("amount <> 0", name="posting_amount"),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["entry.id"], name="posting_entry", initially="DEFERRED", deferrable=True
        ),
        sa.PrimaryKeyConstraint("entry_id", "account_id"),
        sa.UniqueConstraint("account_id", "account_seq", name="posting_sequence"),
    )
    op.create_table(
        "issuance",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("period_id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("asset_class", sa.String(), nullable=False),
        sa.Column("methodology_tag", sa.String(), nullable=False),
        sa.Column("project_code", sa.String(), nullable=False),
        sa.Column("vintage", sa.Integer(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("quantity_kg", sa.BigInteger(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("quantity_kg > 0", name="issuance_quantity"),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["period_id"],
            ["monitoring_period.id"],
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("period_id"),
    )
    with op.batch_alter_table("issuance", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_issuance_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_issuance_project_id"), ["project_id"], unique=False)

    op.create_table(
        "margin_call",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("loan_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("debt_fen", sa.BigInteger(), nullable=False),
        sa.Column("market_fen", sa.BigInteger(), nullable=False),
        sa.Column("shortfall_fen", sa.BigInteger(), nullable=False),
        sa.Column("cash_fen", sa.BigInteger(), nullable=False),
        sa.Column("cure_by", sa.Date(), nullable=False),
        sa.Column("called_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="margin_call_closed"),
        sa.CheckConstraint("state IN ('open','cured','closed')", name="margin_call_state"),
        sa.ForeignKeyConstraint(
            ["loan_id"],
            ["loan.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("margin_call", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_margin_call_loan_id"), ["loan_id"], unique=False)
        batch_op.create_index(
            "margin_call_open",
            ["loan_id"],
            unique=True,
            sqlite_where=sa.text("state = 'open'"),
            postgresql_where=sa.text("state = 'open'"),
        )

    op.create_table(
        "meter_claim",
        sa.Column("period_id", sa.String(), nullable=False),
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["meter_id"],
            ["meter.id"],
        ),
        sa.ForeignKeyConstraint(
            ["period_id"],
            ["monitoring_period.id"],
        ),
        sa.PrimaryKeyConstraint("period_id", "meter_id"),
    )
    with op.batch_alter_table("meter_claim", schema=None) as batch_op:
        batch_op.create_index("meter_claim_by_meter", ["meter_id"], unique=False)

    op.create_table(
        "reading",
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("generation_wh", sa.BigInteger(), nullable=False),
        sa.Column("export_wh", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("export_wh IS NULL OR export_wh BETWEEN 0 AND generation_wh", name="reading_export"),
        sa.CheckConstraint("generation_wh >= 0", name="reading_generation"),
        sa.ForeignKeyConstraint(
            ["meter_id"],
            ["meter.id"],
        ),
        sa.PrimaryKeyConstraint("meter_id", "starts_at"),
    )
    op.create_table(
        "pledge",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("pledgor_id", sa.String(), nullable=False),
        sa.Column("pledgee_id", sa.String(), nullable=False),
        sa.Column("issuance_id", sa.String(), nullable=False),
        sa.Column("asset_class", sa.String(), nullable=False),
        sa.Column("quantity_kg", sa.BigInteger(), nullable=False),
        sa.Column("released_kg", sa.BigInteger(), nullable=False),
        sa.Column("disposed_kg", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("loan_id", sa.String(), nullable=True),
        sa.Column("registration_number", sa.String(), nullable=True),
        sa.Column("reserved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state <> 'posted' OR (loan_id IS NOT NULL)", name="pledge_loan"),
        sa.CheckConstraint(
            "state IN ('reserved','posted','void','expired','released','disposed')", name="pledge_state"
        ),
        sa.CheckConstraint(
            "quantity_kg > 0 AND released_kg >= 0 AND disposed_kg >= 0 AND released_kg + disposed_kg <= quantity_kg",
            name="pledge_quantity",
        ),
        sa.ForeignKeyConstraint(
            ["issuance_id"],
            ["issuance.id"],
        ),
        sa.ForeignKeyConstraint(
            ["loan_id"],
            ["loan.id"],
        ),
        sa.ForeignKeyConstraint(
            ["pledgee_id"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["pledgor_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("pledge", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_pledge_loan_id"), ["loan_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_pledge_pledgee_id"), ["pledgee_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_pledge_pledgor_id"), ["pledgor_id"], unique=False)

    op.create_table(
        "retirement",
        sa.Column("certificate_number", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("retired_by", sa.String(), nullable=False),
        sa.Column("issuance_id", sa.String(), nullable=False),
        sa.Column("quantity_kg", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("quantity_kg > 0", name="retirement_quantity"),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["entry.id"],
        ),
        sa.ForeignKeyConstraint(
            ["issuance_id"],
            ["issuance.id"],
        ),
        sa.ForeignKeyConstraint(
            ["retired_by"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("certificate_number"),
        sa.UniqueConstraint("number"),
    )
    with op.batch_alter_table("retirement", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_retirement_retired_by"), ["retired_by"], unique=False)

    op.create_table(
        "serial_block",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("issuance_id", sa.String(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("first_kg", sa.BigInteger(), nullable=False),
        sa.Column("last_kg", sa.BigInteger(), nullable=False),
        sa.Column("history", sa.JSON(), nullable=False),
        sa.Column("since_entry_id", sa.BigInteger(), nullable=False),
        sa.Column("until_entry_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("1 <= first_kg AND first_kg <= last_kg", name="serial_order"),
        sa.CheckConstraint("until_entry_id IS NULL OR until_entry_id > since_entry_id", name="serial_life"),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
        ),
        sa.ForeignKeyConstraint(
            ["issuance_id"],
            ["issuance.id"],
        ),
        sa.ForeignKeyConstraint(
            ["since_entry_id"],
            ["entry.id"],
        ),
        sa.ForeignKeyConstraint(
            ["until_entry_id"],
            ["entry.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("issuance_id", "first_kg", "since_entry_id", name="serial_identity"),
    )
    with op.batch_alter_table("serial_block", schema=None) as batch_op:
        batch_op.create_index("serial_by_account", ["account_id", "until_entry_id"], unique=False)

    op.create_table(
        "offer",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("seller_id", sa.String(), nullable=False),
        sa.Column("buyer_id", sa.String(), nullable=False),
        sa.Column("issuance_id", sa.String(), nullable=False),
        sa.Column("quantity_kg", sa.BigInteger(), nullable=False),
        sa.Column("fen_per_tonne", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("offered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pledge_id", sa.String(), nullable=True),
        sa.Column("entry_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(state = 'accepted') = (entry_id IS NOT NULL)", name="offer_settled"),
        sa.CheckConstraint("state IN ('open','accepted','withdrawn','expired')", name="offer_state"),
        sa.CheckConstraint("quantity_kg > 0 AND fen_per_tonne > 0", name="offer_positive"),
        sa.CheckConstraint("seller_id <> buyer_id", name="offer_parties"),
        sa.ForeignKeyConstraint(
            ["buyer_id"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["entry.id"],
        ),
        sa.ForeignKeyConstraint(
            ["issuance_id"],
            ["issuance.id"],
        ),
        sa.ForeignKeyConstraint(
            ["pledge_id"],
            ["pledge.id"],
        ),
        sa.ForeignKeyConstraint(
            ["seller_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("offer", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_offer_buyer_id"), ["buyer_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_offer_seller_id"), ["seller_id"], unique=False)
    for statement in rules(revision, op.get_bind().dialect.name):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """The first version: going below it means starting with an empty database."""
    raise RuntimeError("the first migration cannot be undone; use an empty database instead")
