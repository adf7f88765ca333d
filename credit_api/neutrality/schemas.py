"""Claims and certificates of carbon neutrality over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from credit_api.http.fields import ResponseModel, read
from financing.registry.neutrality.model import STANDARD, NeutralityClaim


class MatchOut(ResponseModel):
    certificate_number: str
    quantity_kg: int


class NeutralityOut(ResponseModel):
    claim_id: str
    standard: str
    entity_id: str
    subject: str
    boundary: str
    starts_at: datetime = read("period.start")
    ends_at: datetime = read("period.end")
    emitted_kg: int
    reduced_kg: int
    residual_kg: int
    matched_kg: int
    matches: list[MatchOut]
    state: str
    certifier_id: str | None
    certificate_number: str | None
    decided_at: datetime | None
    remarks: str
    public_key: str | None = read("signature?.public_key", description="Ed25519 key of the certifier, hex")
    signature: str | None = read("signature?.signature", description="over the canonical document, hex")

    @classmethod
    def of(cls, claim: NeutralityClaim) -> Self:
        return cls.joined(claim, standard=STANDARD)
