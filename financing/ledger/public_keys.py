"""Whose public key is whose: organisations sign documents with keys of their own, which this service never sees."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from financing.base.commands import PublicKey
from financing.base.storage.records import Fact


class WhoseKey(BaseModel):
    """What a key and its row share: whose it is, who registered it, and why it was revoked."""

    organisation_id: str
    registered_by: str
    why: str = ""


class SigningKey(WhoseKey, Fact):
    """An Ed25519 public key of an organisation, since when, and until when if it was revoked.

    `held_by` says where its private half is: with the `holder`, at the holder's `node`, or in this `service`, which
    keeps those of a sandbox.
    """

    public_key: PublicKey
    held_by: Literal["holder", "node", "service"]
    registered_at: datetime
    revoked_at: datetime | None = None

    def holds_at(self, at: datetime) -> bool:
        return self.registered_at <= at and (self.revoked_at is None or at < self.revoked_at)
