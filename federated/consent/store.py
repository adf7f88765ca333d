"""Consents inside one node's own SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime

from federated.consent.record import ConsentRecord, DataScope, Purpose, require_same_terms, utc
from federated.errors import ConsentMissing

SCHEMA = """
CREATE TABLE IF NOT EXISTS consents (
  consent_id TEXT PRIMARY KEY, subject_id TEXT NOT NULL, bank_id TEXT NOT NULL,
  purposes TEXT NOT NULL, scope TEXT NOT NULL,
  valid_from_us INTEGER NOT NULL, valid_until_us INTEGER NOT NULL, withdrawn_at_us INTEGER,
  CHECK (valid_until_us > valid_from_us)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS consents_by_subject ON consents (bank_id, subject_id);
"""
COLUMNS = "consent_id, subject_id, bank_id, purposes, scope, valid_from_us, valid_until_us, withdrawn_at_us"
Row = tuple[str, str, str, str, str, int, int, int | None]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_micros(at: datetime) -> int:
    """Whole microseconds since 1970 in UTC: sortable in SQL and free of rounding."""
    delta = utc(at) - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_micros(value: int) -> datetime:
    """The UTC datetime `value` microseconds after 1970."""
    seconds, micros = divmod(value, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)


def _to_row(record: ConsentRecord) -> Row:
    return (
        record.consent_id,
        record.subject_id,
        record.bank_id,
        " ".join(sorted(record.purposes)),
        " ".join(sorted(record.scope)),
        to_micros(record.valid_from),
        to_micros(record.valid_until),
        None if record.withdrawn_at is None else to_micros(record.withdrawn_at),
    )


def _from_row(row: Row) -> ConsentRecord:
    return ConsentRecord(
        consent_id=row[0],
        subject_id=row[1],
        bank_id=row[2],
        purposes=frozenset(Purpose(p) for p in row[3].split()),
        scope=frozenset(DataScope(s) for s in row[4].split()),
        valid_from=from_micros(row[5]),
        valid_until=from_micros(row[6]),
        withdrawn_at=None if row[7] is None else from_micros(row[7]),
    )


class ConsentStore:
    """The consents a node knows. The caller owns the connection, its lock and its transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        connection.executescript(SCHEMA)

    def get(self, consent_id: str) -> ConsentRecord | None:
        """The consent with this id, or None."""
        row = self._db.execute(f"SELECT {COLUMNS} FROM consents WHERE consent_id = ?", (consent_id,)).fetchone()  # noqa: S608
        return None if row is None else _from_row(row)

    def add(self, record: ConsentRecord) -> ConsentRecord:
        """Store a consent; recording the same terms again returns what is stored. Raises `ConsentConflict`."""
        known = self.get(record.consent_id)
        if known is not None:
            require_same_terms(known, record)
            return known
        self.add_many([record])
        return record

    def add_many(self, records: Iterable[ConsentRecord]) -> None:
        """Store many new consents at once. Raises `sqlite3.IntegrityError` if one id is known already."""
        self._db.executemany(
            f"INSERT INTO consents ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (_to_row(record) for record in records),
        )

    def withdraw(self, consent_id: str, bank_id: str, at: datetime) -> ConsentRecord:
        """Mark a consent withdrawn at `at`; the first withdrawal stands. Raises `ConsentMissing`."""
        known = self.get(consent_id)
        if known is None or known.bank_id != bank_id:
            raise ConsentMissing("no such consent towards this bank", consent_id=consent_id)
        record = known.withdrawn(at)
        self._db.execute(
            "UPDATE consents SET withdrawn_at_us = ? WHERE consent_id = ?",
            (None if record.withdrawn_at is None else to_micros(record.withdrawn_at), consent_id),
        )
        return record

    def of_bank(self, bank_id: str, limit: int, after: str) -> list[ConsentRecord]:
        """Consents towards a bank in order of id, those after `after`, at most `limit`."""
        rows = self._db.execute(
            f"SELECT {COLUMNS} FROM consents WHERE bank_id = ? AND consent_id > ? ORDER BY consent_id LIMIT ?",  # noqa: S608
            (bank_id, after, limit),
        )
        return [_from_row(row) for row in rows]

    def of_subject(self, bank_id: str, subject_id: str) -> list[ConsentRecord]:
        """A subject's consents towards a bank, in order of id."""
        rows = self._db.execute(
            f"SELECT {COLUMNS} FROM consents WHERE bank_id = ? AND subject_id = ? ORDER BY consent_id",  # noqa: S608
            (bank_id, subject_id),
        )
        return [_from_row(row) for row in rows]

    def count_in_force(self, bank_id: str, at: datetime) -> int:
        """How many consents towards a bank cover `at` and are not withdrawn."""
        moment = to_micros(at)
        row = self._db.execute(
            "SELECT COUNT(*) FROM consents WHERE bank_id = ? AND valid_from_us <= ? AND valid_until_us > ?"
            " AND (withdrawn_at_us IS NULL OR withdrawn_at_us > ?)",
            (bank_id, moment, moment, moment),
        ).fetchone()
        return int(row[0])

    def subjects_allowing(self, bank_id: str | None, purpose: Purpose, scope: DataScope, at: datetime) -> set[str]:
        """Subjects with at least one consent towards `bank_id`, or any bank for None, that allows this use at `at`."""
        moment = to_micros(at)
        rows = self._db.execute(
            "SELECT DISTINCT subject_id FROM consents WHERE bank_id = COALESCE(?, bank_id)"
            " AND valid_from_us <= ? AND valid_until_us > ? AND (withdrawn_at_us IS NULL OR withdrawn_at_us > ?)"
            " AND ' ' || purposes || ' ' LIKE ? AND ' ' || scope || ' ' LIKE ?",
            (bank_id, moment, moment, moment, f"% {purpose} %", f"% {scope} %"),
        )
        return {row[0] for row in rows}
