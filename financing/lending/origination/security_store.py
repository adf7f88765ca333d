"""Securities beside pledged credits, on one connection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, or_, select, update

from financing.base.errors import InvalidState
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.store import Store, value_of
from financing.lending.origination.securities import Security
from financing.lending.origination.tables import SecurityRow

security_t = table_of(SecurityRow)


@dataclass(frozen=True, slots=True)
class StoredSecurity:
    """`record` holds how it was valued; `state`: offered, posted, released or withdrawn."""

    security: Security
    state: str
    evidence_sha256: str
    registration_number: str | None
    loan_id: str | None
    record: dict[str, Any]


class SecurityStore(Store):
    def add(self, security: Security, evidence_sha256: str, record: dict[str, Any], at: datetime) -> None:
        self._add(
            security_t,
            security,
            id=security.security_id,
            state="offered",
            evidence_sha256=evidence_sha256,
            record=record,
            registration_number=None,
            loan_id=None,
            offered_at=at,
        )

    def get(self, security_id: str) -> StoredSecurity:
        query = select(security_t).where(security_t.c.id == security_id)
        return _stored(self._one(query, "no such security", security_id=security_id))

    def of_organisation(self, organisation_id: str, window: Window = ALL) -> Page[StoredSecurity]:
        """Securities that an organisation gave, holds or borrows against, newest first."""
        c = security_t.c
        query = select(security_t).where(
            or_(c.provider_id == organisation_id, c.bank_id == organisation_id, c.borrower_id == organisation_id)
        )
        return page_of(self._connection, query, (Key(c.offered_at, descending=True), Key(c.id)), window, _stored)

    def offered(self, bank_id: str, borrower_id: str, window: Window = ALL) -> Page[StoredSecurity]:
        """Securities offered to a bank for what one organisation borrows, newest first."""
        c = security_t.c
        query = select(security_t).where(c.bank_id == bank_id, c.borrower_id == borrower_id, c.state == "offered")
        return page_of(self._connection, query, (Key(c.offered_at, descending=True), Key(c.id)), window, _stored)

    def post(self, security_id: str, loan_id: str, registration_number: str) -> None:
        """Bind an offered security to a loan, once. Raises `InvalidState`."""
        self._move(security_id, "offered", state="posted", loan_id=loan_id, registration_number=registration_number)

    def close(self, security_id: str, was: str, state: str) -> None:
        self._move(security_id, was, state=state)

    def _move(self, security_id: str, was: str, **values: Any) -> None:
        done = self._connection.execute(
            update(security_t).where(security_t.c.id == security_id, security_t.c.state == was).values(**values)
        )
        if done.rowcount != 1:
            raise InvalidState(f"the security is not {was}", security_id=security_id)


def _stored(row: Row[Any]) -> StoredSecurity:
    return value_of(StoredSecurity, row, security=value_of(Security, row, security_id=row.id))
