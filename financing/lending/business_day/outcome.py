"""What closing a business date came to."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class DayOutcome(BaseModel):
    """A business date that was closed: loans taken forward, loans parked, and each step's findings in order."""

    day: date
    closed_at: datetime
    loans: int
    parked: int
    steps: list[dict[str, Any]]
    entry_id: int | None


class ClosedDay(DayOutcome):
    """A business date with the bank that closed it."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    bank_id: str
