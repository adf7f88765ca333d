"""A head of the audit trail in a file outside the system, signed with a key of this service."""

from __future__ import annotations

import json
from typing import Any

from credit_api.audit.model import AuditHead
from financing.base.errors import CorruptData
from financing.base.signing import Signature, Signer, message_of, require_signed

DOMAIN = "tanxin audit head"
SIGNER = "service.audit-trail"  # no organisation's: the key under which the service signs for its trail


def exported(head: AuditHead, signer: Signer) -> dict[str, Any]:
    """What to keep outside the system: number, hash, and the service's signature on both."""
    document = {"seq": head.seq, "hash": head.hash}
    signed = signer.sign(SIGNER, message_of(DOMAIN, document))
    return {**document, "public_key": signed.public_key, "signature": signed.signature}


def imported(text: str, signer: Signer) -> AuditHead:
    """The head that a file holds; one without a signature is taken as it is.

    Raises `CorruptData` for another document, `SignatureInvalid` for one that this service's key did not sign.
    """
    try:
        given = json.loads(text)
        head = AuditHead(int(given["seq"]), str(given["hash"]))
        signature = given.get("signature")
        signed = None if signature is None else Signature(SIGNER, str(given["public_key"]), str(signature))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptData("this is no head of an audit trail") from error
    if signed is not None:
        document = {"seq": head.seq, "hash": head.hash}
        require_signed(signed, message_of(DOMAIN, document), signer.public_key(SIGNER))
    return head
