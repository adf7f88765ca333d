"""Remembers the answer to every idempotency key, in the same commit as the command itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select

from financing.base.errors import IdempotencyKeyReused
from financing.base.storage.columns import table_of
from financing.base.storage.store import Store
from financing.base.storage.tables import IdempotencyRow

record = table_of(IdempotencyRow)
_RECALL = select(record.c.fingerprint, record.c.status, record.c.body).where(
    record.c.organisation_id == bindparam("organisation_id"), record.c.key == bindparam("idempotency_key")
)
_REMEMBER = insert(record)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command answered: HTTP status and JSON body. `replayed` is true when it was answered before."""

    status: int
    body: dict[str, Any]
    replayed: bool = False


class IdempotencyStore(Store):
    def recall(self, organisation_id: str, key: str, fingerprint: str) -> Answer | None:
        """The stored answer, or None for a new key. Raises `IdempotencyKeyReused` if the request differs."""
        row = self._connection.execute(_RECALL, {"organisation_id": organisation_id, "idempotency_key": key}).first()
        if row is None:
            return None
        if row.fingerprint != fingerprint:
            raise IdempotencyKeyReused("this idempotency key was used with another request", key=key)
        return Answer(row.status, row.body, replayed=True)

    def remember(self, organisation_id: str, key: str, fingerprint: str, answer: Answer, *, at: datetime) -> None:
        """Store the answer. A refused command never gets here, so its key stays usable."""
        self._connection.execute(
            _REMEMBER,
            {
                "organisation_id": organisation_id,
                "key": key,
                "fingerprint": fingerprint,
                "status": answer.status,
                "body": answer.body,
                "created_at": at,
            },
        )
