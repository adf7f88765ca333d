"""What one command may touch: the stores, on the writer's connection, inside the command's savepoint.

Every room adds its stores to those of the rooms below it, so a command's annotation says how far it may reach.
"""

from __future__ import annotations

from sqlalchemy import Connection

from financing.base.storage.idempotency import IdempotencyStore


class Unit:
    """One connection, and the answers remembered on it. A reader builds one on its own connection and only reads."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.idempotency = IdempotencyStore(connection)
