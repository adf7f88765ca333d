"""Whose key a meter signs with, and what a grid company states of a meter and a period."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from financing.base.signing import Signature
from financing.base.storage.records import Fact


@dataclass(frozen=True, slots=True)
class MeterKey:
    """`held_by` service: a sandbox keeps the private key, on behalf of the grid company. `why` it replaced another."""

    meter_id: str
    public_key: str
    held_by: Literal["meter", "service"]
    why: str = ""


class StatedMeter(BaseModel):
    """What a statement and its row share: of which meter and period, by whom, on which readings."""

    period_id: str
    meter_id: str
    grid_id: str
    commitment: str


class MeteringStatement(StatedMeter, Fact):
    """What a grid company states of one meter and period, signed over `document`."""

    energy_wh: int
    document: dict[str, Any]
    signature: Signature
