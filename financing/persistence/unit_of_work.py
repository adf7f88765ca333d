"""What one command may touch: the stores, on the writer's connection, inside the command's savepoint."""

from __future__ import annotations

from sqlalchemy import Connection

from financing.persistence.idempotency_store import IdempotencyStore
from financing.persistence.ledger_store import LedgerStore


class UnitOfWork:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.ledger = LedgerStore(connection)
        self.idempotency = IdempotencyStore(connection)
