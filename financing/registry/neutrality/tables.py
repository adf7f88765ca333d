"""Claims of carbon neutrality and the retirements that they use up."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, UtcDateTime


class NeutralityRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "neutrality_claim"
    __table_args__ = (
        CheckConstraint("state IN ('drafted','certified','refused')", name="neutrality_state"),
        CheckConstraint("(state = 'certified') = (certificate_number IS NOT NULL)", name="neutrality_certified"),
        CheckConstraint("state <> 'certified' OR matched_kg >= residual_kg", name="neutrality_covered"),
    )
    id: str = Field(primary_key=True)
    entity_id: str = Field(foreign_key="organisation.id", index=True)
    state: str
    residual_kg: int = Field(sa_type=Int64)
    matched_kg: int = Field(sa_type=Int64)
    certificate_number: str | None = Field(default=None, unique=True)
    number: int | None = Field(default=None, unique=True, sa_type=Int64)
    record: dict[str, Any] = Field(sa_type=JSON)
    drafted_at: datetime = Field(sa_type=UtcDateTime)


class NeutralityMatchRow(SQLModel, table=True):
    """A trigger keeps the sum over all claims within the retirement."""

    __tablename__: ClassVar[str] = "neutrality_match"
    __table_args__ = (CheckConstraint("quantity_kg > 0", name="neutrality_match_quantity"),)
    id: str = Field(primary_key=True)
    claim_id: str = Field(foreign_key="neutrality_claim.id", index=True)
    certificate_number: str = Field(foreign_key="retirement.certificate_number", index=True)
    quantity_kg: int = Field(sa_type=Int64)
    freed: bool = False
