"""Sessions: a random secret whose row on the server says who it is, until when, and, for a browser, its CSRF token.

A person signs in at the console (a cookie) or over JSON (a bearer token); a machine gets a short one for an assertion
that it signed. All are rows of one table, listed and ended alike; one that a key opened ends with that key.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, insert, or_, select, update

from credit_api.http.auth.keys import api_key
from credit_api.http.auth.keys import live as live_key
from credit_api.http.auth.principal import (
    MACHINE_ROLES,
    Principal,
    as_person,
    digest,
    new_secret,
    organisation_t,
    people,
    person_t,
)
from credit_api.http.fields import ResponseModel
from credit_api.http.tables import MachineKeyRow, MachineRow, SessionRow
from financing.base.authority import Work
from financing.base.errors import NotFound
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.store import value_of

session_t = table_of(SessionRow)
machine_t = table_of(MachineRow)
machine_key_t = table_of(MachineKeyRow)
COOKIE = "tanxin_session"
BEARER_PREFIX = "txt"
LIFETIME = timedelta(hours=12)
# A session that nobody used for so long has ended; that it is used is stored once a minute.
IDLE = timedelta(hours=4)
SHOWN_TO = timedelta(minutes=1)
TOKEN_LIFETIME = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Session:
    """A live session of a browser."""

    principal: Principal
    csrf_token: str
    used_at: datetime | None = None

    def is_due(self, at: datetime) -> bool:
        """Whether that it is used should be stored."""
        return self.used_at is None or at - self.used_at >= SHOWN_TO


class SessionListed(ResponseModel):
    """What may be shown of a session: never its secret."""

    session_id: str
    person_id: str | None
    machine_id: str | None
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    ended_at: datetime | None


def open_session(
    connection: Connection, principal: Principal, at: datetime, *, key: str | None = None, token: bool = False
) -> str:
    """Start a session of a person and return its secret; with the `key` that opened it, if one did."""
    opened_by = None if key is None else digest(key)
    lifetime = TOKEN_LIFETIME if token else LIFETIME
    return _open(
        connection, principal.organisation_id, at, lifetime, person_id=principal.person, api_key=opened_by, token=token
    )


def open_machine_session(
    connection: Connection, machine_id: str, kid: str, works: Iterable[Work], at: datetime
) -> tuple[str, timedelta]:
    """Start a machine's session, which is a short token, and return its secret and how long it holds."""
    query = select(machine_t.c.organisation_id).where(machine_t.c.id == machine_id)
    organisation_id = connection.execute(query).scalar_one()
    words = " ".join(sorted(works))
    secret = _open(
        connection, organisation_id, at, TOKEN_LIFETIME, machine_id=machine_id, kid=kid, works=words, token=True
    )
    return secret, TOKEN_LIFETIME


def find_session(connection: Connection, secret: str, at: datetime) -> Session | None:
    """The live session behind a cookie, or None."""
    query = (
        _of_people(at, at - IDLE)
        .add_columns(session_t.c.csrf_token, session_t.c.used_at)
        .where(session_t.c.sha256 == digest(secret), session_t.c.csrf_token != "")
    )
    row = connection.execute(query).first()
    return None if row is None else Session(as_person(row, "session"), row.csrf_token, row.used_at)


def authenticate_token(connection: Connection, sha256: str, at: datetime) -> tuple[Principal, datetime] | None:
    """Whose live token has this digest, and until when it holds; or None."""
    asked = {"sha256": sha256, "at": at, "idle_since": at - IDLE}
    row = connection.execute(_PERSON_WITH_TOKEN, asked).first()
    if row is not None:
        return as_person(row, "token"), row.until
    row = connection.execute(_MACHINE_WITH_TOKEN, asked).first()
    if row is None:
        return None
    works = frozenset(Work(word) for word in row.works.split())
    principal = Principal(
        row.id, row.kind, row.name_zh, row.name_en, row.machine_id, MACHINE_ROLES, works, "token", machine=True
    )
    return principal, row.until


def sessions_of(
    connection: Connection, organisation_id: str, at: datetime, window: Window = ALL, *, person: str | None = None
) -> Page[SessionListed]:
    """An organisation's sessions that have not ended, or one person's, newest first."""
    query = select(session_t).where(
        session_t.c.organisation_id == organisation_id, session_t.c.ended_at.is_(None), session_t.c.expires_at > at
    )
    if person is not None:
        query = query.where(_whose(person))
    order = (Key(session_t.c.created_at, descending=True), Key(session_t.c.id, descending=True))
    return page_of(connection, query, order, window, _listed)


def end_session(
    connection: Connection, session_id: str, organisation_id: str, at: datetime, *, person: str | None = None
) -> SessionListed:
    """End an organisation's session, or only one person's. Raises `NotFound` for any other."""
    query = select(session_t).where(session_t.c.id == session_id, session_t.c.organisation_id == organisation_id)
    if person is not None:
        query = query.where(_whose(person))
    if connection.execute(query).first() is None:
        raise NotFound("no such session", session_id=session_id)
    _end(connection, at, session_t.c.id == session_id)
    return _listed(connection.execute(query).one())


def _whose(person: str) -> ColumnElement[bool]:
    return or_(session_t.c.person_id == person, session_t.c.machine_id == person)


def close_session(connection: Connection, secret: str, at: datetime) -> None:
    """End the session of this secret, if there is one."""
    _end(connection, at, session_t.c.sha256 == digest(secret))


def end_all(connection: Connection, at: datetime, *, person: str) -> None:
    """End every session of a person."""
    _end(connection, at, session_t.c.person_id == person)


def _end(connection: Connection, at: datetime, which: ColumnElement[bool]) -> None:
    connection.execute(update(session_t).where(which, session_t.c.ended_at.is_(None)).values(ended_at=at))


def _open(
    connection: Connection, organisation_id: str, at: datetime, lifetime: timedelta, *, token: bool, **whose: Any
) -> str:
    secret = new_secret(BEARER_PREFIX) if token else secrets.token_urlsafe(32)
    sha256 = digest(secret)
    connection.execute(
        insert(session_t).values(
            sha256=sha256,
            id=f"ses_{sha256[:20]}",
            organisation_id=organisation_id,
            # What a browser's session has and a token has not: neither is taken for the other.
            csrf_token="" if token else secrets.token_urlsafe(24),
            created_at=at,
            used_at=at,
            expires_at=at + lifetime,
            **whose,
        )
    )
    return secret


def _live(at: Any, idle_since: Any) -> tuple[Any, ...]:
    idle = or_(session_t.c.used_at.is_(None), session_t.c.used_at > idle_since)
    return session_t.c.ended_at.is_(None), session_t.c.expires_at > at, idle


def _of_people(at: Any, idle_since: Any) -> Any:
    """Live sessions of people; one that a key opened only while that key lives."""
    by_key = select(api_key.c.sha256).where(*live_key(at))
    return (
        people()
        .add_columns(session_t.c.expires_at.label("until"))
        .join(session_t, session_t.c.person_id == person_t.c.id)
        .where(*_live(at, idle_since), or_(session_t.c.api_key.is_(None), session_t.c.api_key.in_(by_key)))
    )


def _of_machines(at: Any, idle_since: Any) -> Any:
    """Live tokens of machines that were not revoked, under keys that still hold."""
    return (
        select(organisation_t, session_t.c.machine_id, session_t.c.works, session_t.c.expires_at.label("until"))
        .join(session_t, session_t.c.organisation_id == organisation_t.c.id)
        .join(machine_t, machine_t.c.id == session_t.c.machine_id)
        .join(
            machine_key_t,
            and_(machine_key_t.c.machine_id == session_t.c.machine_id, machine_key_t.c.kid == session_t.c.kid),
        )
        .where(
            *_live(at, idle_since),
            machine_t.c.revoked_at.is_(None),
            machine_key_t.c.revoked_at.is_(None),
            machine_key_t.c.expires_at > at,
        )
    )


# Built once: whose token it is, is asked by every request.
_SHA256: Any = bindparam("sha256")
_WHEN: tuple[Any, Any] = (bindparam("at"), bindparam("idle_since"))
_PERSON_WITH_TOKEN = _of_people(*_WHEN).where(session_t.c.sha256 == _SHA256, session_t.c.csrf_token == "")
_MACHINE_WITH_TOKEN = _of_machines(*_WHEN).where(session_t.c.sha256 == _SHA256)


def _listed(row: Row[Any]) -> SessionListed:
    return value_of(SessionListed, row, session_id=row.id)
