"""Who is behind a request: an organisation, and the person or machine that acts for it."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, Select, select

from financing.base.authority import EVERY_WORK, Role, Work
from financing.base.storage.columns import table_of
from financing.ledger.people import from_words
from financing.ledger.tables import OrganisationRow, PersonRow

organisation_t = table_of(OrganisationRow)
person_t = table_of(PersonRow)
MACHINE_ROLES = frozenset({Role.MAKER, Role.VIEWER})


@dataclass(frozen=True, slots=True)
class Principal:
    """`kind` is one of `authority.KINDS`; `person` the id of who acts, a machine's if `machine`.

    `credential` says how it came in: key, session or token.
    """

    organisation_id: str
    kind: str
    name_zh: str
    name_en: str
    person: str = ""
    roles: frozenset[Role] = field(default_factory=frozenset)
    works: frozenset[Work] = EVERY_WORK
    credential: str = "key"
    machine: bool = False

    def has(self, role: Role) -> bool:
        return role in self.roles


def digest(secret: str) -> str:
    """What is stored of a secret: its SHA-256, enough for 256 random bits (no salt, no stretching)."""
    return hashlib.sha256(secret.encode("utf-8")).hexdigest()


def new_secret(prefix: str) -> str:
    """A secret of 256 random bits, with a prefix that says what it opens."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def people() -> Select[Any]:
    """Organisations with the people who act for them today."""
    return (
        select(organisation_t, person_t.c.id.label("person"), person_t.c.roles)
        .join(person_t, person_t.c.organisation_id == organisation_t.c.id)
        .where(person_t.c.ended_at.is_(None))
    )


def as_person(row: Row[Any], credential: str) -> Principal:
    roles = from_words(row.roles)
    return Principal(row.id, row.kind, row.name_zh, row.name_en, row.person, roles, credential=credential)
