"""The consent record: what a subject signed, with what, and whether it was withdrawn since.

The record follows the elements that the Personal Information Protection Law of the PRC asks for (Articles 14–17, 23):
who, for what purpose, which kinds of data, for how long, and the right to withdraw at any time (Article 15).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache

from federated.errors import ConsentConflict, InvalidConsent, InvalidTime


class Purpose(StrEnum):
    """What the data may be used for."""

    CREDIT_APPLICATION = "credit_application"
    LOAN_REVIEW = "loan_review"
    MODEL_TRAINING = "model_training"


class DataScope(StrEnum):
    """The kinds of data source a consent can open."""

    BANK_FILE = "bank_file"
    ELECTRICITY = "electricity"


def utc(at: datetime, name: str = "at") -> datetime:
    """Return `at` in UTC. Raises `InvalidTime` for a naive datetime, whose instant would be a guess."""
    if at.tzinfo is UTC:
        return at
    if at.tzinfo is None or at.utcoffset() is None:
        raise InvalidTime(f"{name} has no time zone", field=name)
    return at.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class KeyAttestation:
    """An identity authority's word that a public key (Ed25519, 32 bytes) is the subject's, from when until when.

    `valid_from` is included, `valid_until` excluded, both UTC; `signature` (64 bytes) is the authority's over all the
    rest. Raises `InvalidTime` for naive datetimes.
    """

    subject_id: str
    public_key: bytes
    valid_from: datetime
    valid_until: datetime
    signature: bytes

    def __post_init__(self) -> None:
        object.__setattr__(self, "valid_from", utc(self.valid_from, "valid_from"))
        object.__setattr__(self, "valid_until", utc(self.valid_until, "valid_until"))


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """One subject's consent towards one bank. `valid_from` is included, `valid_until` excluded, both UTC.

    `signature` is the subject's over the terms, `key` attests with which key; without them a record is a draft, and
    every node refuses it. `grid_id` is the grid company that serves the subject and gives its electricity data (PIPL,
    article 23: a separate consent names who is given the data); empty in consents of the form before, which named none.
    `withdrawn_by` says who told of a withdrawal. Raises `InvalidConsent` for contradictory terms and `InvalidTime` for
    naive datetimes.
    """

    consent_id: str
    subject_id: str
    bank_id: str
    purposes: frozenset[Purpose]
    scope: frozenset[DataScope]
    valid_from: datetime
    valid_until: datetime
    signature: bytes = b""
    key: KeyAttestation | None = None
    withdrawn_at: datetime | None = None
    withdrawn_by: str = ""
    grid_id: str = ""

    def __post_init__(self) -> None:
        for name in ("consent_id", "subject_id", "bank_id"):
            if not getattr(self, name).strip():
                raise InvalidConsent(f"{name} is empty", field=name)
        if not self.purposes or not self.scope:
            raise InvalidConsent("a consent names at least one purpose and one kind of data source")
        if self.grid_id and DataScope.ELECTRICITY not in self.scope:
            raise InvalidConsent("a grid company is named where no electricity data are opened", field="grid_id")
        object.__setattr__(self, "purposes", _purposes(frozenset(self.purposes)))
        object.__setattr__(self, "scope", _scope(frozenset(self.scope)))
        object.__setattr__(self, "valid_from", utc(self.valid_from, "valid_from"))
        object.__setattr__(self, "valid_until", utc(self.valid_until, "valid_until"))
        if self.valid_until <= self.valid_from:
            raise InvalidConsent("valid_until must lie after valid_from")
        if self.withdrawn_at is not None:
            object.__setattr__(self, "withdrawn_at", utc(self.withdrawn_at, "withdrawn_at"))

    @property
    def public_key(self) -> bytes:
        """The key that verifies the signature; empty for a draft."""
        return b"" if self.key is None else self.key.public_key

    def opens(self, scope: DataScope, org_id: str) -> bool:
        """Whether it opens this kind of data at this node: electricity at the grid company that it names, if any."""
        return scope in self.scope and (scope is not DataScope.ELECTRICITY or self.grid_id in ("", org_id))

    def withdrawn(self, at: datetime, by: str = "") -> ConsentRecord:
        """The same consent withdrawn at `at`. The first withdrawal stands."""
        return self if self.withdrawn_at is not None else replace(self, withdrawn_at=utc(at), withdrawn_by=by)

    def terms(self) -> ConsentRecord:
        """The terms alone: without signature, key and withdrawal."""
        return replace(self, signature=b"", key=None, withdrawn_at=None, withdrawn_by="")


# Nearly all consents of a store name the same few.
@lru_cache(maxsize=64)
def _purposes(named: frozenset[str]) -> frozenset[Purpose]:
    return frozenset(map(Purpose, named))


@lru_cache(maxsize=64)
def _scope(named: frozenset[str]) -> frozenset[DataScope]:
    return frozenset(map(DataScope, named))


def require_same_terms(known: ConsentRecord, offered: ConsentRecord) -> None:
    """Raise `ConsentConflict` unless `offered` repeats `known`: a consent is recorded again, never edited."""
    if known.terms() != offered.terms():
        raise ConsentConflict("this consent id is recorded with other terms", consent_id=known.consent_id)
