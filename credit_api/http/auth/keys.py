"""API keys: 256 random bits, shown once, stored as SHA-256 (enough for a random secret; no salt, no stretching)."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from credit_api.http.tables import ApiKeyRow
from financing.base.storage.columns import table_of
from financing.ledger.tables import OrganisationRow

api_key = table_of(ApiKeyRow)
organisation = table_of(OrganisationRow)
KEY_PREFIX = "txk_"


@dataclass(frozen=True, slots=True)
class Principal:
    """The organisation behind a request. `kind` is one of the organisation kinds of the books."""

    organisation_id: str
    kind: str
    name_zh: str
    name_en: str
    person: str = ""  # the label of the key: banks give every officer one of their own


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8")).hexdigest()


def issue(connection: Connection, organisation_id: str, label: str, at: datetime) -> str:
    """Store a new key for the organisation and return its text, which cannot be read back later."""
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    connection.execute(
        insert(api_key).values(sha256=digest(key), organisation_id=organisation_id, label=label, created_at=at)
    )
    return key


def revoke(connection: Connection, key: str, at: datetime) -> bool:
    """Make a key useless from now on; false if it was not in use."""
    done = connection.execute(
        update(api_key).where(api_key.c.sha256 == digest(key), api_key.c.revoked_at.is_(None)).values(revoked_at=at)
    )
    return done.rowcount == 1


def authenticate(connection: Connection, key: str) -> Principal | None:
    """The organisation that a live key belongs to, or None."""
    row = connection.execute(
        select(organisation, api_key.c.label)
        .join(api_key, api_key.c.organisation_id == organisation.c.id)
        .where(api_key.c.sha256 == digest(key), api_key.c.revoked_at.is_(None))
    ).first()
    return Principal(row.id, row.kind, row.name_zh, row.name_en, row.label) if row else None
