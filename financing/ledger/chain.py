"""The hash chain over entries: each hash covers the entry, its postings and the hash before it.

Anyone with an exported head can prove that no earlier entry was changed, removed or reordered.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class SealedLine:
    """A stored posting as the chain covers it: account, gap-free number within it, amount, balance after."""

    account_id: int
    account_seq: int
    amount: int
    balance_after: int


@dataclass(frozen=True, slots=True)
class SealedEntry:
    """A stored entry as the chain covers it. `at` is ISO 8601 in UTC with microseconds."""

    entry_id: int
    kind: str
    reference: str
    at: str
    lines: Sequence[SealedLine]


def entry_hash(previous: str, entry: SealedEntry) -> str:
    """SHA-256 over a canonical JSON text of the entry and the hash before it; 64 lower-case hex digits."""
    body = [
        previous,
        entry.entry_id,
        entry.kind,
        entry.reference,
        entry.at,
        [[line.account_id, line.account_seq, line.amount, line.balance_after] for line in entry.lines],
    ]
    return sealed(body)


def sealed(body: Sequence[object]) -> str:
    """SHA-256 over the canonical JSON text of what a hash covers; 64 lower-case hex digits."""
    text = json.dumps(body, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def stamp(at: datetime) -> str:
    """A time as a hash covers it: ISO 8601 in UTC with microseconds."""
    return at.astimezone(UTC).isoformat("T", "microseconds")
