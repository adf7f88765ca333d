"""Tables of the service itself: how people and machines come in, and the log of score inquiries."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel
from sqlalchemy import JSON, CheckConstraint, ForeignKeyConstraint
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, UtcDateTime


class CredentialsRow(SQLModel, table=True):
    """How a person signs in: a password (argon2id) and a one-time code, whose secret is sealed with the home's key."""

    __tablename__: ClassVar[str] = "credentials"
    person_id: str = Field(primary_key=True, foreign_key="person.id")
    login: str = Field(unique=True)
    password_hash: str
    totp_sealed: str
    totp_step: int = Field(default=0, sa_type=Int64)  # the last one used: a code works once
    changed_at: datetime = Field(sa_type=UtcDateTime)


class OfSecret(SQLModel):
    """What somebody of an organisation has a secret for: its SHA-256 alone is here, how long it holds, its last use."""

    sha256: str = Field(primary_key=True)
    id: str = Field(unique=True)
    organisation_id: str = Field(foreign_key="organisation.id", index=True)
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class InvitationRow(OfSecret, table=True):
    """A secret that works once and makes a person of an organisation, or gives one (`person_id`) new credentials."""

    __tablename__: ClassVar[str] = "invitation"
    __table_args__ = (CheckConstraint("length(sha256) = 64", name="invitation_hash"),)
    person_id: str | None = Field(default=None, foreign_key="person.id")
    roles: str
    invited_by: str
    withdrawn_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ApiKeyRow(OfSecret, table=True):
    """A key is 256 random bits; only its SHA-256 is stored, so the table cannot be used to call the API. Sandbox only.

    Nobody changes whose it is or how long it holds; it is replaced by another, and revoked.
    """

    __tablename__: ClassVar[str] = "api_key"
    __table_args__ = (CheckConstraint("length(sha256) = 64", name="api_key_hash"),)
    person_id: str = Field(foreign_key="person.id", index=True)
    label: str
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class MachineRow(SQLModel, table=True):
    """A program of an organisation, and the kinds of work it may do (words between spaces)."""

    __tablename__: ClassVar[str] = "machine"
    id: str = Field(primary_key=True)
    organisation_id: str = Field(foreign_key="organisation.id", index=True)
    label: str
    works: str
    created_by: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class MachineKeyRow(SQLModel, table=True):
    """A machine's public key (JWK): it signs with the other half, which never leaves it. Keys may overlap."""

    __tablename__: ClassVar[str] = "machine_key"
    machine_id: str = Field(primary_key=True, foreign_key="machine.id")
    kid: str = Field(primary_key=True)
    jwk: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class AssertionRow(SQLModel, table=True):
    """A signed assertion that was turned into a token: the same one is not taken twice while it would still hold."""

    __tablename__: ClassVar[str] = "assertion"
    sha256: str = Field(primary_key=True)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


class SessionRow(OfSecret, table=True):
    """Who is signed in, a person or a machine, until when. A signed cookie cannot be revoked, a row can.

    One that an API key opened, or a machine's key, holds no longer than that key.
    """

    __tablename__: ClassVar[str] = "session"
    __table_args__ = (
        CheckConstraint("length(sha256) = 64", name="session_hash"),
        CheckConstraint("(person_id IS NULL) <> (machine_id IS NULL)", name="session_whose"),
        ForeignKeyConstraint(["machine_id", "kid"], ["machine_key.machine_id", "machine_key.kid"], name="session_key"),
    )
    person_id: str | None = Field(default=None, foreign_key="person.id", index=True)
    machine_id: str | None = Field(default=None, foreign_key="machine.id", index=True)
    kid: str | None = None
    api_key: str | None = Field(default=None, foreign_key="api_key.sha256")
    works: str = ""
    csrf_token: str
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class StatementRow(SQLModel, table=True):
    """What a bank's node signed of a score and a decision rests on, without reasons, and the registered key that
    verifies it. Never changed; `sha256` is of the signed bytes."""

    __tablename__: ClassVar[str] = "score_statement"
    __table_args__ = (
        CheckConstraint("length(sha256) = 64", name="score_statement_hash"),
        CheckConstraint("length(signature) = 128", name="score_statement_signature"),
        ForeignKeyConstraint(
            ["machine_id", "kid"], ["machine_key.machine_id", "machine_key.kid"], name="score_statement_key"
        ),
    )
    bank_id: str = Field(primary_key=True, foreign_key="organisation.id")
    statement_id: str = Field(primary_key=True)
    subject_id: str = Field(index=True)
    sha256: str
    statement: dict[str, Any] = Field(sa_type=JSON)
    machine_id: str
    kid: str
    signature: str
    stored_at: datetime = Field(sa_type=UtcDateTime)


class DecisionStatementRow(SQLModel, table=True):
    """Which statement a decision rests on. Never changed."""

    __tablename__: ClassVar[str] = "decision_statement"
    __table_args__ = (
        ForeignKeyConstraint(
            ["bank_id", "statement_id"],
            ["score_statement.bank_id", "score_statement.statement_id"],
            name="decision_statement_of",
        ),
    )
    decision_id: str = Field(primary_key=True, foreign_key="credit_decision.id")
    bank_id: str
    statement_id: str


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
