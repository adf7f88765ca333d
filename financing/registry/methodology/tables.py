"""Archived methodology files and what was decided on them."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import RowId, UtcDateTime
from financing.registry.methodology.model import Transition


class ParameterFileRow(SQLModel, table=True):
    """The text of a parameter or methodology file that something in the books rests on, by its SHA-256."""

    __tablename__: ClassVar[str] = "parameter_file"
    __table_args__ = (CheckConstraint("length(sha256) = 64", name="parameter_file_hash"),)
    sha256: str = Field(primary_key=True)
    path: str
    content: str
    archived_at: datetime = Field(sa_type=UtcDateTime)


class MethodologyTransitionRow(Transition, SQLModel, table=True):
    """The registry moved a methodology version to another status, with the text it stood for."""

    __tablename__: ClassVar[str] = "methodology_transition"
    __table_args__ = (
        ForeignKeyConstraint(["sha256"], ["parameter_file.sha256"]),
        ForeignKeyConstraint(["recorded_by"], ["organisation.id"]),
        UniqueConstraint("code", "version", "status", "sha256", name="methodology_transition_once"),
        CheckConstraint(
            "status IN ('draft','consultation','approved','superseded')", name="methodology_transition_status"
        ),
    )
    id: int = Field(primary_key=True, sa_type=RowId)
    recorded_at: datetime = Field(sa_type=UtcDateTime)
