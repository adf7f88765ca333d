"""Tables of the service itself: API keys, console sessions and the log of score inquiries."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel
from sqlalchemy import JSON, CheckConstraint
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import UtcDateTime


class ApiKeyRow(SQLModel, table=True):
    """A key is 256 random bits; only its SHA-256 is stored, so the table cannot be used to call the API."""

    __tablename__: ClassVar[str] = "api_key"
    __table_args__ = (CheckConstraint("length(sha256) = 64", name="api_key_hash"),)
    sha256: str = Field(primary_key=True)
    organisation_id: str = Field(foreign_key="organisation.id", index=True)
    label: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ConsoleSessionRow(SQLModel, table=True):
    """Server-side session: a signed cookie cannot be revoked, a row can."""

    __tablename__: ClassVar[str] = "console_session"
    sha256: str = Field(primary_key=True)
    organisation_id: str = Field(foreign_key="organisation.id")
    person: str = ""
    csrf_token: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)


class InquiryMade(BaseModel):
    """Under which consent and for what a score was asked, and how that ended: score, no_file or refused."""

    consent_id: str
    purpose: str
    outcome: str


class InquiryRow(InquiryMade, SQLModel, table=True):
    """Who asked for whose score, when, why and what was answered (征信业管理条例, article 22). Never changed."""

    __tablename__: ClassVar[str] = "inquiry"
    __table_args__ = (CheckConstraint("outcome IN ('score','no_file','refused')", name="inquiry_outcome"),)
    id: str = Field(primary_key=True)
    bank_id: str = Field(foreign_key="organisation.id", index=True)
    subject_id: str = Field(index=True)
    answer: dict[str, Any] = Field(sa_type=JSON)
    asked_at: datetime = Field(sa_type=UtcDateTime)
