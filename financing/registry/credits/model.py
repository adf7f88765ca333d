"""An issuance: credits that exist, and what is known of all of them alike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel

from financing.base.quantities import Carbon
from financing.ledger.serials import SerialBlock, SerialOrigin


class IssuedFor(BaseModel):
    """What row and answer of an issuance share: by whom, on which project, to whom, as which class of credits."""

    registry_id: str
    transfer_id: str | None
    project_id: str
    owner_id: str
    asset_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuance(SerialOrigin):
    """Credits issued for one monitoring period, or minted for another region's (`transfer_id`).

    `asset_class` is what valuation and products know them by.
    """

    issuance_id: str
    registry_id: str
    registry_code: str
    period_id: str | None
    project_id: str
    owner_id: str
    asset_class: str
    quantity: Carbon
    issued_at: datetime
    transfer_id: str | None = None

    @property
    def methodology(self) -> str:
        """The methodology's code, without its version."""
        return self.methodology_tag.rstrip("0123456789")

    def whole_block(self) -> SerialBlock:
        """All of its kilograms, as they are minted."""
        return SerialBlock(
            issuance_id=self.issuance_id,
            methodology_tag=self.methodology_tag,
            project_code=self.project_code,
            vintage=self.vintage,
            first_day=self.first_day,
            last_day=self.last_day,
            first_kg=1,
            last_kg=self.quantity.kg,
            registry_code=self.registry_code,
        )


@dataclass(frozen=True, slots=True)
class SerialStay:
    """Kilograms of an issuance in one account: from which entry on, and until which (None: still there)."""

    first_kg: int
    last_kg: int
    owner_id: str
    account: str
    reference: str
    entry_kind: str
    at: datetime
    since_entry_id: int
    until_entry_id: int | None
