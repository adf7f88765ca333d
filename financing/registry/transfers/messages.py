"""What two registries with books of their own tell each other of a transfer: a signed export, and a signed receipt.

A message says everything that the other side needs, and nothing else is asked. Whoever carries it can neither change
nor repeat it to effect; a lost one is read again where it was signed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from financing.base.commands import Id, Moment, Text
from financing.base.quantities import INT64_MAX
from financing.base.signing import Signature
from financing.base.storage.records import Fact
from financing.ledger.serials import SerialText
from financing.registry.credits.model import Issuance
from financing.registry.projects.model import Project
from financing.registry.transfers.model import Transfer

EXPORT_DOMAIN, RECEIPT_DOMAIN = "tanxin-transfer-export-v1", "tanxin-transfer-receipt-v1"
Kind = Literal["export", "receipt"]
Outcome = Literal["minted", "refused"]


class Told(BaseModel):
    """What a message and its row share: of which transfer between which registries, and who signed it."""

    from_registry: str
    transfer_id: str
    to_registry: str
    public_key: str
    signature: str


class TransferMessage(Told, Fact):
    """A signed message, as it is carried and kept. `signer_id` follows from its kind."""

    kind: Kind
    document: dict[str, Any]
    at: datetime

    @property
    def signer_id(self) -> str:
        return self.from_registry if self.kind == "export" else self.to_registry

    @property
    def signed(self) -> Signature:
        return Signature(self.signer_id, self.public_key, self.signature)


def export_document(sent: Transfer, origin: Issuance, project: Project, signed_at: datetime) -> dict[str, Any]:
    """What the registry that locked the credits signs: they are locked for good unless the other one refuses them."""
    return {
        "transfer_id": sent.transfer_id,
        "from_registry": sent.from_registry,
        "to_registry": sent.to_registry,
        "owner_id": sent.owner_id,
        "issuance_id": sent.issuance_id,
        "serials": list(sent.serials),
        "quantity_kg": sent.quantity.kg,
        "mode": sent.mode,
        "mintable_kg": sent.mintable.kg,
        "locked_at": sent.locked_at.isoformat(),
        "asset_class": origin.asset_class,
        "methodology": origin.methodology_tag,
        "vintage": origin.vintage,
        "first_day": origin.first_day.isoformat(),
        "last_day": origin.last_day.isoformat(),
        "project_id": origin.project_id,
        "project_name": project.name,
        "grid_connected_on": project.grid_connected_on.isoformat(),
        "latitude_udeg": round(project.location.latitude_deg * 1_000_000),
        "longitude_udeg": round(project.location.longitude_deg * 1_000_000),
        "signed_at": signed_at.isoformat(),
    }


class Exported(BaseModel):
    """An export's document as it has to be: what is not as registries write it is no export."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    transfer_id: Id
    owner_id: Id
    issuance_id: Id
    serials: Annotated[list[Annotated[str, Field(max_length=120)]], Field(min_length=1, max_length=10_000)]
    quantity_kg: Annotated[int, Field(strict=True, ge=1, le=INT64_MAX)]
    mintable_kg: Annotated[int, Field(strict=True, ge=1, le=INT64_MAX)]
    mode: Literal["recognise", "requantify"]
    locked_at: Moment
    methodology: Annotated[str, Field(pattern=r"^[A-Z]{1,12}[0-9]{1,3}$")]
    vintage: Annotated[int, Field(strict=True, ge=1990, le=2100)]
    first_day: date
    last_day: date
    project_id: Id
    project_name: Text
    grid_connected_on: date
    latitude_udeg: Annotated[int, Field(strict=True, ge=-90_000_000, le=90_000_000)]
    longitude_udeg: Annotated[int, Field(strict=True, ge=-180_000_000, le=180_000_000)]

    @model_validator(mode="after")
    def _of_one_year(self) -> Self:
        if not self.first_day <= self.last_day or {self.first_day.year, self.last_day.year} != {self.vintage}:
            raise ValueError("credits are of one calendar year")
        return self


def receipt_document(
    export: Mapping[str, Any], export_sha256: str, outcome: Outcome, minted: Issuance | None, signed_at: datetime
) -> dict[str, Any]:
    """What the registry that was told signs: what it minted for exactly that message, or that it never will."""
    return {
        "transfer_id": export["transfer_id"],
        "from_registry": export["from_registry"],
        "to_registry": export["to_registry"],
        "export_sha256": export_sha256,
        "outcome": outcome,
        "minted_kg": 0 if minted is None else minted.quantity.kg,
        "issuance_id": None if minted is None else minted.issuance_id,
        "signed_at": signed_at.isoformat(),
    }


Origin = tuple[str, str, str, int, date, date]


class Spans:
    """Kilograms that serials name, by where they come from; looked up without going through all of them."""

    def __init__(self) -> None:
        self._starts: dict[Origin, list[int]] = {}
        self._ends: dict[Origin, list[int]] = {}

    def add(self, text: SerialText) -> bool:
        """Whether none of its kilograms was named before; then they are from now on."""
        starts, ends = self._starts.setdefault(_origin(text), []), self._ends.setdefault(_origin(text), [])
        place = bisect_right(starts, text.last_kg)
        # What is held does not overlap, so of all that begin before its end the last one ends last.
        if place and ends[place - 1] >= text.first_kg:
            return False
        starts.insert(place, text.first_kg)
        ends.insert(place, text.last_kg)
        return True


def _origin(text: SerialText) -> Origin:
    return text.registry_code, text.methodology_tag, text.project_code, text.vintage, text.first_day, text.last_day
