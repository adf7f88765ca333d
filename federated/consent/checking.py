"""The check that every node makes before it touches data. Pure: times are arguments, nothing is read from a clock."""

from __future__ import annotations

from datetime import datetime

from federated.consent.record import ConsentRecord, DataScope, Purpose, utc
from federated.consent.revocations import Revocations, require_not_ended
from federated.consent.signature import require_key_valid, require_signed
from federated.errors import ConsentExpired, ConsentMissing, ConsentWithdrawn, PurposeNotCovered, ScopeNotCovered


def check(
    record: ConsentRecord | None,
    *,
    authority: bytes,
    ended: Revocations | None,
    subject_id: str,
    bank_id: str,
    purpose: Purpose,
    scope: DataScope,
    org_id: str,
    at: datetime,
) -> ConsentRecord:
    """Return the record if it allows this use at `at`; raise otherwise. Fails closed.

    `scope` is the kind of data of the node `org_id` that checks. `authority` is the public key (32 bytes) that attests
    subjects' keys, `ended` its list of those that do not hold any more, None where it publishes none. A record of
    another subject or bank is answered as missing, so a guess of an id discloses nothing. Raises `ConsentMissing`,
    `ConsentSignatureInvalid`, `ConsentWithdrawn`, `ConsentExpired`, `PurposeNotCovered`, `ScopeNotCovered`.
    """
    moment = utc(at)
    if record is None or record.subject_id != subject_id or record.bank_id != bank_id:
        raise ConsentMissing("no such consent of this subject towards this bank")
    require_signed(record, authority)
    # Whatever the moment: it is the asker's word, and an earlier one must not bring a withdrawn consent back.
    if record.withdrawn_at is not None:
        raise ConsentWithdrawn("the subject withdrew this consent", consent_id=record.consent_id)
    if not record.valid_from <= moment < record.valid_until:
        raise ConsentExpired("the consent does not cover this time", consent_id=record.consent_id)
    require_key_valid(record, moment)
    require_not_ended(record, ended, moment)
    if purpose not in record.purposes:
        raise PurposeNotCovered(f"the consent does not cover {purpose}", consent_id=record.consent_id)
    if not record.opens(scope, org_id):
        raise ScopeNotCovered(f"the consent does not open {scope} data of {org_id}", consent_id=record.consent_id)
    return record
