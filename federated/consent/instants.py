"""Instants as whole microseconds: sortable in SQL, exact in signatures and messages. And a node's own clock.

Guarantee: what a node counts and checks by time when it is asked about somebody, it dates by its own clock. An asker's
instant binds a question and its answer together and is refused unless it lies within `TOLERANCE` of that clock: it
moves no period and revives no consent. Not covered: the instant of a training run, which is the operator's word, and a
node whose own clock was set wrong. Set forward it forgets early, set back it only counts more.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from federated.consent.record import utc
from federated.errors import InvalidTime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# How far two honest clocks, and a question on its way, may be apart: what Kerberos allows (RFC 4120, section 8.2).
TOLERANCE = timedelta(minutes=5)
Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """The machine's own time, in UTC."""
    return datetime.now(UTC)


def require_near(at: datetime, now: datetime) -> None:
    """Raise `InvalidTime` if `at` lies more than `TOLERANCE` before or after `now`, or is naive."""
    if abs(utc(at) - utc(now)) > TOLERANCE:
        minutes = TOLERANCE / timedelta(minutes=1)
        raise InvalidTime(f"the instant of the question lies more than {minutes:g} minutes from the node's own clock")


def to_micros(at: datetime) -> int:
    """Whole microseconds since 1970 in UTC: free of rounding. Raises `InvalidTime` for a naive datetime."""
    delta = utc(at) - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_micros(value: int) -> datetime:
    """The UTC datetime `value` microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=value)
