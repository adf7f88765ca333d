"""the life of loans

The table of loans is built anew: the books of a loan live in its account now. Loans of the earlier form keep their
place, and what they were stands in `loan_before_0007` until `credit_api.app.earlier_loans` has opened their accounts,
which needs the rules of loans and the ledger; the service does so before it answers anybody.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

from credit_api.app.migrations.rules import rules

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    bind = op.get_bind()
    earlier = bool(bind.execute(sa.text("SELECT COUNT(*) FROM loan")).scalar_one())
    if earlier:
        op.execute("CREATE TABLE loan_before_0007 AS SELECT * FROM loan")
    postgresql = bind.dialect.name == "postgresql"
    op.execute("DROP TABLE loan CASCADE" if postgresql else "DROP TABLE loan")
    op.create_table(
        "loan",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("decision_id", sa.String(), nullable=False),
        sa.Column("bank_id", sa.String(), nullable=False),
        sa.Column("borrower_id", sa.String(), nullable=False),
        sa.Column("product", sa.String(), nullable=False),
        sa.Column("committed_fen", sa.BigInteger(), nullable=False),
        sa.Column("terms", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("committed_fen > 0", name="loan_committed"),
        sa.ForeignKeyConstraint(["bank_id"], ["organisation.id"]),
        sa.ForeignKeyConstraint(["borrower_id"], ["organisation.id"]),
        sa.ForeignKeyConstraint(["decision_id"], ["credit_decision.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("decision_id"),
        sa.UniqueConstraint("number"),
    )
    with op.batch_alter_table("loan", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_loan_bank_id"), ["bank_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_loan_borrower_id"), ["borrower_id"], unique=False)
    if earlier:
        op.execute(
            "INSERT INTO loan "
            "(id, number, decision_id, bank_id, borrower_id, product, committed_fen, terms, created_at) "
            "SELECT id, ROW_NUMBER() OVER (ORDER BY created_at, id), decision_id, bank_id, borrower_id, product, "
            "drawn_fen, '{}', created_at FROM loan_before_0007"
        )
    if postgresql:
        op.create_foreign_key("pledge_loan_id_fkey", "pledge", "loan", ["loan_id"], ["id"])
        op.create_foreign_key("margin_call_loan_id_fkey", "margin_call", "loan", ["loan_id"], ["id"])
    op.add_column("credit_decision", sa.Column("maker", sa.String(), nullable=False, server_default=""))
    op.add_column("console_session", sa.Column("person", sa.String(), nullable=False, server_default=""))
    op.add_column("pledge", sa.Column("registered_on", sa.Date(), nullable=True))
    op.add_column("pledge", sa.Column("freeze_number", sa.String(), nullable=True))
    op.add_column("pledge", sa.Column("evidence_hash", sa.String(), nullable=True))
    op.add_column("pledge", sa.Column("compliance_year", sa.Integer(), nullable=True))
    op.add_column("pledge", sa.Column("surrender_by", sa.Date(), nullable=True))
    op.add_column("pledge", sa.Column("carry_over", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "alert",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("bank_id", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["bank_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("bank_id", "day", "kind", "subject", name="alert_once"),
    )
    with op.batch_alter_table("alert", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alert_day"), ["day"], unique=False)

    op.create_table(
        "loan_portfolio",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("bank_id", sa.String(), nullable=False),
        sa.Column("product", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["bank_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("bank_id", "product", name="portfolio_identity"),
    )
    op.create_table(
        "business_day",
        sa.Column("bank_id", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("loans", sa.Integer(), nullable=False),
        sa.Column("parked", sa.Integer(), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("loans >= 0 AND parked >= 0", name="business_day_counts"),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["entry.id"],
        ),
        sa.ForeignKeyConstraint(["bank_id"], ["organisation.id"]),
        sa.PrimaryKeyConstraint("bank_id", "day"),
    )
    op.create_table(
        "security",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("provider_id", sa.String(), nullable=False),
        sa.Column("bank_id", sa.String(), nullable=False),
        sa.Column("borrower_id", sa.String(), nullable=False),
        sa.Column("value_fen", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("evidence_hash", sa.String(), nullable=False),
        sa.Column("registration_number", sa.String(), nullable=True),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("loan_id", sa.String(), nullable=True),
        sa.Column("offered_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(state = 'posted') <= (loan_id IS NOT NULL)", name="security_loan"),
        sa.CheckConstraint("kind <> 'guarantee' OR provider_id <> borrower_id", name="security_guarantor"),
        sa.CheckConstraint("kind IN ('receivable','income_stream','guarantee')", name="security_kind"),
        sa.CheckConstraint("state IN ('offered','posted','released','withdrawn')", name="security_state"),
        sa.CheckConstraint("value_fen > 0", name="security_value"),
        sa.ForeignKeyConstraint(["bank_id"], ["organisation.id"]),
        sa.ForeignKeyConstraint(["borrower_id"], ["organisation.id"]),
        sa.ForeignKeyConstraint(["loan_id"], ["loan.id"]),
        sa.ForeignKeyConstraint(["provider_id"], ["organisation.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("security", schema=None) as batch_op:
        for column in ("bank_id", "borrower_id", "loan_id", "provider_id"):
            batch_op.create_index(batch_op.f(f"ix_security_{column}"), [column], unique=False)

    op.create_table(
        "disposal_auction",
        sa.Column("auction_id", sa.String(), nullable=False),
        sa.Column("pledge_id", sa.String(), nullable=False),
        sa.Column("loan_id", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["auction_id"], ["auction.id"]),
        sa.ForeignKeyConstraint(["loan_id"], ["loan.id"]),
        sa.ForeignKeyConstraint(["pledge_id"], ["pledge.id"]),
        sa.PrimaryKeyConstraint("auction_id"),
    )
    with op.batch_alter_table("disposal_auction", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_disposal_auction_loan_id"), ["loan_id"], unique=False)

    op.create_table(
        "decision_approval",
        sa.Column("decision_id", sa.String(), nullable=False),
        sa.Column("maker", sa.String(), nullable=False),
        sa.Column("checker", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("outcome IN ('confirmed','refused')", name="approval_outcome"),
        sa.CheckConstraint("maker <> checker", name="approval_two_people"),
        sa.ForeignKeyConstraint(
            ["decision_id"],
            ["credit_decision.id"],
        ),
        sa.PrimaryKeyConstraint("decision_id"),
    )
    op.create_table(
        "loan_account",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("portfolio", sa.BigInteger(), nullable=False),
        sa.Column("scheme", sa.Integer(), nullable=False),
        sa.Column("basis", sa.Integer(), nullable=False),
        sa.Column("period_months", sa.Integer(), nullable=False),
        sa.Column("due_day", sa.Integer(), nullable=False),
        sa.Column("interest_only_months", sa.Integer(), nullable=False),
        sa.Column("rate_bps", sa.Integer(), nullable=False),
        sa.Column("spread_bps", sa.Integer(), nullable=False),
        sa.Column("prime_term", sa.Integer(), nullable=False),
        sa.Column("shifted", sa.Integer(), nullable=False),
        sa.Column("reset_months", sa.Integer(), nullable=False),
        sa.Column("penal_bps", sa.Integer(), nullable=False),
        sa.Column("principal_first", sa.Integer(), nullable=False),
        sa.Column("matures_on", sa.Date(), nullable=False),
        sa.Column("next_reset_on", sa.Date(), nullable=True),
        sa.Column("holiday_until", sa.Date(), nullable=True),
        sa.Column("holiday_full", sa.Integer(), nullable=False),
        sa.Column("frozen", sa.Integer(), nullable=False),
        sa.Column("restructured", sa.Integer(), nullable=False),
        sa.Column("secured_fen", sa.BigInteger(), nullable=False),
        sa.Column("disbursed_fen", sa.BigInteger(), nullable=False),
        sa.Column("received_fen", sa.BigInteger(), nullable=False),
        sa.Column("principal_fen", sa.BigInteger(), nullable=False),
        sa.Column("principal_due_fen", sa.BigInteger(), nullable=False),
        sa.Column("principal_billed_fen", sa.BigInteger(), nullable=False),
        sa.Column("instalment_fen", sa.BigInteger(), nullable=False),
        sa.Column("accrued_to", sa.Date(), nullable=False),
        sa.Column("next_due_on", sa.Date(), nullable=True),
        sa.Column("interest_num", sa.BigInteger(), nullable=False),
        sa.Column("interest_closed_fen", sa.BigInteger(), nullable=False),
        sa.Column("interest_billed_fen", sa.BigInteger(), nullable=False),
        sa.Column("interest_paid_fen", sa.BigInteger(), nullable=False),
        sa.Column("penal_num", sa.BigInteger(), nullable=False),
        sa.Column("penal_paid_fen", sa.BigInteger(), nullable=False),
        sa.Column("written_principal_fen", sa.BigInteger(), nullable=False),
        sa.Column("written_interest_fen", sa.BigInteger(), nullable=False),
        sa.Column("recovered_fen", sa.BigInteger(), nullable=False),
        sa.Column("oldest_due_on", sa.Date(), nullable=True),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("pd_origin_bps", sa.Integer(), nullable=False),
        sa.Column("pd_bps", sa.Integer(), nullable=False),
        sa.Column("risk_class", sa.Integer(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("allowance_fen", sa.BigInteger(), nullable=False),
        sa.Column("coverage", sa.Integer(), nullable=False),
        sa.Column("market_fen", sa.BigInteger(), nullable=False),
        sa.Column("lendable_fen", sa.BigInteger(), nullable=False),
        sa.Column("after_haircut_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("allowance_fen >= 0", name="account_allowance"),
        sa.CheckConstraint("interest_num >= 0 AND penal_num >= 0 AND penal_paid_fen >= 0", name="account_numerators"),
        sa.CheckConstraint("interest_paid_fen <= interest_billed_fen", name="account_interest"),
        sa.CheckConstraint("principal_due_fen <= principal_fen", name="account_principal_due"),
        sa.CheckConstraint("principal_fen >= 0 AND principal_due_fen >= 0", name="account_principal"),
        sa.CheckConstraint("state <> 1 OR principal_fen = 0", name="account_repaid"),
        sa.CheckConstraint("state IN (0, 1, 2)", name="account_state"),
        sa.ForeignKeyConstraint(
            ["number"],
            ["loan.number"],
        ),
        sa.ForeignKeyConstraint(
            ["portfolio"],
            ["loan_portfolio.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "loan_due",
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("interest_fen", sa.BigInteger(), nullable=False),
        sa.Column("principal_fen", sa.BigInteger(), nullable=False),
        sa.Column("interest_total_fen", sa.BigInteger(), nullable=False),
        sa.Column("principal_total_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("interest_fen >= 0 AND principal_fen >= 0", name="due_amounts"),
        sa.ForeignKeyConstraint(
            ["number"],
            ["loan.number"],
        ),
        sa.PrimaryKeyConstraint("number", "due_on"),
    )
    op.create_table(
        "loan_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value_on", sa.Date(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=True),
        sa.Column("reversed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("entry_id", sa.BigInteger(), nullable=True),
        sa.Column("actor_id", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_fen >= 0", name="event_amount"),
        sa.ForeignKeyConstraint(
            ["actor_id"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["entry.id"],
        ),
        sa.ForeignKeyConstraint(
            ["number"],
            ["loan.number"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number", "sequence", name="event_sequence"),
    )
    with op.batch_alter_table("loan_event", schema=None) as batch_op:
        batch_op.create_index("event_external", ["number", "external_id"], unique=False)

    op.create_table(
        "parked_loan",
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("fault", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["number"],
            ["loan.number"],
        ),
        sa.PrimaryKeyConstraint("number", "day"),
    )

    for statement in rules(revision, bind.dialect.name):
        op.execute(statement)
