"""Orders of a registry over what exists: freezes, suspensions and cancellations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel

from financing.base.quantities import Carbon
from financing.base.storage.records import Fact


class FreezeOrder(BaseModel):
    """Kilograms `first_kg` to `last_kg` (inclusive) of an issuance may not move while the order is active."""

    issuance_id: str
    first_kg: int
    last_kg: int
    reason: str
    state: str
    ordered_by: str
    ordered_at: datetime
    closed_at: datetime | None = None


class SerialFreeze(FreezeOrder, Fact):
    """An order not to move serials, by its number."""

    freeze_id: str


@dataclass(frozen=True, slots=True)
class Suspension:
    suspension_id: str
    project_id: str
    reason: str
    ordered_by: str
    ordered_at: datetime
    lifted_at: datetime | None = None


class Withdrawal(BaseModel):
    """Who withdrew whose credits and why: `ground` is voluntary, revoked or reversal."""

    owner_id: str
    ordered_by: str
    issuance_id: str
    ground: str
    reason: str


class Cancellation(Withdrawal, Fact):
    """Credits withdrawn without use: no certificate comes of it. `ground`: voluntary, revoked or reversal."""

    cancellation_id: str
    quantity_kg: int
    serials: tuple[str, ...]
    cancelled_at: datetime

    @property
    def quantity(self) -> Carbon:
        return Carbon(self.quantity_kg)
