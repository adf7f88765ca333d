"""Keys and tokens this process has seen, so that an order is not held up by a look into the database on another thread.

A credential found here is still looked at in the transaction of the command it signs: a revoked one commits nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, update

from credit_api.app.errors import Unauthenticated
from credit_api.http.auth.keys import KEYS, LIVE, api_key, authenticate
from credit_api.http.auth.principal import Principal, digest
from credit_api.http.auth.sessions import SHOWN_TO, authenticate_token, session_t

MOST = 10_000


@dataclass(slots=True)
class _Known:
    principal: Principal
    until: datetime
    used_at: datetime | None = None


class KnownKeys:
    def __init__(self, *, sandbox: bool = False) -> None:
        self._sandbox = sandbox
        self._known: dict[str, _Known] = {}

    def find(self, sha256: str, at: datetime) -> Principal | None:
        known = self._known.get(sha256)
        return known.principal if known is not None and known.until > at else None

    def learn(self, connection: Connection, secret: str, at: datetime) -> Principal:
        """Look a key or token up and remember it. Raises `Unauthenticated`."""
        if secret.startswith(LIVE) or (secret.startswith(KEYS) and not self._sandbox):
            raise Unauthenticated(
                "API keys open sandboxes only: here a person signs in, and a machine asks for a token with an assertion"
            )
        if len(self._known) >= MOST:
            self._known.clear()
        return self.require_live(connection, digest(secret), at)

    def require_live(self, connection: Connection, sha256: str, at: datetime) -> Principal:
        """Who this credential is now. Raises `Unauthenticated`, and forgets it, if it ended or was revoked."""
        known = self._known.get(sha256)
        found = self._look_up(connection, sha256, at, key_first=known is None or known.principal.credential == "key")
        if found is None:
            self._known.pop(sha256, None)
            raise Unauthenticated("this key or token is unknown, has expired or was revoked")
        if known is None:
            self._known[sha256] = _Known(*found)
        else:
            known.principal, known.until = found
        return found[0]

    def is_due(self, sha256: str, at: datetime) -> bool:
        """Whether the time of last use should be stored; it is due again a minute after it was said to be."""
        known = self._known.get(sha256)
        if known is None or (known.used_at is not None and at - known.used_at < SHOWN_TO):
            return False
        known.used_at = at
        return True

    def _look_up(
        self, connection: Connection, sha256: str, at: datetime, *, key_first: bool
    ) -> tuple[Principal, datetime] | None:
        ways = (authenticate, authenticate_token) if key_first else (authenticate_token, authenticate)
        found = (way(connection, sha256, at) for way in ways if self._sandbox or way is not authenticate)
        return next((each for each in found if each is not None), None)


def mark_used(connection: Connection, sha256: str, at: datetime) -> None:
    """Store when a key or session was last used."""
    for table in (api_key, session_t):
        connection.execute(update(table).where(table.c.sha256 == sha256).values(used_at=at))
