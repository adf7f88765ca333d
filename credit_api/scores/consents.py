"""A consent that reaches a bank: signed by its subject, towards this very bank."""

from __future__ import annotations

from credit_api.app.wiring import Parts
from credit_api.scores.schemas import ConsentIn
from federated.consent.record import ConsentRecord
from federated.errors import NotPermitted


def record_signed(parts: Parts, bank_id: str, given: ConsentIn) -> ConsentRecord:
    """Record a signed consent towards `bank_id`, which calls. The bank adds nothing to it and changes nothing in it.

    Raises `NotPermitted` for one towards another bank, `InvalidConsent`, `ConsentSignatureInvalid`, `ConsentConflict`.
    """
    if given.bank_id != bank_id:
        raise NotPermitted("this consent is towards another bank", bank_id=given.bank_id)
    return parts.network.record_consent(given.record())
