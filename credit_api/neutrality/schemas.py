"""Claims and certificates of carbon neutrality over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import Field

from credit_api.http.fields import ResponseModel
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
    starts_at: datetime
    ends_at: datetime
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
    public_key: str | None = Field(description="Ed25519 key of the certifier, hex")
    signature: str | None = Field(description="over the canonical document, hex")

    @classmethod
    def of(cls, claim: NeutralityClaim) -> Self:
        return cls(
            claim_id=claim.claim_id,
            standard=STANDARD,
            entity_id=claim.entity,
            subject=claim.subject,
            boundary=claim.boundary,
            starts_at=claim.period.start,
            ends_at=claim.period.end,
            emitted_kg=claim.emitted.kg,
            reduced_kg=claim.reduced.kg,
            residual_kg=claim.residual.kg,
            matched_kg=claim.matched.kg,
            matches=[
                MatchOut(certificate_number=each.certificate_number, quantity_kg=each.quantity.kg)
                for each in claim.matches
            ],
            state=claim.state,
            certifier_id=claim.certifier,
            certificate_number=claim.certificate_number,
            decided_at=claim.decided_at,
            remarks=claim.remarks,
            public_key=claim.signature.public_key if claim.signature else None,
            signature=claim.signature.signature if claim.signature else None,
        )
