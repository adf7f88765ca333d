"""Projects and their meters."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, UtcDateTime


class ProjectRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "project"
    __table_args__ = (CheckConstraint("capacity_w > 0", name="project_capacity"),)
    id: str = Field(primary_key=True)
    code: str = Field(unique=True)
    owner_id: str = Field(foreign_key="organisation.id", index=True)
    name: str
    methodology: str
    capacity_w: int | None = Field(sa_type=Int64)
    record: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)


class MeterRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "meter"
    id: str = Field(primary_key=True)
    project_id: str = Field(foreign_key="project.id", index=True)
    measured_by: str = Field(foreign_key="organisation.id", index=True)
    interval_minutes: int
