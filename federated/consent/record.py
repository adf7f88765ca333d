"""The consent record and its check. Pure: times are arguments, nothing is read from a clock.

The record follows the elements that the Personal Information Protection Law of the PRC asks for (Articles 14–17, 23):
who, for what purpose, which kinds of data, for how long, and the right to withdraw at any time (Article 15).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from federated.errors import (
    ConsentConflict,
    ConsentExpired,
    ConsentMissing,
    ConsentWithdrawn,
    InvalidConsent,
    InvalidTime,
    PurposeNotCovered,
    ScopeNotCovered,
)


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
    if at.tzinfo is None or at.utcoffset() is None:
        raise InvalidTime(f"{name} has no time zone", field=name)
    return at.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """One subject's consent towards one bank. `valid_from` is included, `valid_until` excluded, both UTC.

    Raises `InvalidConsent` for contradictory terms and `InvalidTime` for naive datetimes.
    """

    consent_id: str
    subject_id: str
    bank_id: str
    purposes: frozenset[Purpose]
    scope: frozenset[DataScope]
    valid_from: datetime
    valid_until: datetime
    withdrawn_at: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("consent_id", "subject_id", "bank_id"):
            if not getattr(self, name).strip():
                raise InvalidConsent(f"{name} is empty", field=name)
        if not self.purposes or not self.scope:
            raise InvalidConsent("a consent names at least one purpose and one kind of data source")
        object.__setattr__(self, "purposes", frozenset(Purpose(p) for p in self.purposes))
        object.__setattr__(self, "scope", frozenset(DataScope(s) for s in self.scope))
        object.__setattr__(self, "valid_from", utc(self.valid_from, "valid_from"))
        object.__setattr__(self, "valid_until", utc(self.valid_until, "valid_until"))
        if self.valid_until <= self.valid_from:
            raise InvalidConsent("valid_until must lie after valid_from")
        if self.withdrawn_at is not None:
            object.__setattr__(self, "withdrawn_at", utc(self.withdrawn_at, "withdrawn_at"))

    def withdrawn(self, at: datetime) -> ConsentRecord:
        """The same consent withdrawn at `at`. The first withdrawal stands."""
        return self if self.withdrawn_at is not None else replace(self, withdrawn_at=utc(at))

    def same_terms(self, other: ConsentRecord) -> bool:
        """Whether both state the same terms, leaving withdrawal aside."""
        return replace(self, withdrawn_at=None) == replace(other, withdrawn_at=None)


def check(
    record: ConsentRecord | None,
    *,
    subject_id: str,
    bank_id: str,
    purpose: Purpose,
    scope: DataScope,
    at: datetime,
) -> ConsentRecord:
    """Return the record if it allows this use at `at`; raise otherwise. Fails closed.

    A record of another subject or bank is answered as missing, so a guess of an id discloses nothing.
    Raises `ConsentMissing`, `ConsentWithdrawn`, `ConsentExpired`, `PurposeNotCovered`, `ScopeNotCovered`.
    """
    moment = utc(at)
    if record is None or record.subject_id != subject_id or record.bank_id != bank_id:
        raise ConsentMissing("no such consent of this subject towards this bank")
    if record.withdrawn_at is not None and record.withdrawn_at <= moment:
        raise ConsentWithdrawn("the subject withdrew this consent", consent_id=record.consent_id)
    if not record.valid_from <= moment < record.valid_until:
        raise ConsentExpired("the consent does not cover this time", consent_id=record.consent_id)
    if purpose not in record.purposes:
        raise PurposeNotCovered(f"the consent does not cover {purpose}", consent_id=record.consent_id)
    if scope not in record.scope:
        raise ScopeNotCovered(f"the consent does not open {scope} data", consent_id=record.consent_id)
    return record


def require_same_terms(known: ConsentRecord, offered: ConsentRecord) -> None:
    """Raise `ConsentConflict` unless `offered` repeats `known`: a consent is recorded again, never edited."""
    if not known.same_terms(offered):
        raise ConsentConflict("this consent id is recorded with other terms", consent_id=known.consent_id)
