"""What a node did with its subjects' data, and what it refused: an append-only, hash-chained log in its own store.

A use of one subject is one entry. Alignment, training and review read thousands at once: one entry then names a batch
by the digest of its subjects and consents, and these are kept beside it, each batch once, so that every subject can be
told exactly. A withdrawal is an entry as well, and nowhere else: what no longer shows it is a broken chain.

Guarantee: an entry, or a subject of a batch, that was edited, inserted or taken out is noticed by `verify`. Not
covered: entries cut off at the very end, for which a copy of the last hash has to be kept elsewhere, and a node that
rewrites its whole log. Source of what is logged: 征信业管理条例, articles 17 and 22; PIPL, articles 44, 45 and 55.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from federated.consent.instants import from_micros, to_micros
from federated.errors import UseLogTampered

SCHEMA = """
CREATE TABLE IF NOT EXISTS uses (
  number INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, action TEXT NOT NULL, organisation TEXT NOT NULL,
  purpose TEXT NOT NULL, outcome TEXT NOT NULL, subject_id TEXT NOT NULL, consent_id TEXT NOT NULL,
  batch TEXT NOT NULL, size INTEGER NOT NULL, hash TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS use_batches (
  batch TEXT NOT NULL, subject_id TEXT NOT NULL, consent_id TEXT NOT NULL, PRIMARY KEY (batch, subject_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS uses_withdrawal ON uses (consent_id) WHERE action = 'withdrawal';
CREATE INDEX IF NOT EXISTS uses_by_subject ON uses (subject_id) WHERE subject_id != '';
CREATE INDEX IF NOT EXISTS uses_by_batch ON uses (batch) WHERE batch != '';
CREATE INDEX IF NOT EXISTS uses_answered ON uses (organisation, at_us) WHERE action = 'score' AND outcome = 'answered';
CREATE INDEX IF NOT EXISTS uses_answered_about ON uses (organisation, subject_id, at_us)
  WHERE action = 'score' AND outcome = 'answered';
CREATE INDEX IF NOT EXISTS use_batches_by_subject ON use_batches (subject_id);
CREATE TRIGGER IF NOT EXISTS uses_not_edited BEFORE UPDATE ON uses
  BEGIN SELECT RAISE(ABORT, 'the log of uses is append-only'); END;
CREATE TRIGGER IF NOT EXISTS uses_not_deleted BEFORE DELETE ON uses
  BEGIN SELECT RAISE(ABORT, 'the log of uses is append-only'); END;
"""
COLUMNS = "number, at_us, action, organisation, purpose, outcome, subject_id, consent_id, batch, size"
NTH = (
    "SELECT at_us FROM uses WHERE action = 'score' AND outcome = 'answered' AND organisation = ? AND at_us > ?"
    " ORDER BY at_us DESC LIMIT 1 OFFSET ?"
)
NTH_ABOUT = NTH.replace(" ORDER BY", " AND subject_id = ? ORDER BY")
FIRST = "0" * 64
ANSWERED, NO_FILE = "answered", "no_file"
Row = tuple[int, int, str, str, str, str, str, str, str, int]


class Action(StrEnum):
    """What was done. A shadow score is the challenger's, of a query that was answered; nobody is shown it."""

    SCORE = "score"
    SHADOW_SCORE = "shadow_score"
    ALIGNMENT = "alignment"
    TRAINING = "training"
    REVIEW = "review"
    WITHDRAWAL = "withdrawal"


@dataclass(frozen=True, slots=True)
class Use:
    """One entry. `organisation` is on whose behalf; a batch of `size` subjects has its digest instead of one subject.

    `outcome` is `answered`, `no_file` or the code of a refusal; of a withdrawal, the subject's signature in hex, or
    `unsigned`. `number` counts from 1 within a node.
    """

    at: datetime
    action: Action
    organisation: str
    purpose: str
    outcome: str
    subject_id: str = ""
    consent_id: str = ""
    batch: str = ""
    size: int = 1
    number: int = 0


class UseLog:
    """The log of one node. The caller owns the connection, its lock and its transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        connection.executescript(SCHEMA)

    def append(self, use: Use) -> Use:
        """Write an entry at the end; returned with its number."""
        last = self._db.execute("SELECT number, hash FROM uses ORDER BY number DESC LIMIT 1").fetchone()
        numbered = replace(use, number=1 if last is None else last[0] + 1)
        row = _row(numbered)
        self._db.execute(
            f"INSERT INTO uses ({COLUMNS}, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (*row, _hash(FIRST if last is None else last[1], row)),
        )
        return numbered

    def append_batch(self, use: Use, members: Mapping[str, str]) -> Use:
        """Write one entry for many subjects. `members` maps each subject to the consent that covered it."""
        batch = _digest(members.items())
        known = self._db.execute("SELECT 1 FROM use_batches WHERE batch = ? LIMIT 1", (batch,)).fetchone()
        if known is None:
            rows = ((batch, subject, consent) for subject, consent in members.items())
            self._db.executemany("INSERT INTO use_batches VALUES (?, ?, ?)", rows)
        return self.append(replace(use, batch=batch, size=len(members)))

    def of_subject(self, subject_id: str) -> list[Use]:
        """Every entry that concerns a subject, newest first; a batch names the subject and its consent."""
        rows = self._db.execute(
            f"SELECT {COLUMNS} FROM uses WHERE subject_id = ?1"  # noqa: S608
            " UNION ALL SELECT u.number, u.at_us, u.action, u.organisation, u.purpose, u.outcome, b.subject_id,"
            " b.consent_id, u.batch, u.size FROM use_batches b JOIN uses u ON u.batch = b.batch AND u.batch != ''"
            " WHERE b.subject_id = ?1 ORDER BY number DESC",
            (subject_id,),
        )
        return [_use(row) for row in rows]

    def lacks_shadow(self, organisation: str, subject_id: str, consent_id: str, since: datetime) -> bool:
        """Whether since then more scores of this subject under this consent were answered than shadow scores."""
        scores, shadows = self._db.execute(
            "SELECT COUNT(*) FILTER (WHERE action = 'score'), COUNT(*) FILTER (WHERE action = 'shadow_score') FROM uses"
            " WHERE subject_id = ? AND consent_id = ? AND organisation = ? AND outcome = 'answered' AND at_us >= ?",
            (subject_id, consent_id, organisation, to_micros(since)),
        ).fetchone()
        return bool(scores > shadows)

    def nth_last_answer(self, organisation: str, number: int, since: datetime, subject_id: str = "") -> datetime | None:
        """When the last score but `number` − 1 was answered to an organisation after `since`; None if there are fewer.

        With a subject, only answers about it count.
        """
        row = self._db.execute(
            NTH_ABOUT if subject_id else NTH,
            (organisation, to_micros(since), *([subject_id] if subject_id else []), number - 1),
        ).fetchone()
        return None if row is None else from_micros(row[0])

    def verify(self) -> int:
        """Recompute every hash and every batch, and count the entries. Raises `UseLogTampered`, naming the entry."""
        previous, number = FIRST, 0
        batches: dict[str, tuple[int, int]] = {}
        for row in self._db.execute(f"SELECT {COLUMNS}, hash FROM uses ORDER BY number"):  # noqa: S608
            number += 1
            previous = _hash(previous, row[:-1])
            if row[0] != number or row[-1] != previous:
                raise UseLogTampered(f"entry {number} is not what was written there", number=number)
            if row[8]:
                batches[row[8]] = (number, row[9])
        for batch, (entry, size) in batches.items():
            members = self._db.execute("SELECT subject_id, consent_id FROM use_batches WHERE batch = ?", (batch,))
            subjects = members.fetchall()
            if len(subjects) != size or _digest(subjects) != batch:
                raise UseLogTampered(f"the subjects of entry {entry} are not those written there", number=entry)
        return number


def _row(use: Use) -> Row:
    return (
        use.number,
        to_micros(use.at),
        use.action.value,
        use.organisation,
        use.purpose,
        use.outcome,
        use.subject_id,
        use.consent_id,
        use.batch,
        use.size,
    )


def _use(row: Row) -> Use:
    number, at_us, action, organisation, purpose, outcome, subject_id, consent_id, batch, size = row
    return Use(
        from_micros(at_us), Action(action), organisation, purpose, outcome, subject_id, consent_id, batch, size, number
    )


def _hash(previous: str, row: tuple[int | str, ...]) -> str:
    return hashlib.sha256(json.dumps([previous, *row], separators=(",", ":")).encode()).hexdigest()


def _digest(members: Iterable[tuple[str, str]]) -> str:
    pairs = sorted(members)
    return hashlib.sha256(json.dumps(pairs, separators=(",", ":")).encode()).hexdigest()
