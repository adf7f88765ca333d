"""A signed consent as a document: what a customer hands to its bank, and what `POST /v1/consents` takes."""

from __future__ import annotations

from typing import Any

from federated.consent.record import ConsentRecord
from federated.errors import ConsentSignatureInvalid


def as_document(record: ConsentRecord) -> dict[str, Any]:
    """The signed record as JSON values: bytes in hex, instants in ISO 8601. `ConsentSignatureInvalid`: a draft."""
    if record.key is None:
        raise ConsentSignatureInvalid("a draft cannot be handed over", consent_id=record.consent_id)
    named = {"grid_id": record.grid_id} if record.grid_id else {}
    return named | {
        "consent_id": record.consent_id,
        "subject_id": record.subject_id,
        "bank_id": record.bank_id,
        "purposes": sorted(purpose.value for purpose in record.purposes),
        "scope": sorted(scope.value for scope in record.scope),
        "valid_from": record.valid_from.isoformat(),
        "valid_until": record.valid_until.isoformat(),
        "signature": record.signature.hex(),
        "key": {
            "public_key": record.key.public_key.hex(),
            "valid_from": record.key.valid_from.isoformat(),
            "valid_until": record.key.valid_until.isoformat(),
            "signature": record.key.signature.hex(),
        },
    }
