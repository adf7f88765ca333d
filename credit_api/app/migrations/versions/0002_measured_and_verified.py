"""Readings at their grid nodes, methodologies as files, verification as a trail.

Revision ID: 0002
Revises: 0001
"""

from fractions import Fraction
from typing import Any

import sqlalchemy as sa
from alembic import op

from credit_api.app.migrations.rules import rules

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    _let_capacity_be_unknown(dialect)
    op.create_table(
        "parameter_file",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(sha256) = 64", name="parameter_file_hash"),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_table(
        "accreditation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("organisation_id", sa.String(), nullable=False),
        sa.Column("methodology", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("valid_until IS NULL OR valid_from < valid_until", name="accreditation_order"),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["recorded_by"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("organisation_id", "methodology", "valid_from", name="accreditation_identity"),
    )
    op.create_table(
        "methodology_transition",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('draft','consultation','approved','superseded')", name="methodology_transition_status"
        ),
        sa.ForeignKeyConstraint(
            ["recorded_by"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["sha256"],
            ["parameter_file.sha256"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code", "version", "status", "sha256", name="methodology_transition_once"),
    )
    op.create_table(
        "organisation_relation",
        sa.Column("first_id", sa.String(), nullable=False),
        sa.Column("second_id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("declared_by", sa.String(), nullable=False),
        sa.Column("declared_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("first_id <> second_id", name="organisation_relation_pair"),
        sa.ForeignKeyConstraint(
            ["declared_by"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["first_id"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["second_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("first_id", "second_id"),
    )
    op.create_table(
        "meter_key",
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("held_by", sa.String(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("held_by IN ('meter','service')", name="meter_key_holder"),
        sa.CheckConstraint("length(public_key) = 64", name="meter_key_length"),
        sa.ForeignKeyConstraint(
            ["meter_id"],
            ["meter.id"],
        ),
        sa.PrimaryKeyConstraint("meter_id"),
    )
    op.create_table(
        "metering_statement",
        sa.Column("period_id", sa.String(), nullable=False),
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("grid_id", sa.String(), nullable=False),
        sa.Column("energy_wh", sa.BigInteger(), nullable=False),
        sa.Column("commitment", sa.String(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("signature", sa.String(), nullable=False),
        sa.CheckConstraint("energy_wh >= 0", name="metering_statement_energy"),
        sa.ForeignKeyConstraint(
            ["grid_id"],
            ["organisation.id"],
        ),
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
    op.create_table(
        "signed_statement",
        sa.Column("statement_id", sa.String(), nullable=False),
        sa.Column("period_id", sa.String(), nullable=False),
        sa.Column("verifier_id", sa.String(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("signature", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["period_id"],
            ["monitoring_period.id"],
        ),
        sa.ForeignKeyConstraint(
            ["verifier_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("statement_id"),
        sa.UniqueConstraint("period_id"),
    )
    op.create_table(
        "verification_assignment",
        sa.Column("period_id", sa.String(), nullable=False),
        sa.Column("verifier_id", sa.String(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("assigned_by", sa.String(), nullable=False),
        sa.Column("assigned_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["assigned_by"],
            ["organisation.id"],
        ),
        sa.ForeignKeyConstraint(
            ["period_id"],
            ["monitoring_period.id"],
        ),
        sa.ForeignKeyConstraint(
            ["verifier_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("period_id"),
    )
    with op.batch_alter_table("verification_assignment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_verification_assignment_verifier_id"), ["verifier_id"], unique=False)

    op.create_table(
        "verifier_finding",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("period_id", sa.String(), nullable=False),
        sa.Column("verifier_id", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closing", sa.String(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("severity IN ('clarification','corrective_action')", name="verifier_finding_severity"),
        sa.CheckConstraint("closed_at IS NULL OR answered_at IS NOT NULL", name="verifier_finding_order"),
        sa.ForeignKeyConstraint(
            ["period_id"],
            ["monitoring_period.id"],
        ),
        sa.ForeignKeyConstraint(
            ["verifier_id"],
            ["organisation.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("verifier_finding", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_verifier_finding_period_id"), ["period_id"], unique=False)

    _rewrite_workings(dialect)
    for statement in rules(revision, dialect):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Readings have left the books and workings have their new form; a backup from before is the way back."""
    raise RuntimeError("this migration cannot be undone; restore the backup instead")


def _let_capacity_be_unknown(dialect: str) -> None:
    """A wetland has no nameplate power. SQLite would rebuild the table under its references, so its own text is edited,
    the way its documentation gives for dropping a NOT NULL."""
    if dialect != "sqlite":
        op.alter_column("project", "capacity_w", nullable=True)
        return
    connection = op.get_bind()
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema=ON")
    connection.exec_driver_sql(
        "UPDATE sqlite_schema SET sql = replace(sql, 'capacity_w BIGINT NOT NULL', 'capacity_w BIGINT') "
        "WHERE type = 'table' AND name = 'project'"
    )
    connection.exec_driver_sql(f"PRAGMA schema_version={version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema=OFF")


def _rewrite_workings(dialect: str) -> None:
    """Claims of the first version carry PV workings in fields of their own; they become inputs, parameters and steps.
    The kilograms stay as they are, and so does everything that the period's own columns hold."""
    drop = "DROP TRIGGER period_fixed" + (" ON monitoring_period" if dialect == "postgresql" else "")
    op.execute(sa.text(drop))
    period = sa.table("monitoring_period", sa.column("id", sa.String()), sa.column("record", sa.JSON()))
    connection = op.get_bind()
    for row in connection.execute(sa.select(period)).all():
        if "claim_mode" in row.record["reduction"]:
            changed = row.record | {"reduction": _workings(row.record["reduction"])}
            connection.execute(sa.update(period).where(period.c.id == row.id).values(record=changed))


def _workings(old: dict[str, Any]) -> dict[str, Any]:
    mode, wh = old["claim_mode"], 1000
    energy = {"all": "generation", "self_use": "generation - export", "export": "export"}[mode]
    used = [name for name in ("generation", "export") if name in energy]
    base = old["claimed"]["amount"] + old["green_power_sold"]["amount"]
    net = max(old["net_factor"]["amount"], 0)

    def entered(name: str, amount: int, kind: str, zh: str, en: str) -> dict[str, Any]:
        value = _ratio(amount, wh)
        return {"name": name, "kind": kind, "value": value, "unit": "kWh", "zh": zh, "en": en, "evidence": ""}

    def factor(name: str, key: str, zh: str, en: str) -> dict[str, Any]:
        record = old["factor_key"] if name == "factor" else ""
        value = _ratio(old[key]["amount"], 1)
        cited = {"source": "as recorded before citations were kept", "mark": "R", "file": "grid_factors.toml"}
        return {"name": name, "value": value, "unit": "mgCO2e/kWh", "zh": zh, "en": en, "key": record} | cited

    def step(name: str, expression: str, value: str, unit: str, zh: str, en: str) -> dict[str, Any]:
        return {"name": name, "expression": expression, "value": value, "unit": unit, "zh": zh, "en": en}

    names = {"generation": ("发电量", "Generation"), "export": ("上网电量", "Export")}
    return {
        "methodology": old["methodology"],
        "version": old["version"],
        "variant": [["claim", mode]],
        "period": old["period"],
        "vintage": old["vintage"],
        "generation": old["generation"],
        "export": old["export"],
        "inputs": [
            *(entered(name, old[name]["amount"], "metered", *names[name]) for name in used),
            entered("green_power_sold", old["green_power_sold"]["amount"], "declared", "已售绿电", "Green power sold"),
        ],
        "parameters": [
            factor("factor", "factor", "电网排放因子", "Grid emission factor"),
            factor("project_emissions", "project_emissions_factor", "项目排放", "Project emissions"),
            factor("leakage", "leakage_factor", "泄漏", "Leakage"),
        ],
        "steps": [
            step("claimable", energy, _ratio(base, wh), "kWh", "可申报电量", "Claimable energy"),
            step(
                "claimed",
                "claimable - green_power_sold",
                _ratio(old["claimed"]["amount"], wh),
                "kWh",
                "申报电量",
                "Claimed energy",
            ),
            step(
                "net_factor",
                "max(factor - project_emissions - leakage, 0)",
                _ratio(net, 1_000_000),
                "kgCO2e/kWh",
                "净排放因子",
                "Net factor",
            ),
            step(
                "reduction",
                "claimed * net_factor",
                _ratio(old["claimed"]["amount"] * net, wh * 1_000_000),
                "kgCO2e",
                "减排量",
                "Reduction",
            ),
        ],
        "result": "reduction",
        "rules": {"deducted": "0", "buffer_bps": 0},
        "reduction": old["reduction"],
        "buffer": {"amount": 0},
        "parameter_hashes": old["parameter_hashes"],
    }


def _ratio(amount: int, scale: int) -> str:
    return str(Fraction(amount, scale))
