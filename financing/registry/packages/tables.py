"""Packages of credits."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, ForeignKeyConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import UtcDateTime
from financing.registry.packages.model import Product


class PackageRow(Product, SQLModel, table=True):
    """A standard product. Its criteria never change: who holds units knows what may be behind them."""

    __tablename__: ClassVar[str] = "package"
    __table_args__ = (
        UniqueConstraint("code"),
        ForeignKeyConstraint(["registry_id"], ["organisation.id"]),
        CheckConstraint("redemption IN ('pro_rata','oldest_first')", name="package_redemption"),
        CheckConstraint("state IN ('open','closed')", name="package_state"),
    )
    id: str = Field(primary_key=True)
    criteria: dict[str, Any] = Field(sa_type=JSON)
    redemption: str
    created_at: datetime = Field(sa_type=UtcDateTime)
