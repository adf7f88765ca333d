"""Organisations, accounts, entries, postings and holds."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from financing.base.storage.columns import Int64, RowId, UtcDateTime
from financing.ledger.public_keys import WhoseKey


class OrganisationRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "organisation"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('bank','grid','developer','verifier','registry','exchange','buyer','regulator')",
            name="organisation_kind",
        ),
    )
    id: str = Field(primary_key=True)
    kind: str
    name_zh: str
    name_en: str
    subject_id: str | None = Field(default=None, unique=True)
    subject_proved_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    admitted_by: str | None = Field(default=None, foreign_key="organisation.id")
    created_at: datetime = Field(sa_type=UtcDateTime)


class PersonRow(SQLModel, table=True):
    """Who acts for an organisation. `roles` are words between spaces, in alphabetical order."""

    __tablename__: ClassVar[str] = "person"
    __table_args__ = (
        UniqueConstraint("organisation_id", "id", name="person_of_organisation"),
        CheckConstraint("ended_at IS NULL OR ended_at >= created_at", name="person_ended"),
    )
    id: str = Field(primary_key=True)
    organisation_id: str = Field(foreign_key="organisation.id", index=True)
    name: str
    roles: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SigningKeyRow(WhoseKey, SQLModel, table=True):
    """A public key under which an organisation's documents are verified. Never deleted; revoked once, for good."""

    __tablename__: ClassVar[str] = "signing_key"
    __table_args__ = (
        CheckConstraint("length(public_key) = 64", name="signing_key_length"),
        CheckConstraint("held_by IN ('holder','node','service')", name="signing_key_holder"),
        CheckConstraint("revoked_at IS NULL OR revoked_at >= registered_at", name="signing_key_revoked"),
        ForeignKeyConstraint(["organisation_id"], ["organisation.id"]),
        Index("ix_signing_key_organisation_id", "organisation_id"),
    )
    public_key: str = Field(primary_key=True)
    held_by: str
    registered_at: datetime = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ProposalRow(SQLModel, table=True):
    """A command that takes two people: made by one, confirmed or refused by another of the same organisation."""

    __tablename__: ClassVar[str] = "proposal"
    __table_args__ = (
        CheckConstraint("checker <> maker", name="proposal_two_people"),
        CheckConstraint("outcome IN ('confirmed','refused')", name="proposal_outcome"),
        CheckConstraint(
            "(outcome IS NULL) = (checker IS NULL) AND (outcome IS NULL) = (decided_at IS NULL)",
            name="proposal_decided",
        ),
        *(
            ForeignKeyConstraint(
                ["organisation_id", who], ["person.organisation_id", "person.id"], name=f"proposal_{who}"
            )
            for who in ("maker", "checker")
        ),
    )
    id: str = Field(primary_key=True)
    organisation_id: str = Field(foreign_key="organisation.id", index=True)
    command: str
    object_id: str
    arguments: dict[str, Any] = Field(sa_type=JSON)
    why: str
    maker: str
    made_at: datetime = Field(sa_type=UtcDateTime)
    checker: str | None = None
    outcome: str | None = None
    decided_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class AccountRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "account"
    __table_args__ = (
        UniqueConstraint("owner_id", "kind", "asset", "reference", name="account_identity"),
        CheckConstraint("floor IS NULL OR posted - held >= floor", name="account_floor"),
        CheckConstraint("ceiling IS NULL OR posted <= ceiling", name="account_ceiling"),
        CheckConstraint("held >= 0", name="account_held"),
        CheckConstraint("posting_count >= 0", name="account_posting_count"),
        Index("account_by_asset", "asset", "kind"),
        Index("account_by_reference", "reference"),
    )
    id: int = Field(primary_key=True, sa_type=RowId)
    owner_id: str = Field(foreign_key="organisation.id")
    kind: str
    asset: str
    reference: str
    floor: int | None = Field(sa_type=Int64)
    ceiling: int | None = Field(sa_type=Int64)
    posted: int = Field(sa_type=Int64)
    held: int = Field(sa_type=Int64)
    posting_count: int = Field(sa_type=Int64)


class EntryRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "entry"
    __table_args__ = (CheckConstraint("length(hash) = 64 AND length(previous_hash) = 64", name="entry_hash_length"),)
    id: int = Field(primary_key=True, sa_type=RowId, sa_column_kwargs={"autoincrement": False})
    kind: str
    reference: str = Field(index=True)
    at: datetime = Field(sa_type=UtcDateTime)
    actor_id: str = Field(foreign_key="organisation.id")
    previous_hash: str = Field(unique=True)
    hash: str = Field(unique=True)


class PostingRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "posting"
    __table_args__ = (
        UniqueConstraint("account_id", "account_seq", name="posting_sequence"),
        CheckConstraint("amount <> 0", name="posting_amount"),
        CheckConstraint("account_seq >= 1", name="posting_seq_positive"),
        # Postings are written before the entry that seals them, so the reference is checked at commit.
        ForeignKeyConstraint(
            ["entry_id"], ["entry.id"], name="posting_entry", deferrable=True, initially="DEFERRED", use_alter=False
        ),
    )
    entry_id: int = Field(primary_key=True, sa_type=Int64)
    account_id: int = Field(primary_key=True, sa_type=Int64, foreign_key="account.id")
    account_seq: int = Field(sa_type=Int64)
    amount: int = Field(sa_type=Int64)
    balance_after: int = Field(sa_type=Int64)


class PaymentRow(SQLModel, table=True):
    """A transfer that reached the settlement account. Its number is one only within the bank that gave it."""

    __tablename__: ClassVar[str] = "payment"
    __table_args__ = (CheckConstraint("length(payer_bank) IN (0, 12)", name="payment_payer_bank"),)
    payer_bank: str = Field(primary_key=True)
    reference: str = Field(primary_key=True)
    entry_id: int = Field(sa_type=Int64, foreign_key="entry.id", unique=True)


class HoldRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "hold"
    __table_args__ = (
        CheckConstraint("amount > 0", name="hold_amount"),
        CheckConstraint("state IN ('pending','posted','voided','expired')", name="hold_state"),
        CheckConstraint("(state = 'pending') = (closed_at IS NULL)", name="hold_closed"),
        Index("hold_by_account", "account_id", "state"),
    )
    id: str = Field(primary_key=True)
    account_id: int = Field(sa_type=Int64, foreign_key="account.id")
    amount: int = Field(sa_type=Int64)
    state: str
    reference: str = Field(index=True)
    expires_at: datetime | None = Field(sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    closed_at: datetime | None = Field(sa_type=UtcDateTime)
