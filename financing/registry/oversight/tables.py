"""Freezes, suspensions, cancellations, and what other schemes claimed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, UtcDateTime
from financing.registry.oversight.model import FreezeOrder, Withdrawal
from financing.registry.oversight.overlap import CertifiedEnergy, ClaimedElsewhere


class FreezeRow(FreezeOrder, SQLModel, table=True):
    """Kilograms of an issuance that may not move, wherever they stand, until lifted or revoked."""

    __tablename__: ClassVar[str] = "serial_freeze"
    __table_args__ = (
        ForeignKeyConstraint(["issuance_id"], ["issuance.id"]),
        ForeignKeyConstraint(["ordered_by"], ["organisation.id"]),
        CheckConstraint("1 <= first_kg AND first_kg <= last_kg", name="freeze_order"),
        CheckConstraint("state IN ('active','lifted','revoked')", name="freeze_state"),
        CheckConstraint("(state = 'active') = (closed_at IS NULL)", name="freeze_closed"),
        Index("freeze_active", "issuance_id", "state"),
    )
    id: str = Field(primary_key=True)
    first_kg: int = Field(sa_type=Int64)
    last_kg: int = Field(sa_type=Int64)
    ordered_at: datetime = Field(sa_type=UtcDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SuspensionRow(SQLModel, table=True):
    """A project that may neither claim nor be issued anything while it is open."""

    __tablename__: ClassVar[str] = "suspension"
    __table_args__ = (
        Index(
            "suspension_open",
            "project_id",
            unique=True,
            sqlite_where=text("lifted_at IS NULL"),
            postgresql_where=text("lifted_at IS NULL"),
        ),
    )
    id: str = Field(primary_key=True)
    project_id: str = Field(foreign_key="project.id")
    reason: str
    ordered_by: str = Field(foreign_key="organisation.id")
    ordered_at: datetime = Field(sa_type=UtcDateTime)
    lifted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class CancellationRow(Withdrawal, SQLModel, table=True):
    """Credits withdrawn without use. `record` names their serials."""

    __tablename__: ClassVar[str] = "cancellation"
    __table_args__ = (
        ForeignKeyConstraint(["owner_id"], ["organisation.id"]),
        ForeignKeyConstraint(["ordered_by"], ["organisation.id"]),
        ForeignKeyConstraint(["issuance_id"], ["issuance.id"]),
        Index("ix_cancellation_owner_id", "owner_id"),
        Index("ix_cancellation_issuance_id", "issuance_id"),
        CheckConstraint("quantity_kg > 0", name="cancellation_quantity"),
        CheckConstraint("ground IN ('voluntary','revoked','reversal')", name="cancellation_ground"),
    )
    id: str = Field(primary_key=True)
    quantity_kg: int = Field(sa_type=Int64)
    record: list[Any] = Field(sa_type=JSON)
    entry_id: int = Field(sa_type=Int64, foreign_key="entry.id")
    cancelled_at: datetime = Field(sa_type=UtcDateTime)


class ExternalClaimRow(ClaimedElsewhere, SQLModel, table=True):
    """What another scheme has registered, or the ETS covers: a subject (meter, site or vehicle) and its time."""

    __tablename__: ClassVar[str] = "external_claim"
    __table_args__ = (
        CheckConstraint("starts_at < ends_at", name="external_claim_order"),
        CheckConstraint("scheme IN ('CCER','VCS','GS','CDM','GEC','ETS','PHCER')", name="external_claim_scheme"),
        CheckConstraint("subject_kind IN ('meter','site','vehicle')", name="external_claim_subject"),
        UniqueConstraint("scheme", "subject_kind", "subject_id", "starts_at", "reference", name="external_claim_once"),
        Index("external_claim_by_subject", "subject_kind", "subject_id"),
    )
    id: str = Field(primary_key=True)
    starts_at: datetime = Field(sa_type=UtcDateTime)
    ends_at: datetime = Field(sa_type=UtcDateTime)
    recorded_by: str = Field(foreign_key="organisation.id")
    recorded_at: datetime = Field(sa_type=UtcDateTime)


class GreenCertificateRow(CertifiedEnergy, SQLModel, table=True):
    """A green-electricity certificate on a meter's energy: frozen while credits are claimed on it, cancelled when
    they are issued. One that was sold is the buyer's, and its energy is no longer claimable."""

    __tablename__: ClassVar[str] = "green_certificate"
    __table_args__ = (
        ForeignKeyConstraint(["meter_id"], ["meter.id"]),
        CheckConstraint("starts_at < ends_at AND energy_wh > 0", name="green_certificate_amounts"),
        CheckConstraint("state IN ('available','sold','frozen','cancelled')", name="green_certificate_state"),
        CheckConstraint("(state IN ('frozen','cancelled')) = (period_id IS NOT NULL)", name="green_certificate_claim"),
        Index("green_certificate_by_meter", "meter_id", "starts_at"),
    )
    certificate_number: str = Field(primary_key=True)
    starts_at: datetime = Field(sa_type=UtcDateTime)
    ends_at: datetime = Field(sa_type=UtcDateTime)
    energy_wh: int = Field(sa_type=Int64)
    period_id: str | None = Field(default=None, foreign_key="monitoring_period.id", index=True)
    recorded_by: str = Field(foreign_key="organisation.id")
    recorded_at: datetime = Field(sa_type=UtcDateTime)


class VehicleClaimRow(SQLModel, table=True):
    """A vehicle whose charged energy a monitoring period claims."""

    __tablename__: ClassVar[str] = "vehicle_claim"
    period_id: str = Field(primary_key=True, foreign_key="monitoring_period.id")
    vehicle_id: str = Field(primary_key=True, index=True)


class EnergyLinkRow(SQLModel, table=True):
    """Energy that two subjects could both claim: a PV meter that feeds a charging pile, a pile that fills a vehicle."""

    __tablename__: ClassVar[str] = "energy_link"
    source_meter: str = Field(primary_key=True)
    sink_kind: str = Field(primary_key=True)
    sink_id: str = Field(primary_key=True, index=True)
    declared_by: str = Field(foreign_key="organisation.id")
    declared_at: datetime = Field(sa_type=UtcDateTime)
