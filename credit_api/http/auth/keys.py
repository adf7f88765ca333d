"""API keys, in sandboxes only: 256 random bits of one person, shown once, stored as SHA-256, for a while.

Outside a sandbox a person signs in and a machine signs an assertion; a key that turns up there is refused in words that
say so.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from credit_api.http.auth.principal import Principal, as_person, digest, new_secret, people, person_t
from credit_api.http.fields import ResponseModel
from credit_api.http.tables import ApiKeyRow
from financing.base.errors import NotFound
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.store import value_of

api_key = table_of(ApiKeyRow)
KEY = "txk_test"
# What every key began with, and what one of a service that is no sandbox would.
KEYS, LIVE = "txk_", "txk_live_"
LIFETIME = timedelta(days=90)


class ApiKey(ResponseModel):
    """What may be shown of an API key: never the key. Keys open sandboxes only."""

    key_id: str
    organisation_id: str
    person_id: str
    label: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


def issue(connection: Connection, person_id: str, label: str, at: datetime, *, lifetime: timedelta = LIFETIME) -> str:
    """Store a new key of a person and return its text, which cannot be read back later. Raises `NotFound`."""
    query = select(person_t.c.organisation_id).where(person_t.c.id == person_id, person_t.c.ended_at.is_(None))
    organisation_id = connection.execute(query).scalar_one_or_none()
    if organisation_id is None:
        raise NotFound("no such person", person_id=person_id)
    key = new_secret(KEY)
    sha256 = digest(key)
    connection.execute(
        insert(api_key).values(
            sha256=sha256,
            id=key_id(key),
            organisation_id=organisation_id,
            person_id=person_id,
            label=label,
            created_at=at,
            expires_at=at + lifetime,
        )
    )
    return key


def key_id(key: str) -> str:
    """The name of a key, by which it is listed and revoked."""
    return f"key_{digest(key)[:20]}"


def revoke(connection: Connection, named: str, organisation_id: str, at: datetime) -> ApiKey:
    """Make an organisation's key useless from now on, and the sessions it opened; again changes nothing.

    Raises `NotFound`, for another organisation's key too.
    """
    query = select(api_key).where(api_key.c.id == named, api_key.c.organisation_id == organisation_id)
    if connection.execute(query).first() is None:
        raise NotFound("no such key", key_id=named)
    connection.execute(
        update(api_key).where(api_key.c.id == named, api_key.c.revoked_at.is_(None)).values(revoked_at=at)
    )
    return _key(connection.execute(query).one())


def revoke_all(connection: Connection, at: datetime, *, person: str) -> None:
    """Make every key of a person useless from now on, and the sessions they opened."""
    held = update(api_key).where(api_key.c.person_id == person, api_key.c.revoked_at.is_(None))
    connection.execute(held.values(revoked_at=at))


def keys_of(connection: Connection, organisation_id: str, window: Window = ALL) -> Page[ApiKey]:
    """An organisation's keys, revoked and expired ones too, newest first."""
    query = select(api_key).where(api_key.c.organisation_id == organisation_id)
    order = (Key(api_key.c.created_at, descending=True), Key(api_key.c.id, descending=True))
    return page_of(connection, query, order, window, _key)


def authenticate(connection: Connection, sha256: str, at: datetime) -> tuple[Principal, datetime] | None:
    """Whose live key has this digest, and until when it holds; or None."""
    row = connection.execute(_HOLDER, {"sha256": sha256, "at": at}).first()
    return None if row is None else (as_person(row, "key"), row.expires_at)


def live(at: Any) -> tuple[Any, ...]:
    """What makes a key live at a time."""
    return api_key.c.revoked_at.is_(None), api_key.c.expires_at > at


# Built once: whose key it is, is asked by every request.
_HOLDER = (
    people()
    .add_columns(api_key.c.expires_at)
    .join(api_key, api_key.c.person_id == person_t.c.id)
    .where(api_key.c.sha256 == bindparam("sha256"), *live(bindparam("at")))
)


def _key(row: Row[Any]) -> ApiKey:
    return value_of(ApiKey, row, key_id=row.id)
