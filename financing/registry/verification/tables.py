"""Monitoring periods, who claimed which meter when, and the work of verifiers."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, RowId, UtcDateTime
from financing.registry.verification.findings import Remarks
from financing.registry.verification.monitoring import ClaimedProject


class MonitoringPeriodRow(ClaimedProject, SQLModel, table=True):
    __tablename__: ClassVar[str] = "monitoring_period"
    __table_args__ = (
        ForeignKeyConstraint(["project_id"], ["project.id"]),
        Index("ix_monitoring_period_project_id", "project_id"),
        Index("ix_monitoring_period_state", "state"),
        CheckConstraint("starts_at < ends_at", name="period_order"),
        CheckConstraint("state IN ('submitted','accepted','rejected','issued')", name="period_state"),
        CheckConstraint("generation_wh >= 0 AND reduction_kg >= 0", name="period_amounts"),
    )
    id: str = Field(primary_key=True)
    starts_at: datetime = Field(sa_type=UtcDateTime)
    ends_at: datetime = Field(sa_type=UtcDateTime)
    generation_wh: int = Field(sa_type=Int64)
    reduction_kg: int = Field(sa_type=Int64)
    record: dict[str, Any] = Field(sa_type=JSON)
    submitted_at: datetime = Field(sa_type=UtcDateTime)


class MeterClaimRow(SQLModel, table=True):
    """One meter's time, claimed by one monitoring period; a trigger refuses a second claim unless it was rejected."""

    __tablename__: ClassVar[str] = "meter_claim"
    __table_args__ = (Index("meter_claim_by_meter", "meter_id"),)
    period_id: str = Field(primary_key=True, foreign_key="monitoring_period.id")
    meter_id: str = Field(primary_key=True, foreign_key="meter.id")


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


class VerifierFindingRow(Remarks, SQLModel, table=True):
    __tablename__: ClassVar[str] = "verifier_finding"
    __table_args__ = (
        ForeignKeyConstraint(["verifier_id"], ["organisation.id"]),
        CheckConstraint("severity IN ('clarification','corrective_action')", name="verifier_finding_severity"),
        CheckConstraint("closed_at IS NULL OR answered_at IS NOT NULL", name="verifier_finding_order"),
    )
    id: str = Field(primary_key=True)
    period_id: str = Field(foreign_key="monitoring_period.id", index=True)
    raised_at: datetime = Field(sa_type=UtcDateTime)
    answered_at: datetime | None = Field(sa_type=UtcDateTime)
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
