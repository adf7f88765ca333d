"""Transfers between regions."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, ForeignKeyConstraint
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, UtcDateTime
from financing.registry.transfers.messages import Told


class TransferRow(SQLModel, table=True):
    """Credits on their way to another region: locked at home, minted there or given back."""

    __tablename__: ClassVar[str] = "region_transfer"
    __table_args__ = (
        CheckConstraint("quantity_kg > 0", name="transfer_quantity"),
        CheckConstraint("state IN ('locked','minted','refused')", name="transfer_state"),
        CheckConstraint("(state = 'minted') = (minted_kg IS NOT NULL)", name="transfer_minted"),
        CheckConstraint("minted_kg IS NULL OR (minted_kg > 0 AND minted_kg <= quantity_kg)", name="transfer_conserves"),
        CheckConstraint("mode IN ('recognise','requantify')", name="transfer_mode"),
        CheckConstraint("from_registry <> to_registry", name="transfer_regions"),
    )
    id: str = Field(primary_key=True)
    number: int = Field(unique=True, sa_type=Int64)
    owner_id: str = Field(foreign_key="organisation.id", index=True)
    from_registry: str = Field(foreign_key="organisation.id")
    to_registry: str = Field(foreign_key="organisation.id", index=True)
    issuance_id: str = Field(foreign_key="issuance.id")
    quantity_kg: int = Field(sa_type=Int64)
    mode: str
    state: str
    minted_kg: int | None = Field(default=None, sa_type=Int64)
    record: dict[str, Any] = Field(sa_type=JSON)
    locked_at: datetime = Field(sa_type=UtcDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class TransferMessageRow(Told, SQLModel, table=True):
    """What registries with books of their own signed to each other of a transfer: one export, one receipt. Never
    changed."""

    __tablename__: ClassVar[str] = "transfer_message"
    __table_args__ = (
        ForeignKeyConstraint(["from_registry"], ["organisation.id"]),
        ForeignKeyConstraint(["to_registry"], ["organisation.id"]),
        CheckConstraint("kind IN ('export','receipt')", name="transfer_message_kind"),
        CheckConstraint("from_registry <> to_registry", name="transfer_message_regions"),
        CheckConstraint("length(public_key) = 64 AND length(signature) = 128", name="transfer_message_signed"),
    )
    from_registry: str = Field(primary_key=True)
    transfer_id: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    document: dict[str, Any] = Field(sa_type=JSON)
    at: datetime = Field(sa_type=UtcDateTime)
