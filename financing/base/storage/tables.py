"""Answers that are remembered by idempotency key."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import UtcDateTime


class IdempotencyRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "idempotency_record"
    organisation_id: str = Field(primary_key=True, foreign_key="organisation.id")
    key: str = Field(primary_key=True)
    fingerprint: str
    status: int
    body: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)
