"""Console sessions: a random cookie whose row on the server says who it is, until when, and its CSRF token."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select

from credit_api.http.auth.keys import Principal, digest, organisation
from credit_api.http.tables import ConsoleSessionRow
from financing.base.storage.columns import table_of

session = table_of(ConsoleSessionRow)
COOKIE = "tanxin_session"
LIFETIME = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Session:
    principal: Principal
    csrf_token: str


def open_session(connection: Connection, organisation_id: str, at: datetime, person: str = "") -> str:
    """Start a session and return the cookie's value."""
    secret = secrets.token_urlsafe(32)
    connection.execute(
        insert(session).values(
            sha256=digest(secret),
            organisation_id=organisation_id,
            person=person,
            csrf_token=secrets.token_urlsafe(24),
            created_at=at,
            expires_at=at + LIFETIME,
        )
    )
    return secret


def find_session(connection: Connection, secret: str, at: datetime) -> Session | None:
    """The live session behind a cookie, or None."""
    row = connection.execute(
        select(organisation, session.c.csrf_token, session.c.person)
        .join(session, session.c.organisation_id == organisation.c.id)
        .where(session.c.sha256 == digest(secret), session.c.expires_at > at)
    ).first()
    return Session(Principal(row.id, row.kind, row.name_zh, row.name_en, row.person), row.csrf_token) if row else None


def close_session(connection: Connection, secret: str) -> None:
    connection.execute(delete(session).where(session.c.sha256 == digest(secret)))
