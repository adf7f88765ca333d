"""The table of the audit trail."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, RowId, UtcDateTime


class AuditEventRow(SQLModel, table=True):
    """No reference leads to another table: an event outlives what it is about."""

    __tablename__: ClassVar[str] = "audit_event"
    __table_args__ = (
        CheckConstraint("length(hash) = 64 AND length(previous_hash) = 64", name="audit_event_hash_length"),
        CheckConstraint("outcome IN ('committed','replayed','refused','failed','read')", name="audit_event_outcome"),
        CheckConstraint("count >= 1", name="audit_event_count"),
        Index("audit_event_by_organisation", "organisation_id", "seq"),
    )
    seq: int = Field(primary_key=True, sa_type=RowId, sa_column_kwargs={"autoincrement": False})
    at: datetime = Field(sa_type=UtcDateTime)
    organisation_id: str
    person: str
    credential: str
    concerns_id: str
    action: str
    object_id: str
    outcome: str
    code: str
    request_id: str
    count: int = Field(sa_type=Int64)
    previous_hash: str
    hash: str
