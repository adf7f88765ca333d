"""Instants as whole microseconds: sortable in SQL, exact in signatures and messages."""

from __future__ import annotations

from datetime import UTC, datetime

from federated.consent.record import utc

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_micros(at: datetime) -> int:
    """Whole microseconds since 1970 in UTC: free of rounding. Raises `InvalidTime` for a naive datetime."""
    delta = utc(at) - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_micros(value: int) -> datetime:
    """The UTC datetime `value` microseconds after 1970."""
    seconds, micros = divmod(value, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)
