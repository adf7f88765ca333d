"""Price observations."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, RowId, UtcDateTime


class PriceRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "price_observation"
    __table_args__ = (
        CheckConstraint("fen_per_tonne > 0", name="price_positive"),
        Index("price_latest", "asset_class", "observed_at"),
    )
    id: int = Field(primary_key=True, sa_type=RowId)
    asset_class: str
    fen_per_tonne: int = Field(sa_type=Int64)
    observed_at: datetime = Field(sa_type=UtcDateTime)
    source: str
    confirmed: bool
    recorded_by: str = Field(foreign_key="organisation.id")
    recorded_at: datetime = Field(sa_type=UtcDateTime)
