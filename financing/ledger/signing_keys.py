"""The register of organisations' public keys, on one connection."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update

from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.store import Store, value_of
from financing.ledger.public_keys import SigningKey
from financing.ledger.tables import SigningKeyRow

key_t = table_of(SigningKeyRow)
_NEWEST = (Key(key_t.c.registered_at, descending=True), Key(key_t.c.public_key))


class SigningKeyStore(Store):
    def add(self, new: SigningKey) -> None:
        self._add(key_t, new)

    def of(self, organisation_id: str, window: Window = ALL) -> Page[SigningKey]:
        """An organisation's keys, revoked ones too, newest first."""
        query = select(key_t).where(key_t.c.organisation_id == organisation_id)
        return page_of(self._connection, query, _NEWEST, window, lambda row: value_of(SigningKey, row))

    def find(self, public_key: str) -> SigningKey | None:
        """The registration of a key, whoever it belongs to."""
        row = self._connection.execute(select(key_t).where(key_t.c.public_key == public_key)).first()
        return None if row is None else value_of(SigningKey, row)

    def revoke(self, public_key: str, why: str, at: datetime) -> None:
        ending = update(key_t).where(key_t.c.public_key == public_key, key_t.c.revoked_at.is_(None))
        self._connection.execute(ending.values(revoked_at=at, why=why))
