"""Whose public key is whose: organisations sign documents with keys of their own, which this service never sees."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import select, update

from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.store import Store, value_of
from financing.ledger.tables import SigningKeyRow

key_t = table_of(SigningKeyRow)
_NEWEST = (Key(key_t.c.registered_at, descending=True), Key(key_t.c.public_key))


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 public key (64 hex digits) of an organisation, since when, and until when if it was revoked.

    `held_by` says where its private half is: with the `holder`, at the holder's `node`, or in this `service`, which
    keeps those of a sandbox.
    """

    organisation_id: str
    public_key: str
    held_by: Literal["holder", "node", "service"]
    registered_at: datetime
    registered_by: str
    revoked_at: datetime | None = None
    why: str = ""

    def holds_at(self, at: datetime) -> bool:
        return self.registered_at <= at and (self.revoked_at is None or at < self.revoked_at)


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
