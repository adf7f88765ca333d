"""who may act: people, their credentials, machines, sessions, and commands that take two people

A key becomes one of a person named as the key was labelled, for ninety days, in a sandbox; elsewhere keys are refused.
Sessions end: everybody signs in again. A subject id that a registry wrote down is no proof: it is worth nothing until
the subject proves it with its key.

Revision ID: 0012
Revises: 0011
"""

import hashlib
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

from credit_api.app.migrations.rules import rules

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None
EVERY_ROLE = "administrator auditor checker maker viewer"
KEPT = timedelta(days=90)
KINDS = "'bank','grid','developer','verifier','registry','exchange','buyer','regulator'"


def upgrade() -> None:
    with op.batch_alter_table("organisation") as batch:
        batch.drop_constraint("organisation_kind", type_="check")
        batch.create_check_constraint("organisation_kind", f"kind IN ({KINDS})")
        batch.add_column(_time("subject_proved_at", nullable=True))
        batch.add_column(sa.Column("admitted_by", sa.String(), nullable=True))
        batch.create_foreign_key("organisation_admitted_by", "organisation", ["admitted_by"], ["id"])
    _people()
    _machines()
    _keys()
    _sessions()
    bind = op.get_bind()
    for statement in rules(revision, bind.dialect.name):
        bind.exec_driver_sql(statement)


def _time(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=nullable)


def _people() -> None:
    op.create_table(
        "person",
        _text("id"),
        _text("organisation_id"),
        _text("name"),
        _text("roles"),
        _time("created_at"),
        _time("ended_at", nullable=True),
        sa.CheckConstraint("ended_at IS NULL OR ended_at >= created_at", name="person_ended"),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("organisation_id", "id", name="person_of_organisation"),
    )
    op.create_index("ix_person_organisation_id", "person", ["organisation_id"])
    op.create_table(
        "credentials",
        _text("person_id"),
        _text("login"),
        _text("password_hash"),
        _text("totp_sealed"),
        sa.Column("totp_step", sa.BigInteger(), nullable=False),
        _time("changed_at"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("person_id"),
        sa.UniqueConstraint("login"),
    )
    op.create_table(
        "invitation",
        _text("sha256"),
        _text("id"),
        _text("organisation_id"),
        _text("person_id", nullable=True),
        _text("roles"),
        _text("totp_sealed"),
        _text("invited_by"),
        _time("created_at"),
        _time("expires_at"),
        _time("used_at", nullable=True),
        _time("withdrawn_at", nullable=True),
        sa.CheckConstraint("length(sha256) = 64", name="invitation_hash"),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"]),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("sha256"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("ix_invitation_organisation_id", "invitation", ["organisation_id"])
    op.create_table(
        "proposal",
        _text("id"),
        _text("organisation_id"),
        _text("command"),
        _text("object_id"),
        sa.Column("arguments", sa.JSON(), nullable=False),
        _text("why"),
        _text("maker"),
        _time("made_at"),
        _text("checker", nullable=True),
        _text("outcome", nullable=True),
        _time("decided_at", nullable=True),
        sa.CheckConstraint("checker <> maker", name="proposal_two_people"),
        sa.CheckConstraint("outcome IN ('confirmed','refused')", name="proposal_outcome"),
        sa.CheckConstraint(
            "(outcome IS NULL) = (checker IS NULL) AND (outcome IS NULL) = (decided_at IS NULL)",
            name="proposal_decided",
        ),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"]),
        *(
            sa.ForeignKeyConstraint(
                ["organisation_id", who], ["person.organisation_id", "person.id"], name=f"proposal_{who}"
            )
            for who in ("maker", "checker")
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_proposal_organisation_id", "proposal", ["organisation_id"])


def _machines() -> None:
    op.create_table(
        "machine",
        _text("id"),
        _text("organisation_id"),
        _text("label"),
        _text("works"),
        _text("created_by"),
        _time("created_at"),
        _time("revoked_at", nullable=True),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_machine_organisation_id", "machine", ["organisation_id"])
    op.create_table(
        "machine_key",
        _text("machine_id"),
        _text("kid"),
        sa.Column("jwk", sa.JSON(), nullable=False),
        _time("created_at"),
        _time("expires_at"),
        _time("used_at", nullable=True),
        _time("revoked_at", nullable=True),
        sa.ForeignKeyConstraint(["machine_id"], ["machine.id"]),
        sa.PrimaryKeyConstraint("machine_id", "kid"),
    )
    op.create_table(
        "assertion",
        _text("sha256"),
        _time("expires_at"),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_index("ix_assertion_expires_at", "assertion", ["expires_at"])


def _person_id(organisation_id: str, label: str) -> str:
    return "per_" + hashlib.sha256(f"{organisation_id} {label}".encode()).hexdigest()[:20]


def _keys() -> None:
    """Keys of before become those of people named as they were labelled."""
    bind = op.get_bind()
    now = datetime.now(UTC)
    stored = now.replace(tzinfo=None) if bind.dialect.name == "sqlite" else now
    before = sa.table("api_key", *map(sa.column, ("sha256", "organisation_id", "label", "created_at", "revoked_at")))
    keys = bind.execute(sa.select(before)).all()
    with op.batch_alter_table("api_key") as batch:
        batch.add_column(_text("id", nullable=True))
        batch.add_column(_text("person_id", nullable=True))
        batch.add_column(_time("expires_at", nullable=True))
        batch.add_column(_time("used_at", nullable=True))
    person = sa.table("person", *map(sa.column, ("id", "organisation_id", "name", "roles", "created_at")))
    people = {(row.organisation_id, row.label): _person_id(row.organisation_id, row.label) for row in keys}
    for (organisation_id, label), person_id in people.items():
        values = {"id": person_id, "organisation_id": organisation_id, "name": label}
        bind.execute(person.insert().values(values | {"roles": EVERY_ROLE, "created_at": stored}))
    change = sa.text("UPDATE api_key SET id = :id, person_id = :person, expires_at = :until WHERE sha256 = :sha256")
    for row in keys:
        named = {"id": f"key_{row.sha256[:20]}", "person": people[row.organisation_id, row.label]}
        bind.execute(change, named | {"until": stored + KEPT, "sha256": row.sha256})
    with op.batch_alter_table("api_key") as batch:
        batch.alter_column("id", existing_type=sa.String(), nullable=False)
        batch.alter_column("person_id", existing_type=sa.String(), nullable=False)
        batch.alter_column("expires_at", existing_type=sa.DateTime(timezone=True), nullable=False)
        batch.create_unique_constraint("api_key_id", ["id"])
        batch.create_foreign_key("api_key_person", "person", ["person_id"], ["id"])
    op.create_index("ix_api_key_person_id", "api_key", ["person_id"])


def _sessions() -> None:
    op.drop_table("console_session")
    op.create_table(
        "session",
        _text("sha256"),
        _text("id"),
        _text("organisation_id"),
        _text("person_id", nullable=True),
        _text("machine_id", nullable=True),
        _text("kid", nullable=True),
        _text("api_key", nullable=True),
        _text("works"),
        _text("csrf_token"),
        _time("created_at"),
        _time("expires_at"),
        _time("used_at", nullable=True),
        _time("ended_at", nullable=True),
        sa.CheckConstraint("length(sha256) = 64", name="session_hash"),
        sa.CheckConstraint("(person_id IS NULL) <> (machine_id IS NULL)", name="session_whose"),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"]),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.ForeignKeyConstraint(["machine_id"], ["machine.id"]),
        sa.ForeignKeyConstraint(
            ["machine_id", "kid"], ["machine_key.machine_id", "machine_key.kid"], name="session_key"
        ),
        sa.ForeignKeyConstraint(["api_key"], ["api_key.sha256"]),
        sa.PrimaryKeyConstraint("sha256"),
        sa.UniqueConstraint("id"),
    )
    for column in ("organisation_id", "person_id", "machine_id"):
        op.create_index(f"ix_session_{column}", "session", [column])
