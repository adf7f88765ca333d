"""A command that waits for a second person, as it is shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from credit_api.http.fields import ResponseModel


class ProposalOut(ResponseModel):
    """Nothing has happened yet: another person of the organisation confirms it or refuses it, and then it is carried
    out or not. `outcome` is null until then."""

    proposal_id: str
    organisation_id: str
    command: str
    object_id: str = Field(description="what it is about: a loan, an asset class, a person, a role")
    arguments: dict[str, Any]
    why: str = Field(description="why it takes two people")
    maker: str
    made_at: datetime
    checker: str | None
    outcome: Literal["confirmed", "refused"] | None
    decided_at: datetime | None
