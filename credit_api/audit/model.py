"""An event of the audit trail, and the chain: each hash covers the event, its number and the hash before it.

An event names organisations, subjects and things by their ids and says nothing else of them: no name, no text that
somebody entered, no key, no signature.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel

from credit_api.audit.trace import current
from credit_api.http.auth.principal import Principal
from financing.ledger.chain import GENESIS, sealed, stamp

Outcome = Literal["committed", "replayed", "refused", "failed", "read"]
ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
# Whom a command is about: the first of these that its address or its body names.
CONCERNED = (
    "subject_id",
    "organisation_id",
    "borrower_id",
    "bank_id",
    "buyer_id",
    "counterparty_id",
    "verifier_id",
    "entity_id",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """Who (`organisation_id`, `person`, with which kind of `credential`) did what (`action`), for whom (`concerns_id`),
    to which thing (`object_id`), and how it ended (`outcome`, and `code` where it was refused).

    What is not known is empty. `count` is how many alike one event stands for; more than one for strangers only.
    """

    at: datetime
    action: str
    outcome: Outcome
    organisation_id: str = ""
    person: str = ""
    credential: str = ""
    concerns_id: str = ""
    object_id: str = ""
    code: str = ""
    request_id: str = ""
    count: int = 1

    @classmethod
    def of(
        cls,
        principal: Principal,
        at: datetime,
        action: str,
        outcome: Outcome,
        *,
        code: str = "",
        concerns: str = "",
        object_id: str = "",
    ) -> Self:
        """What a known caller did, under the request that is worked on."""
        return cls(
            at=at,
            action=action,
            outcome=outcome,
            organisation_id=principal.organisation_id,
            person=principal.person,
            credential=principal.credential,
            concerns_id=an_id(concerns),
            object_id=an_id(object_id),
            code=code,
            request_id=current().request_id,
        )

    @classmethod
    def read(cls, principal: Principal, at: datetime, what: str, *, concerns: str = "") -> Self:
        """That personal data are about to be shown: store it before they are (`AuditTrail.note`)."""
        return cls.of(principal, at, f"read_{what}", "read", concerns=concerns)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAuditEvent(AuditEvent):
    """An event in its place in the chain: numbers from 1 without gaps, hashes as 64 lower-case hex digits."""

    seq: int
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The last event's number and hash; exported, it fixes everything before it."""

    seq: int = 0
    hash: str = GENESIS


def event_hash(previous: str, seq: int, event: AuditEvent) -> str:
    """SHA-256 over a canonical JSON text of the event, its number and the hash before it; 64 lower-case hex digits."""
    return sealed(
        [
            previous,
            seq,
            stamp(event.at),
            event.organisation_id,
            event.person,
            event.credential,
            event.concerns_id,
            event.action,
            event.object_id,
            event.outcome,
            event.code,
            event.request_id,
            event.count,
        ]
    )


def an_id(text: object) -> str:
    """The text if it is an id, nothing otherwise: what somebody entered elsewhere does not get into the trail."""
    return text if isinstance(text, str) and ID.fullmatch(text) else ""


def concerned(address: Mapping[str, object], body: BaseModel | None) -> str:
    """Whom a command is about: the first organisation or subject that its address (path parameters) or body names."""
    given = [address.get(name) or getattr(body, name, None) for name in CONCERNED]
    return next((found for found in map(an_id, given) if found), "")


def thing(address: Mapping[str, object], body: BaseModel | None) -> str:
    """What a command is about: the last id in its address, or the consent in its body; empty for what is new."""
    named = [an_id(each) for each in address.values()]
    return named[-1] if named else an_id(getattr(body, "consent_id", None))
