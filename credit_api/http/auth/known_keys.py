"""API keys this process has seen, so that an order is not held up by a look into the database on another thread.

A key found here is still looked at in the transaction of the command it signs: a revoked one commits nothing.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select

from credit_api.app.errors import Unauthenticated
from credit_api.http.auth.keys import Principal, api_key, authenticate, digest

MOST = 10_000
_LIVE = select(api_key.c.sha256).where(api_key.c.sha256 == bindparam("sha256"), api_key.c.revoked_at.is_(None))


class KnownKeys:
    def __init__(self) -> None:
        self._known: dict[str, Principal] = {}

    def find(self, sha256: str) -> Principal | None:
        return self._known.get(sha256)

    def learn(self, connection: Connection, key: str) -> Principal:
        """Look a key up and remember it. Raises `Unauthenticated`."""
        principal = authenticate(connection, key)
        if principal is None:
            raise Unauthenticated("this API key is unknown or revoked")
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[digest(key)] = principal
        return principal

    def require_live(self, connection: Connection, sha256: str) -> None:
        """Raise `Unauthenticated`, and forget the key, if it was revoked meanwhile."""
        if connection.execute(_LIVE, {"sha256": sha256}).first() is None:
            self._known.pop(sha256, None)
            raise Unauthenticated("this API key is unknown or revoked")
