"""the life of credits

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

from credit_api.app.migrations.rules import rules

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "energy_link",
        sa.Column("source_meter", sa.String(), nullable=False),
        sa.Column("sink_kind", sa.String(), nullable=False),
        sa.Column("sink_id", sa.String(), nullable=False),
        sa.Column("declared_by", sa.String(), nullable=False),
        sa.Column("declared_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["declared_by"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("source_meter", "sink_kind", "sink_id"),
    )
    with op.batch_alter_table("energy_link", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_energy_link_sink_id"), ["sink_id"], unique=False)

    op.create_table(
        "vehicle_claim",
        sa.Column("period_id", sa.String(), nullable=False),
        sa.Column("vehicle_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["period_id"], ["monitoring_period.id"]),
        sa.PrimaryKeyConstraint("period_id", "vehicle_id"),
    )
    with op.batch_alter_table("vehicle_claim", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vehicle_claim_vehicle_id"), ["vehicle_id"], unique=False)

    op.create_table(
        "external_claim",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("scheme", sa.String(), nullable=False),
        sa.Column("subject_kind", sa.String(), nullable=False),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("scheme IN ('CCER','VCS','GS','CDM','GEC','ETS','PHCER')", name="external_claim_scheme"),
        sa.CheckConstraint("subject_kind IN ('meter','site','vehicle')", name="external_claim_subject"),
        sa.CheckConstraint("starts_at < ends_at", name="external_claim_order"),
        sa.ForeignKeyConstraint(
            ["recorded_by"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(
            "scheme", "subject_kind", "subject_id", "starts_at", "reference", name="external_claim_once"
        ),
    )
    with op.batch_alter_table("external_claim", schema=None) as batch_op:
        batch_op.create_index("external_claim_by_subject", ["subject_kind", "subject_id"], unique=False)

    op.create_table(
        "package",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("registry_id", sa.String(), nullable=False),
        sa.Column("asset_class", sa.String(), nullable=False),
        sa.Column("criteria", sa.JSON(), nullable=False),
        sa.Column("redemption", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("redemption IN ('pro_rata','oldest_first')", name="package_redemption"),
        sa.CheckConstraint("state IN ('open','closed')", name="package_state"),
        sa.ForeignKeyConstraint(
            ["registry_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code"),
    )
    op.create_table(
        "suspension",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("ordered_by", sa.String(), nullable=False),
        sa.Column("ordered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["ordered_by"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("suspension", schema=None) as batch_op:
        batch_op.create_index(
            "suspension_open",
            ["project_id"],
            unique=True,
            sqlite_where=sa.text("lifted_at IS NULL"),
            postgresql_where=sa.text("lifted_at IS NULL"),
        )

    op.create_table(
        "carry_over",
        sa.Column("period_id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("carried_in_kg", sa.BigInteger(), nullable=False),
        sa.Column("reduction_kg", sa.BigInteger(), nullable=False),
        sa.Column("issued_kg", sa.BigInteger(), nullable=False),
        sa.Column("buffer_kg", sa.BigInteger(), nullable=False),
        sa.Column("carried_out_kg", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("buffer_kg BETWEEN 0 AND issued_kg", name="carry_buffer"),
        sa.CheckConstraint(
            "carried_in_kg + reduction_kg = issued_kg + carried_out_kg AND issued_kg % 1000 = 0", name="carry_conserves"
        ),
        sa.CheckConstraint(
            "carried_in_kg BETWEEN 0 AND 999 AND carried_out_kg BETWEEN 0 AND 999 AND reduction_kg >= 0",
            name="carry_remainder",
        ),
        sa.ForeignKeyConstraint(
            ["period_id"],
            ["monitoring_period.id"],
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
        ),
        sa.PrimaryKeyConstraint("period_id"),
        sa.UniqueConstraint("project_id", "seq", name="carry_sequence"),
    )
    op.create_table(
        "green_certificate",
        sa.Column("certificate_number", sa.String(), nullable=False),
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("energy_wh", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("period_id", sa.String(), nullable=True),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(state IN ('frozen','cancelled')) = (period_id IS NOT NULL)", name="green_certificate_claim"
        ),
        sa.CheckConstraint("state IN ('available','sold','frozen','cancelled')", name="green_certificate_state"),
        sa.CheckConstraint("starts_at < ends_at AND energy_wh > 0", name="green_certificate_amounts"),
        sa.ForeignKeyConstraint(
            ["meter_id"],
            ["meter.id"],
        ),
        sa.ForeignKeyConstraint(
            ["period_id"],
            ["monitoring_period.id"],
        ),
        sa.ForeignKeyConstraint(
            ["recorded_by"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("certificate_number"),
    )
    with op.batch_alter_table("green_certificate", schema=None) as batch_op:
        batch_op.create_index("green_certificate_by_meter", ["meter_id", "starts_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_green_certificate_period_id"), ["period_id"], unique=False)

    op.create_table(
        "cancellation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("ordered_by", sa.String(), nullable=False),
        sa.Column("issuance_id", sa.String(), nullable=False),
        sa.Column("quantity_kg", sa.BigInteger(), nullable=False),
        sa.Column("ground", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("ground IN ('voluntary','revoked','reversal')", name="cancellation_ground"),
        sa.CheckConstraint("quantity_kg > 0", name="cancellation_quantity"),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["entry.id"],
        ),
        sa.ForeignKeyConstraint(
            ["issuance_id"],
            ["issuance.id"],
        ),
        sa.ForeignKeyConstraint(
            ["ordered_by"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("cancellation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_cancellation_issuance_id"), ["issuance_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_cancellation_owner_id"), ["owner_id"], unique=False)

    op.create_table(
        "serial_freeze",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("issuance_id", sa.String(), nullable=False),
        sa.Column("first_kg", sa.BigInteger(), nullable=False),
        sa.Column("last_kg", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("ordered_by", sa.String(), nullable=False),
        sa.Column("ordered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'active') = (closed_at IS NULL)", name="freeze_closed"),
        sa.CheckConstraint("state IN ('active','lifted','revoked')", name="freeze_state"),
        sa.CheckConstraint("1 <= first_kg AND first_kg <= last_kg", name="freeze_order"),
        sa.ForeignKeyConstraint(
            ["issuance_id"],
            ["issuance.id"],
        ),
        sa.ForeignKeyConstraint(
            ["ordered_by"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("serial_freeze", schema=None) as batch_op:
        batch_op.create_index("freeze_active", ["issuance_id", "state"], unique=False)

    op.create_table(
        "region_transfer",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("from_registry", sa.String(), nullable=False),
        sa.Column("to_registry", sa.String(), nullable=False),
        sa.Column("issuance_id", sa.String(), nullable=False),
        sa.Column("quantity_kg", sa.BigInteger(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("minted_kg", sa.BigInteger(), nullable=True),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("locked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'minted') = (minted_kg IS NOT NULL)", name="transfer_minted"),
        sa.CheckConstraint("mode IN ('recognise','requantify')", name="transfer_mode"),
        sa.CheckConstraint("state IN ('locked','minted','refused')", name="transfer_state"),
        sa.CheckConstraint("from_registry <> to_registry", name="transfer_regions"),
        sa.CheckConstraint(
            "minted_kg IS NULL OR (minted_kg > 0 AND minted_kg <= quantity_kg)", name="transfer_conserves"
        ),
        sa.CheckConstraint("quantity_kg > 0", name="transfer_quantity"),
        sa.ForeignKeyConstraint(
            ["from_registry"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["issuance_id"],
            ["issuance.id"],
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["to_registry"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
    )
    with op.batch_alter_table("region_transfer", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_region_transfer_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_region_transfer_to_registry"), ["to_registry"], unique=False)

    op.create_table(
        "retirement_line",
        sa.Column("certificate_number", sa.String(), nullable=False),
        sa.Column("issuance_id", sa.String(), nullable=False),
        sa.Column("quantity_kg", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("quantity_kg > 0", name="retirement_line_quantity"),
        sa.ForeignKeyConstraint(
            ["certificate_number"],
            ["retirement.certificate_number"],
        ),
        sa.ForeignKeyConstraint(
            ["issuance_id"],
            ["issuance.id"],
        ),
        sa.PrimaryKeyConstraint("certificate_number", "issuance_id"),
    )
    with op.batch_alter_table("retirement_line", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_retirement_line_issuance_id"), ["issuance_id"], unique=False)

    _widen_issuance()
    _retire_over_several_issuances()
    for statement in rules(revision, op.get_bind().dialect.name):
        op.get_bind().exec_driver_sql(statement)


def _widen_issuance() -> None:
    """An issuance names its registry; one that was minted for another region's credits has no monitoring period."""
    with op.batch_alter_table("issuance", schema=None) as batch_op:
        batch_op.add_column(sa.Column("registry_id", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("registry_code", sa.String(), nullable=False, server_default="SIP"))
        batch_op.add_column(sa.Column("transfer_id", sa.String(), nullable=True))
        batch_op.alter_column("period_id", existing_type=sa.String(), nullable=True)
    op.execute(
        "UPDATE issuance SET registry_id = "
        "(SELECT owner_id FROM account WHERE kind = 'issued' AND asset = 'PHCER:' || issuance.id)"
    )
    with op.batch_alter_table("issuance", schema=None) as batch_op:
        batch_op.alter_column("registry_id", existing_type=sa.String(), nullable=False)
        batch_op.alter_column("registry_code", existing_type=sa.String(), server_default=None)
        batch_op.create_index(batch_op.f("ix_issuance_registry_id"), ["registry_id"], unique=False)
        batch_op.create_unique_constraint("issuance_transfer_id_key", ["transfer_id"])
        batch_op.create_foreign_key("issuance_registry_id_fkey", "organisation", ["registry_id"], ["id"])
        batch_op.create_check_constraint("issuance_origin", "(period_id IS NULL) <> (transfer_id IS NULL)")


def _retire_over_several_issuances() -> None:
    """One certificate may cover credits of several issuances: each has a line."""
    op.execute(
        "INSERT INTO retirement_line (certificate_number, issuance_id, quantity_kg) "
        "SELECT certificate_number, issuance_id, quantity_kg FROM retirement"
    )
    with op.batch_alter_table("retirement", schema=None) as batch_op:
        batch_op.drop_column("issuance_id")


def downgrade() -> None:
    """Credits of other regions and certificates over several issuances have no place in the tables before."""
    raise RuntimeError("this migration cannot be undone; restore a copy from before it instead")
