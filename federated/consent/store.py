"""Consents inside one node's own SQLite file, with their signatures; withdrawals are read from the log of uses."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Set
from contextlib import suppress
from datetime import datetime
from typing import cast

from federated.consent.instants import from_micros, to_micros
from federated.consent.record import ConsentRecord, DataScope, KeyAttestation, Purpose, require_same_terms, utc
from federated.consent.revocations import Revocations
from federated.consent.signature import require_signed_withdrawal, signed
from federated.consent.uses import Action, Use, UseLog
from federated.errors import ConsentMissing, ConsentSignatureInvalid, InvalidConsent

SCHEMA = """
CREATE TABLE IF NOT EXISTS consents (
  consent_id TEXT PRIMARY KEY, subject_id TEXT NOT NULL, bank_id TEXT NOT NULL,
  purposes TEXT NOT NULL, scope TEXT NOT NULL,
  valid_from_us INTEGER NOT NULL, valid_until_us INTEGER NOT NULL,
  signature BLOB NOT NULL, public_key BLOB NOT NULL,
  key_from_us INTEGER NOT NULL, key_until_us INTEGER NOT NULL, key_signature BLOB NOT NULL,
  grid_id TEXT NOT NULL DEFAULT '',
  CHECK (valid_until_us > valid_from_us)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS consents_by_subject ON consents (bank_id, subject_id);
CREATE TABLE IF NOT EXISTS undelivered (peer TEXT NOT NULL, consent_id TEXT NOT NULL, PRIMARY KEY (peer, consent_id))
  STRICT, WITHOUT ROWID;
"""
STORED = (
    "consent_id, subject_id, bank_id, purposes, scope, valid_from_us, valid_until_us, signature, public_key,"
    " key_from_us, key_until_us, key_signature, grid_id"
)
COLUMNS = (
    "c.consent_id, c.subject_id, c.bank_id, c.purposes, c.scope, c.valid_from_us, c.valid_until_us, c.signature,"
    " c.public_key, c.key_from_us, c.key_until_us, c.key_signature, c.grid_id, w.at_us, w.organisation"
)
CONSENTS = "consents c LEFT JOIN uses w ON w.consent_id = c.consent_id AND w.action = 'withdrawal'"
# For stores of before consents named a grid company: theirs name none.
NAMING = "ALTER TABLE consents ADD COLUMN grid_id TEXT NOT NULL DEFAULT ''"
# A withdrawal counts from the moment it is known, whatever instant is asked about: that instant is the asker's word,
# and an earlier one must not bring a withdrawn consent back.
IN_FORCE = "c.valid_from_us <= ? AND c.valid_until_us > ? AND w.at_us IS NULL"
UNSIGNED = "unsigned"
Stored = tuple[str, str, str, str, str, int, int, bytes, bytes, int, int, bytes, str]
Row = tuple[str, str, str, str, str, int, int, bytes, bytes, int, int, bytes, str, int | None, str | None]


def _to_row(record: ConsentRecord) -> Stored:
    if record.key is None or not record.signature:
        raise ConsentSignatureInvalid("a draft is not stored", consent_id=record.consent_id)
    return (
        record.consent_id,
        record.subject_id,
        record.bank_id,
        " ".join(sorted(record.purposes)),
        " ".join(sorted(record.scope)),
        to_micros(record.valid_from),
        to_micros(record.valid_until),
        record.signature,
        record.key.public_key,
        to_micros(record.key.valid_from),
        to_micros(record.key.valid_until),
        record.key.signature,
        record.grid_id,
    )


def _from_row(row: Row) -> ConsentRecord:
    """A stored consent. Raises `ConsentSignatureInvalid` for a row that holds what no consent can say."""
    try:
        return ConsentRecord(
            consent_id=row[0],
            subject_id=row[1],
            bank_id=row[2],
            # The record makes what they are called into what they are.
            purposes=cast(frozenset[Purpose], frozenset(row[3].split())),
            scope=cast(frozenset[DataScope], frozenset(row[4].split())),
            valid_from=from_micros(row[5]),
            valid_until=from_micros(row[6]),
            signature=row[7],
            key=KeyAttestation(row[1], row[8], from_micros(row[9]), from_micros(row[10]), row[11]),
            withdrawn_at=None if row[13] is None else from_micros(row[13]),
            withdrawn_by=row[14] or "",
            grid_id=row[12],
        )
    except (ValueError, OverflowError, OSError, InvalidConsent) as error:
        raise ConsentSignatureInvalid("a stored consent is not what was signed", consent_id=row[0]) from error


class ConsentStore:
    """The consents a node knows, and its log of uses. The caller owns the connection, its lock and its transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.uses = UseLog(connection)
        connection.executescript(SCHEMA)
        if "grid_id" not in {row[1] for row in connection.execute("PRAGMA table_info(consents)")}:
            connection.execute(NAMING)

    def get(self, consent_id: str) -> ConsentRecord | None:
        """The consent with this id, or None. Raises `ConsentSignatureInvalid` for a row that cannot be one."""
        row = self._db.execute(f"SELECT {COLUMNS} FROM {CONSENTS} WHERE c.consent_id = ?", (consent_id,)).fetchone()  # noqa: S608
        return None if row is None else _from_row(row)

    def add(self, record: ConsentRecord) -> ConsentRecord:
        """Store a consent; recording the same terms again returns what is stored, withdrawn if it was.

        Raises `ConsentConflict`, `ConsentSignatureInvalid` for a draft.
        """
        known = self.get(record.consent_id)
        if known is not None:
            require_same_terms(known, record)
            return known
        self.add_many([record])
        return self.get(record.consent_id) or record

    def add_many(self, records: Iterable[ConsentRecord]) -> None:
        """Store many new consents at once. Raises `sqlite3.IntegrityError` if one id is known already."""
        self._db.executemany(
            f"INSERT INTO consents ({STORED}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (_to_row(each) for each in records),
        )

    def withdraw(self, consent_id: str, bank_id: str, at: datetime, by: str, signature: bytes = b"") -> ConsentRecord:
        """Withdraw a consent from `at` on, on the word of `by`; the first withdrawal stands.

        Without the subject's signature too: that can only stop uses. Raises `ConsentMissing`, and
        `ConsentSignatureInvalid` for a signature that is not the subject's.
        """
        known = self.get(consent_id)
        if known is None or known.bank_id != bank_id:
            raise ConsentMissing("no such consent towards this bank", consent_id=consent_id)
        if signature:
            require_signed_withdrawal(known, signature)
        if known.withdrawn_at is None:
            outcome = signature.hex() or UNSIGNED
            self.uses.append(Use(utc(at), Action.WITHDRAWAL, by, "", outcome, known.subject_id, consent_id))
        return known.withdrawn(at, by)

    def owe(self, peers: Iterable[str], consent_id: str) -> None:
        """Note that these nodes have to be told of a withdrawal."""
        rows = ((peer, consent_id) for peer in peers)
        self._db.executemany("INSERT OR IGNORE INTO undelivered VALUES (?, ?)", rows)

    def owed(self) -> list[tuple[str, str]]:
        """Withdrawals that other nodes were not told of yet: (node, consent id), in order."""
        return list(self._db.execute("SELECT peer, consent_id FROM undelivered ORDER BY peer, consent_id"))

    def settle(self, told: Iterable[tuple[str, str]]) -> None:
        """Note that nodes were told: (node, consent id)."""
        self._db.executemany("DELETE FROM undelivered WHERE peer = ? AND consent_id = ?", told)

    def withdrawal_signature(self, consent_id: str) -> bytes:
        """The subject's signature under a withdrawal; empty if there is no withdrawal, or an unsigned one."""
        row = self._db.execute(
            "SELECT outcome FROM uses WHERE action = 'withdrawal' AND consent_id = ?", (consent_id,)
        ).fetchone()
        return b"" if row is None or row[0] == UNSIGNED else bytes.fromhex(row[0])

    def of_bank(self, bank_id: str, limit: int, after: str) -> list[ConsentRecord]:
        """Consents towards a bank in order of id, those after `after`, at most `limit`; unreadable rows left out."""
        return self._records("c.bank_id = ? AND c.consent_id > ?", (bank_id, after), limit)

    def of_subject(self, bank_id: str, subject_id: str) -> list[ConsentRecord]:
        """A subject's consents towards a bank, in order of id; unreadable rows left out."""
        return self._records("c.bank_id = ? AND c.subject_id = ?", (bank_id, subject_id))

    def count_in_force(self, bank_id: str, at: datetime) -> int:
        """How many consents towards a bank cover `at` and are not withdrawn."""
        query = f"SELECT COUNT(*) FROM {CONSENTS} WHERE c.bank_id = ? AND {IN_FORCE}"  # noqa: S608
        return int(self._db.execute(query, (bank_id, *[to_micros(at)] * 2)).fetchone()[0])

    def allowing(
        self,
        bank_id: str | None,
        purpose: Purpose,
        scopes: Set[DataScope],
        at: datetime,
        authority: bytes,
        ended: Revocations | None,
        among: Set[str],
        grid_id: str = "",
    ) -> dict[str, ConsentRecord]:
        """Of the subjects `among`, those with a signed consent that allows this use at `at`, and that consent.

        Towards `bank_id`, or any bank for None; with a `grid_id` only consents that open electricity data there. Where
        several allow it, one that names a grid company counts before one that names none, then the one that lasts
        longest, of these the one with the last id: two nodes that hold the same consents choose the same. Rows that are
        not signed, or with a key that is on the list `ended`, open nothing. Raises `ConsentSignatureInvalid` for a list
        that is over.
        """
        if ended is not None:
            ended.require_current(at)
        in_force = self._in_force(bank_id, purpose, scopes, at, among)
        if grid_id:
            in_force = [record for record in in_force if record.opens(DataScope.ELECTRICITY, grid_id)]
        good = [record for record, fine in zip(in_force, signed(in_force, authority), strict=True) if fine]
        good = [record for record in good if record.key and record.key.valid_from <= utc(at) < record.key.valid_until]
        if ended is not None:
            good = [record for record in good if not ended.ends(record.public_key)]
        good.sort(key=lambda record: (bool(record.grid_id), record.valid_until, record.consent_id))
        return {record.subject_id: record for record in good}

    def _in_force(
        self, bank_id: str | None, purpose: Purpose, scopes: Set[DataScope], at: datetime, among: Set[str]
    ) -> list[ConsentRecord]:
        covered = "".join(" AND ' ' || c.scope || ' ' LIKE ?" for _ in scopes)
        where = f"c.bank_id = COALESCE(?, c.bank_id) AND {IN_FORCE} AND ' ' || c.purposes || ' ' LIKE ?{covered}"
        words = [f"% {word} %" for word in (purpose, *sorted(scopes))]
        return self._records(where, (bank_id, *[to_micros(at)] * 2, *words), among=among)

    def _records(
        self, where: str, values: tuple[object, ...], limit: int = -1, among: Set[str] | None = None
    ) -> list[ConsentRecord]:
        query = f"SELECT {COLUMNS} FROM {CONSENTS} WHERE {where} ORDER BY c.consent_id"  # noqa: S608
        records: list[ConsentRecord] = []
        for row in self._db.execute(query, values):
            # Counted here, not by the query: an unreadable row would take the place of a readable one.
            if len(records) == limit:
                break
            if among is not None and row[1] not in among:
                continue
            with suppress(ConsentSignatureInvalid):
                records.append(_from_row(row))
        return records
