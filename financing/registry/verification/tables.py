"""Meter keys, metering statements, archived parameter files, methodology transitions and what verifiers do."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, RowId, UtcDateTime


class MeterKeyRow(SQLModel, table=True):
    """The Ed25519 key that a meter signs with. `held_by` service: the service keeps the private key for its grid."""

    __tablename__: ClassVar[str] = "meter_key"
    __table_args__ = (
        CheckConstraint("length(public_key) = 64", name="meter_key_length"),
        CheckConstraint("held_by IN ('meter','service')", name="meter_key_holder"),
    )
    meter_id: str = Field(primary_key=True, foreign_key="meter.id")
    public_key: str
    held_by: str
    registered_at: datetime = Field(sa_type=UtcDateTime)


class MeteringStatementRow(SQLModel, table=True):
    """What a grid company states of one meter and period: totals, completeness, findings, commitment; signed."""

    __tablename__: ClassVar[str] = "metering_statement"
    __table_args__ = (CheckConstraint("energy_wh >= 0", name="metering_statement_energy"),)
    period_id: str = Field(primary_key=True, foreign_key="monitoring_period.id")
    meter_id: str = Field(primary_key=True, foreign_key="meter.id")
    grid_id: str = Field(foreign_key="organisation.id")
    energy_wh: int = Field(sa_type=Int64)
    commitment: str
    document: dict[str, Any] = Field(sa_type=JSON)
    public_key: str
    signature: str


class ParameterFileRow(SQLModel, table=True):
    """The text of a parameter or methodology file that something in the books rests on, by its SHA-256."""

    __tablename__: ClassVar[str] = "parameter_file"
    __table_args__ = (CheckConstraint("length(sha256) = 64", name="parameter_file_hash"),)
    sha256: str = Field(primary_key=True)
    path: str
    content: str
    archived_at: datetime = Field(sa_type=UtcDateTime)


class MethodologyTransitionRow(SQLModel, table=True):
    """The registry moved a methodology version to another status, with the text it stood for."""

    __tablename__: ClassVar[str] = "methodology_transition"
    __table_args__ = (
        UniqueConstraint("code", "version", "status", "sha256", name="methodology_transition_once"),
        CheckConstraint(
            "status IN ('draft','consultation','approved','superseded')", name="methodology_transition_status"
        ),
    )
    id: int = Field(primary_key=True, sa_type=RowId)
    code: str
    version: int
    status: str
    sha256: str = Field(foreign_key="parameter_file.sha256")
    reason: str
    recorded_by: str = Field(foreign_key="organisation.id")
    recorded_at: datetime = Field(sa_type=UtcDateTime)


class AccreditationRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "accreditation"
    __table_args__ = (
        CheckConstraint("valid_until IS NULL OR valid_from < valid_until", name="accreditation_order"),
        UniqueConstraint("organisation_id", "methodology", "valid_from", name="accreditation_identity"),
    )
    id: int = Field(primary_key=True, sa_type=RowId)
    organisation_id: str = Field(foreign_key="organisation.id")
    methodology: str
    valid_from: date
    valid_until: date | None
    source: str
    recorded_by: str = Field(foreign_key="organisation.id")
    recorded_at: datetime = Field(sa_type=UtcDateTime)


class OrganisationRelationRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "organisation_relation"
    __table_args__ = (CheckConstraint("first_id <> second_id", name="organisation_relation_pair"),)
    first_id: str = Field(primary_key=True, foreign_key="organisation.id")
    second_id: str = Field(primary_key=True, foreign_key="organisation.id")
    source: str
    declared_by: str = Field(foreign_key="organisation.id")
    declared_at: datetime = Field(sa_type=UtcDateTime)


class VerificationAssignmentRow(SQLModel, table=True):
    """Which certifier verifies a period, and until when. Without one, any accredited certifier may."""

    __tablename__: ClassVar[str] = "verification_assignment"
    period_id: str = Field(primary_key=True, foreign_key="monitoring_period.id")
    verifier_id: str = Field(foreign_key="organisation.id", index=True)
    due_on: date
    assigned_by: str = Field(foreign_key="organisation.id")
    assigned_at: datetime = Field(sa_type=UtcDateTime)


class VerifierFindingRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "verifier_finding"
    __table_args__ = (
        CheckConstraint("severity IN ('clarification','corrective_action')", name="verifier_finding_severity"),
        CheckConstraint("closed_at IS NULL OR answered_at IS NOT NULL", name="verifier_finding_order"),
    )
    id: str = Field(primary_key=True)
    period_id: str = Field(foreign_key="monitoring_period.id", index=True)
    verifier_id: str = Field(foreign_key="organisation.id")
    severity: str
    text: str
    raised_at: datetime = Field(sa_type=UtcDateTime)
    answer: str
    answered_at: datetime | None = Field(sa_type=UtcDateTime)
    closing: str
    closed_at: datetime | None = Field(sa_type=UtcDateTime)


class SignedStatementRow(SQLModel, table=True):
    """A verifier's statement as it was signed: canonical document, key and signature."""

    __tablename__: ClassVar[str] = "signed_statement"
    statement_id: str = Field(primary_key=True)
    period_id: str = Field(foreign_key="monitoring_period.id", unique=True)
    verifier_id: str = Field(foreign_key="organisation.id")
    document: dict[str, Any] = Field(sa_type=JSON)
    public_key: str
    signature: str
