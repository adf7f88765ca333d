"""A firm proves which customer of banks it is: the subject's attested key signs a challenge of this service.

Guarantee: whoever lacks the subject's key cannot bind an organisation to it, whatever a registry wrote. A signature is
good for one organisation and one hour.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from credit_api.app.wiring import Parts
from credit_api.http.auth.passwords import Sealer
from credit_api.http.auth.principal import Principal
from credit_api.scores.schemas import Signature, SubjectKeyIn
from federated.consent.signature import require_signed_binding
from financing.base.commands import Command, Id, Text, use_case
from financing.base.context import Context
from financing.base.errors import SignatureInvalid
from financing.ledger.organisations import Organisation
from financing.lending.unit import UnitOfWork

GOOD_FOR = timedelta(hours=1)


class BindSubject(Command):
    """The challenge that `GET /v1/subject/challenge` gave, signed by the subject, and the attestation of its key."""

    subject_id: Id
    challenge: Text
    signature: Signature
    key: SubjectKeyIn


@dataclass(frozen=True, slots=True)
class Challenge:
    subject_id: str
    organisation_id: str
    challenge: str
    expires_at: datetime


def challenge_for(parts: Parts, principal: Principal, subject_id: str) -> Challenge:
    """A challenge for one firm, one subject and one hour; the service keeps nothing of it."""
    until = parts.clock() + GOOD_FOR
    text = _challenge(parts.sealer, principal.organisation_id, subject_id, int(until.timestamp()))
    return Challenge(subject_id, principal.organisation_id, text, until)


@use_case
def bind_subject(unit: UnitOfWork, context: Context, parts: Parts, command: BindSubject) -> Organisation:
    """Bind the actor to the subject whose key signed.

    Raises `SignatureInvalid` for a challenge that is not the actor's or has ended, `ConsentSignatureInvalid` where the
    subject did not sign, or with a key that was ended, `NodeUnavailable` without the list of these, `AlreadyExists`
    where either is bound.
    """
    until = command.challenge.partition(".")[0]
    seconds = int(until) if until.isascii() and until.isdecimal() and len(until) <= 12 else 0
    expected = _challenge(parts.sealer, context.actor.id, command.subject_id, seconds)
    if not hmac.compare_digest(expected, command.challenge) or seconds <= context.at.timestamp():
        raise SignatureInvalid("this challenge was not given to this firm, or has ended")
    key, ended = command.key.attestation(command.subject_id), parts.ended_keys()
    if ended is not None:
        ended.require_holds(key.public_key, context.at)
    require_signed_binding(
        key,
        context.actor.id,
        command.challenge,
        bytes.fromhex(command.signature),
        parts.identity_authority,
        context.at,
    )
    return unit.organisations.bind_subject(context.actor.id, command.subject_id, context.at)


def _challenge(sealer: Sealer, organisation_id: str, subject_id: str, until: int) -> str:
    return f"{until}.{sealer.code_for(f'subject {organisation_id} {subject_id} {until}')}"
