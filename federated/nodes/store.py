"""One node's own SQLite file: its customers' files, labels (banks), consents, alignments and run state."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from federated.consent.instants import to_micros
from federated.consent.revocations import Revocations
from federated.consent.store import CONSENTS, IN_FORCE, ConsentStore
from federated.errors import (
    ConsentSignatureInvalid,
    CorruptData,
    DataMissing,
    NodeUnavailable,
    StoreOutdated,
    UseLogTampered,
)
from federated.models.encoding.ramps import FloatArray
from federated.nodes.checks import check_table
from federated.nodes.schema import FeatureSchema, schema_of

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE files (
  subject_id TEXT PRIMARY KEY, features BLOB NOT NULL, label INTEGER CHECK (label IN (0, 1)), fold INTEGER,
  read_from INTEGER, read_until INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE alignments (
  peer TEXT NOT NULL, position INTEGER NOT NULL, subject_id TEXT NOT NULL, PRIMARY KEY (peer, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
"""
# What a bank's node stated, with the reasons that it keeps to itself (`nodes.statements`).
STATEMENTS = """
CREATE TABLE IF NOT EXISTS statements (statement_id TEXT PRIMARY KEY, subject_id TEXT NOT NULL, kept TEXT NOT NULL)
  STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS statements_by_subject ON statements (subject_id);
"""
# For stores of before meters' readings had a period: days since 1970, both included, of a grid company's file.
PERIOD = ("read_from", "read_until")
# Places in an alignment are agreed with the peer: that of a customer who was deleted is left.
DELETED = ""
# Since format 2 consents are signed, and a store pins the key of the authority that attests its subjects' keys.
FORMAT = "2"


@dataclass(frozen=True, slots=True)
class Table:
    """A node's whole file, ordered by subject id: features (rows, columns), labels and folds (rows,), −1 = none."""

    subjects: tuple[str, ...]
    values: FloatArray
    labels: np.ndarray[tuple[int], np.dtype[np.int64]]
    folds: np.ndarray[tuple[int], np.dtype[np.int64]]


def table_digest(subjects: Sequence[str], values: FloatArray, labels: Sequence[int] | None) -> str:
    """SHA-256 (hex) of a table's ids, labels (−1 = none) and little-endian float64 features, in order of id."""
    digest = hashlib.sha256()
    for i in sorted(range(len(subjects)), key=lambda i: subjects[i]):
        label = -1 if labels is None else labels[i]
        digest.update(_hashed(subjects[i], label, np.ascontiguousarray(values[i], dtype="<f8").tobytes()))
    return digest.hexdigest()


def _hashed(subject: str, label: int | None, features: bytes) -> bytes:
    return f"{subject}\0{-1 if label is None else label}\0".encode() + features


# Rows that are hashed at a time.
DIGESTED = 20_000
# How a sandbox's older stores learn it.
# Under which key of run state the authority's list of revoked keys lies.
ENDED_KEYS = "revoked subject keys"
DESCRIBE = "run `tanxin describe-stores`"


def is_described(path: Path) -> bool:
    """Whether a store says what its columns are; one of an earlier version names a schema and does not hold it."""
    with closing(sqlite3.connect(path)) as db:
        meta = dict(db.execute("SELECT key, value FROM meta"))
    return "schema" in meta or "schema_id" not in meta


def describe_store(path: Path, schemas: Mapping[str, FeatureSchema]) -> None:
    """Write into a store that is not described what its columns are, by the schema id it names. Nothing else changes.

    Raises `StoreOutdated` if the id is not among `schemas`.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        ((schema_id,),) = db.execute("SELECT value FROM meta WHERE key = 'schema_id'")
        if schema_id not in schemas:
            raise StoreOutdated(f"{path.name} holds columns of {schema_id}, which nobody here knows", file=path.name)
        db.execute("INSERT INTO meta VALUES ('schema', ?)", (schemas[schema_id].text,))


def clear_digest(db: sqlite3.Connection) -> None:
    """In a transaction that changes rows of `files`: have their digest recomputed when it is asked for next."""
    db.execute("UPDATE meta SET value = '' WHERE key = 'data_sha256'")
    db.execute(
        "INSERT INTO meta VALUES ('changes', '1') ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1"
    )


def _settle_pragmas(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    # What is deleted or replaced is overwritten in its page; `NodeStore.scrub` clears what was moved about before.
    db.execute("PRAGMA secure_delete = ON")


def _add_periods(db: sqlite3.Connection) -> None:
    def there() -> set[str]:
        return {row[1] for row in db.execute("PRAGMA table_info(files)")}

    if set(PERIOD) <= there():
        return
    db.execute("BEGIN IMMEDIATE")
    for column in sorted(set(PERIOD) - there()):
        db.execute(f"ALTER TABLE files ADD COLUMN {column} INTEGER")
    db.execute("COMMIT")


class NodeStore:
    """Thread-safe access to one node's file: one connection behind a lock, one transaction a call."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise DataMissing(f"no node store at {path.name}", file=path.name)
        self.path = path
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30.0)
        try:
            _settle_pragmas(self._db)
            meta = dict(self._db.execute("SELECT key, value FROM meta"))
            if meta.get("format") != FORMAT and "org_id" in meta:
                raise StoreOutdated(f"{path.name} was written by another version; choose another home", file=path.name)
            self.authority: bytes = bytes.fromhex(meta["authority"])
            self.org_id: str = meta["org_id"]
            self.role: str = meta["role"]
            self.data_origin: str = meta["data_origin"]
            if "data_sha256" not in meta:
                raise KeyError("data_sha256")
            if "schema" not in meta:
                raise StoreOutdated(f"{path.name} does not say what its columns are: {DESCRIBE}", file=path.name)
            self.schema: FeatureSchema = schema_of(meta["schema"])
            _add_periods(self._db)
            self._db.executescript(STATEMENTS)
            self._consents = ConsentStore(self._db)
            self._consents.uses.verify()
            kept = self._db.execute("SELECT value FROM state WHERE key = ?", (ENDED_KEYS,)).fetchone()
            self._ended = None if kept is None else Revocations.read(bytes(kept[0]), self.authority)
        except (UseLogTampered, StoreOutdated):
            self._db.close()
            raise
        except (sqlite3.DatabaseError, KeyError, ValueError, ConsentSignatureInvalid) as error:
            self._db.close()
            raise CorruptData(f"{path.name} is not a node store: {error}", file=path.name) from error

    @staticmethod
    def create(
        path: Path,
        *,
        org_id: str,
        role: str,
        schema: FeatureSchema,
        data_origin: str,
        authority: bytes,
        subjects: Sequence[str],
        values: FloatArray,
        labels: Sequence[int] | None = None,
        folds: Sequence[int] | None = None,
    ) -> NodeStore:
        """Write a new store from a checked table; `authority` is the public key (32 bytes) that attests subjects' keys.

        Raises `CorruptData` or `SchemaMismatch` before writing.
        """
        check_table(org_id, schema.party(role).columns, subjects, values, labels)
        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            stale.unlink(missing_ok=True)
        order = sorted(range(len(subjects)), key=lambda i: subjects[i])
        packed = [np.ascontiguousarray(values[i], dtype="<f8").tobytes() for i in order]
        rows = (
            (subjects[i], blob, None if labels is None else int(labels[i]), None if folds is None else int(folds[i]))
            for i, blob in zip(order, packed, strict=True)
        )
        db = sqlite3.connect(path, isolation_level=None)
        try:
            db.executescript(TABLES)
            db.execute("BEGIN")
            db.executemany("INSERT INTO files (subject_id, features, label, fold) VALUES (?, ?, ?, ?)", rows)
            meta = {
                "format": FORMAT,
                "authority": authority.hex(),
                "org_id": org_id,
                "role": role,
                "schema_id": schema.schema_id,
                "schema": schema.text,
                "data_origin": data_origin,
                "data_sha256": table_digest(subjects, values, labels),
            }
            db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
            db.execute("COMMIT")
        finally:
            db.close()
        return NodeStore(path)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._db.close()

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own to this file, for work that takes long: this store answers others meanwhile.

        No transaction is open. Raises `NodeUnavailable` if the file cannot be read or written.
        """
        try:
            with closing(sqlite3.connect(self.path, isolation_level=None, timeout=30.0)) as db:
                _settle_pragmas(db)
                yield db
        except sqlite3.Error as error:
            raise NodeUnavailable(f"{self.org_id} cannot use its store", node=self.org_id) from error

    @property
    def data_sha256(self) -> str:
        """`table_digest` of what this node holds now.

        Whoever changes rows clears it (`clear_digest`), in the same transaction; it is recomputed when it is asked for
        next, from one snapshot, while others read and write. A million rows take about two seconds.
        """
        with self._held():
            rows = dict(self._db.execute("SELECT key, value FROM meta WHERE key IN ('data_sha256', 'changes')"))
        return str(rows["data_sha256"]) if rows.get("data_sha256") else self._digested()

    def _digested(self) -> str:
        digest = hashlib.sha256()
        with self.connected() as db:
            db.execute("BEGIN")
            ((changes,),) = db.execute("SELECT value FROM meta WHERE key = 'changes'").fetchall()
            rows = db.execute("SELECT subject_id, label, features FROM files ORDER BY subject_id")
            while some := rows.fetchmany(DIGESTED):
                digest.update(b"".join([_hashed(*row) for row in some]))
            db.execute("COMMIT")
            # Rows that somebody changed meanwhile have another digest.
            db.execute(
                "UPDATE meta SET value = ? WHERE key = 'data_sha256' AND"
                " (SELECT value FROM meta WHERE key = 'changes') = ?",
                (digest.hexdigest(), changes),
            )
        return digest.hexdigest()

    @contextmanager
    def _held(self) -> Iterator[None]:
        """The connection, for one thread at a time. Raises `NodeUnavailable` if the file cannot be read or written."""
        with self._lock:
            try:
                yield
            except sqlite3.IntegrityError:
                raise
            except sqlite3.Error as error:
                raise NodeUnavailable(f"{self.org_id} cannot use its store", node=self.org_id) from error

    @property
    def ended_keys(self) -> Revocations | None:
        """The identity authority's list of revoked keys, as it was taken last; None where none was."""
        return self._ended

    def keep_ended_keys(self, ended: Revocations) -> None:
        """Keep a list in place of an earlier one; the latest of two that come at once stays."""
        with self._held():
            if self._ended is None or ended.number > self._ended.number:
                self.put_state({ENDED_KEYS: ended.written()})
                self._ended = ended

    @contextmanager
    def consents(self, *, write: bool = False) -> Iterator[ConsentStore]:
        """The consents of this node inside one transaction."""
        with self._held():
            self._db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield self._consents
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def subjects(self, limit: int, after: str) -> list[str]:
        """Subject ids in order, those after `after`, at most `limit`."""
        query = "SELECT subject_id FROM files WHERE subject_id > ? ORDER BY subject_id LIMIT ?"
        with self._held():
            return [row[0] for row in self._db.execute(query, (after, limit))]

    def count(self) -> int:
        """How many subjects this node has a file of."""
        with self._held():
            return int(self._db.execute("SELECT COUNT(*) FROM files").fetchone()[0])

    def own_consented(self, bank_id: str, at: datetime) -> int:
        """Of how many subjects with a file here a consent towards a bank covers `at` and is not withdrawn."""
        query = (
            f"SELECT COUNT(DISTINCT c.subject_id) FROM {CONSENTS} JOIN files f ON f.subject_id = c.subject_id"  # noqa: S608
            f" WHERE c.bank_id = ? AND {IN_FORCE}"
        )
        with self._held():
            return int(self._db.execute(query, (bank_id, *[to_micros(at)] * 2)).fetchone()[0])

    def values_of(self, subject_id: str) -> FloatArray | None:
        """One subject's features (columns,), or None if this node has no file of the subject."""
        with self._held():
            row = self._db.execute("SELECT features FROM files WHERE subject_id = ?", (subject_id,)).fetchone()
        return None if row is None else self._unpack([row[0]])[0]

    def table(self) -> Table:
        """The whole file of this node."""
        with self._held():
            rows = self._db.execute(
                "SELECT subject_id, features, label, fold FROM files ORDER BY subject_id"
            ).fetchall()
        values = self._unpack([row[1] for row in rows])
        labels = np.array([-1 if row[2] is None else row[2] for row in rows], dtype=np.int64)
        folds = np.array([-1 if row[3] is None else row[3] for row in rows], dtype=np.int64)
        return Table(tuple(row[0] for row in rows), values, labels, folds)

    def _unpack(self, blobs: Sequence[bytes]) -> FloatArray:
        """Stored files as (files, columns). Raises `CorruptData` naming the column of an infinite value."""
        columns = self.schema.party(self.role).columns
        if any(len(blob) != 8 * len(columns) for blob in blobs):
            raise CorruptData(f"{self.org_id}: a stored file has the wrong length", party=self.org_id)
        values = np.frombuffer(b"".join(blobs), dtype="<f8").astype(np.float64).reshape(len(blobs), len(columns))
        for j in np.flatnonzero(np.isinf(values).any(axis=0)):
            column = columns[int(j)]
            raise CorruptData(
                f"{self.org_id}: column {column} holds an infinite value", party=self.org_id, column=column
            )
        return values

    def subject_ids(self) -> frozenset[str]:
        """Everyone of whom this node has a file."""
        with self._held():
            return frozenset(row[0] for row in self._db.execute("SELECT subject_id FROM files"))

    def put_alignment(self, peer: str, subjects: Sequence[str]) -> None:
        """Replace the ordered intersection shared with `peer`.

        Who was deleted while it was agreed on, or has no file for another reason, has a place in it and no id.
        """
        with self._transaction():
            self._db.execute("DELETE FROM alignments WHERE peer = ?", (peer,))
            rows = ((peer, i, subject, DELETED) for i, subject in enumerate(subjects))
            self._db.executemany(
                "INSERT INTO alignments VALUES"
                " (?1, ?2, COALESCE((SELECT subject_id FROM files WHERE subject_id = ?3), ?4))",
                rows,
            )

    def alignment(self, peer: str) -> tuple[str, ...]:
        """Own subject ids in the order agreed with `peer`, `DELETED` where one was since; empty if none was agreed."""
        query = "SELECT subject_id FROM alignments WHERE peer = ? ORDER BY position"
        with self._held():
            return tuple(row[0] for row in self._db.execute(query, (peer,)))

    def peers(self) -> tuple[str, ...]:
        """Parties with which an alignment exists, in order."""
        with self._held():
            return tuple(row[0] for row in self._db.execute("SELECT DISTINCT peer FROM alignments ORDER BY peer"))

    def put_state(self, entries: Mapping[str, bytes]) -> None:
        """Keep the node's own run state (for example its PSI key of one session)."""
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", entries.items())

    def first_state(self, key: str, value: bytes) -> bytes:
        """Keep `value` under `key` unless something is kept there; what is kept there then."""
        with self._held():
            self._db.execute("INSERT OR IGNORE INTO state VALUES (?, ?)", (key, value))
            return bytes(self._db.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()[0])

    def change_state(self, change: Callable[[Mapping[str, bytes]], Mapping[str, bytes]]) -> None:
        """Change run state in one transaction, the one that is open if one is: `change` is given all of it.

        What it answers is kept; nothing is if it raises.
        """
        with self._held(), nullcontext() if self._db.in_transaction else self._transaction():
            rows = {key: bytes(value) for key, value in self._db.execute("SELECT key, value FROM state")}
            self._db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", change(rows).items())

    def scrub(self) -> bool:
        """Write the file anew, so that nothing is left in it of rows that were replaced; whether that was possible.

        It is not inside a transaction, while another connection reads or writes for long, or on a full disk. What a
        file system keeps of the blocks that it gave the file before is beyond this.
        """
        with self._lock:
            try:
                self._db.execute("VACUUM")
                busy = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            except sqlite3.OperationalError:
                return False
            return not busy

    def state(self, key: str) -> bytes | None:
        """Run state under `key`, or None."""
        with self._held():
            row = self._db.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def states(self, prefix: str) -> dict[str, bytes]:
        """Run state under keys that begin with `prefix`, by the rest of the key."""
        with self._held():
            rows = self._db.execute("SELECT key, value FROM state WHERE substr(key, 1, ?) = ?", (len(prefix), prefix))
            return {str(key)[len(prefix) :]: bytes(value) for key, value in rows}

    def drop_state(self, keys: Iterable[str]) -> None:
        """Forget run state."""
        with self._transaction():
            self._db.executemany("DELETE FROM state WHERE key = ?", ((key,) for key in keys))

    def keep_statement(self, statement_id: str, subject_id: str, kept: str) -> None:
        """Keep a statement about a subject, as JSON; each id once."""
        with self._transaction():
            self._db.execute("INSERT INTO statements VALUES (?, ?, ?)", (statement_id, subject_id, kept))

    def kept_statement(self, statement_id: str) -> str | None:
        """A statement that was kept, or None."""
        with self._held():
            row = self._db.execute("SELECT kept FROM statements WHERE statement_id = ?", (statement_id,)).fetchone()
        return None if row is None else str(row[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self.consents(write=True):
            yield
