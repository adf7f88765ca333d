"""Customers who arrive, change and leave: whole batches, in columns, in one transaction of a node's own store.

A load puts the files of many customers into a store: who is not there is added, who is there is replaced whole, nobody
else is touched. A correction is the same. What arrives is checked and gathered first, in memory and in no file, while
the node goes on answering; it is then written at once, in order of id, or not at all. Outcomes can come with a load or
later. A new customer's fold follows from its id alone, so it is the same in whatever order customers and outcomes come.

A deletion (PIPL, article 47) takes a customer's file, outcome and places in alignments out of this store, and writes
the store's file anew, so that nothing is left in its free pages or its `-wal`. It names what it does not reach, with
the reason: what has to be kept as evidence, what protects the deleted one, and what is not this node's.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from federated.consent.instants import system_clock
from federated.consent.record import utc
from federated.errors import CorruptData, InvalidTime, NotPermitted, SchemaMismatch
from federated.models.encoding.ramps import FloatArray
from federated.nodes.bank import BankNode
from federated.nodes.keys import TO_SCRUB
from federated.nodes.row_sets import NAME, last_about, within
from federated.nodes.store import DELETED, NodeStore, clear_digest

IntArray = NDArray[np.int64]
FOLDS = 5
FOLD_DOMAIN = b"tanxin/fold/v1\0"
ID, OUTCOME, READ_FROM, READ_UNTIL = "subject_id", "outcome", "read_from", "read_until"
# What the API takes, and so what can be asked about.
ID_MAX = 64
ID_FORM = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
ID_LINES = re.compile(r"(?:[A-Za-z0-9_.:-]{1,64}\n)*+[A-Za-z0-9_.:-]{1,64}")
EPOCH = date(1970, 1, 1)
UNKNOWN = -1
ARRIVED = """
CREATE TEMP TABLE arrived (
  subject_id TEXT PRIMARY KEY, line INTEGER NOT NULL, features BLOB, label INTEGER, fold INTEGER, read_from INTEGER,
  read_until INTEGER
) STRICT, WITHOUT ROWID
"""
PUT = """
INSERT INTO files (subject_id, features, label, fold, read_from, read_until)
SELECT subject_id, features, label, fold, read_from, read_until FROM temp.arrived WHERE TRUE ORDER BY subject_id
ON CONFLICT (subject_id) DO UPDATE SET
  features = excluded.features, label = IIF(?1, excluded.label, label), read_from = excluded.read_from,
  read_until = excluded.read_until
WHERE features IS NOT excluded.features OR (?1 AND label IS NOT excluded.label)
  OR read_from IS NOT excluded.read_from OR read_until IS NOT excluded.read_until
"""
# Named by the first lines that are wrong.
EARLIER = (
    "SELECT a.line FROM temp.arrived a JOIN files f ON f.subject_id = a.subject_id AND f.read_until > a.read_until"
    " ORDER BY a.line LIMIT 1"
)
STRANGERS = (
    "SELECT a.line FROM temp.arrived a WHERE NOT EXISTS (SELECT 1 FROM files f WHERE f.subject_id = a.subject_id)"
    " ORDER BY a.line LIMIT 1"
)
SETTLE = (
    "UPDATE files SET label = a.label FROM temp.arrived a"
    " WHERE a.subject_id = files.subject_id AND files.label IS NOT a.label"
)
# Columns of `arrived` beside id and line.
STAGED = 5
AMONG = "IN (SELECT subject_id FROM temp.arrived)"
Stage = Callable[[sqlite3.Connection], int]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some customers' files: `values` (rows, columns of the party) with NaN = missing, `lines` their place in a file.

    `outcomes` (rows,): 0 = paid, 1 = defaulted, −1 = not known; None where they are left as they are. `read_from` and
    `read_until` (rows,) are the first and the last day that a grid company's values are of, in days since 1970.
    """

    subjects: Sequence[str]
    values: FloatArray
    lines: Sequence[int]
    outcomes: IntArray | None = None
    read_from: IntArray | None = None
    read_until: IntArray | None = None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Some customers' `outcomes` (rows,): 0 = paid, 1 = defaulted, −1 = not known. `lines` are as in `Batch`."""

    subjects: Sequence[str]
    outcomes: IntArray
    lines: Sequence[int]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did: `rows` that arrived, of them `added`, `changed` and `unchanged`; `customers` there are now.

    `others_waited_s` is how long the store could not be written by anybody else; `data_sha256` is of the new content.
    """

    party: str
    rows: int
    added: int
    changed: int
    unchanged: int
    customers: int
    others_waited_s: float
    data_sha256: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What a deletion does not reach: `what`, how many pieces (None: cannot be counted from here), `why`, and `until`
    when where that is known."""

    what: str
    count: int | None
    why: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a deletion did: files `deleted`, those asked for that had no file (`unknown`), `places` that were cleared in
    alignments by peer, whether nothing is left in free pages (`scrubbed`; otherwise the next use of the store tries
    again, and so does asking again), and what is `kept`."""

    party: str
    deleted: int
    unknown: tuple[str, ...]
    places: dict[str, int]
    scrubbed: bool
    kept: tuple[Kept, ...]
    customers: int
    data_sha256: str


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a store holds, in numbers: no row, no id. `outcomes` and `folds` are counts by value (−1 = none)."""

    party: str
    role: str
    schema_id: str
    schema_version: str
    data_origin: str
    columns: tuple[str, ...]
    customers: int
    outcomes: dict[str, int]
    folds: dict[str, int]
    read_from: str | None
    read_until: str | None
    without_period: int
    alignments: dict[str, int]
    consents: int
    uses: int
    data_sha256: str = field(repr=False)


def folds_of(subjects: Sequence[str]) -> IntArray:
    """The folds (rows,), 0 to 4, of customers who arrive: each by its id, whoever arrived before and however loans
    end."""
    raw = b"".join([hashlib.sha256(FOLD_DOMAIN + subject.encode()).digest()[:8] for subject in subjects])
    return (np.frombuffer(raw, dtype=">u8") % FOLDS).astype(np.int64)


def load_customers(store: NodeStore, batches: Iterable[Batch], at: datetime | None = None) -> Loaded:
    """Add or replace the files of customers, all batches or none.

    `at` is the node's own time (its clock's if not given): no reading is of a later day. Raises `SchemaMismatch`,
    `CorruptData` naming party, column and line, `InvalidTime` for readings of the future or of before those that are
    there, `NodeUnavailable`; whatever `batches` raises leaves the store as it was.
    """
    today = _days(utc(system_clock() if at is None else at).date())
    with_outcomes: set[bool] = set()

    def stage(db: sqlite3.Connection) -> int:
        rows = 0
        for batch in batches:
            _require_good(store, batch, today)
            with_outcomes.add(batch.outcomes is not None)
            if len(with_outcomes) > 1:
                detail = f"{store.org_id}: some batches come with outcomes and some without"
                raise SchemaMismatch(detail, party=store.org_id, column=OUTCOME)
            none = [None] * len(batch.subjects)
            _stage(
                store,
                db,
                batch.subjects,
                batch.lines,
                _packed(batch.values),
                none if batch.outcomes is None else _labels(batch.outcomes),
                folds_of(batch.subjects).tolist() if store.role == "bank" else none,
                none if batch.read_from is None else batch.read_from.tolist(),
                none if batch.read_until is None else batch.read_until.tolist(),
            )
            rows += len(batch.subjects)
        return rows

    def put(db: sqlite3.Connection) -> int:
        if store.role == "grid" and (line := _first(db, EARLIER)) is not None:
            detail = f"{store.org_id}: line {line} has readings of before those that are there"
            raise InvalidTime(detail, party=store.org_id, column=READ_UNTIL, line=line)
        return db.execute(PUT, (True in with_outcomes,)).rowcount

    return _changed(store, stage, put)


def set_outcomes(store: NodeStore, batches: Iterable[Outcomes]) -> Loaded:
    """Set, correct or (−1) take back how customers' loans ended, all batches or none; values stay as they are.

    Raises `NotPermitted` at a grid company, `CorruptData` naming line and column, also for a customer without a file,
    `NodeUnavailable`.
    """
    if store.role != "bank":
        raise NotPermitted(f"{store.org_id} is a {store.role}: it keeps no outcomes", node=store.org_id)

    def stage(db: sqlite3.Connection) -> int:
        rows = 0
        for batch in batches:
            _require_ids(store, batch.subjects, batch.lines)
            _require_outcomes(store, batch.outcomes, batch.lines)
            _stage(store, db, batch.subjects, batch.lines, [None] * len(batch.subjects), _labels(batch.outcomes))
            rows += len(batch.subjects)
        return rows

    def put(db: sqlite3.Connection) -> int:
        if (line := _first(db, STRANGERS)) is not None:
            _refuse(store, OUTCOME, line, "is the outcome of a customer without a file here")
        return db.execute(SETTLE).rowcount

    return _changed(store, stage, put)


def delete_customers(store: NodeStore, subjects: Sequence[str], at: datetime | None = None) -> Deletion:
    """Delete what this node holds of customers, and name what is left of them. Safe to ask again.

    `at` is the node's own time. Raises `CorruptData` for what is no id or is named twice, `NodeUnavailable`.
    """
    now = utc(system_clock() if at is None else at)
    lines = range(1, len(subjects) + 1)
    _require_ids(store, subjects, lines)
    with store.connected() as db:
        _prepare(db)
        _stage(store, db, subjects, lines)
        with _writing(db):
            unknown = [
                row[0]
                for row in db.execute(
                    "SELECT subject_id FROM temp.arrived a WHERE NOT EXISTS"
                    " (SELECT 1 FROM files f WHERE f.subject_id = a.subject_id) ORDER BY line"
                )
            ]
            query = f"SELECT peer, COUNT(*) FROM alignments WHERE subject_id {AMONG} GROUP BY peer"
            places = dict(db.execute(query))
            kept = _left_behind(store, db, subjects, places, now)
            deleted = db.execute(f"DELETE FROM files WHERE subject_id {AMONG}").rowcount
            db.execute(f"DELETE FROM statements WHERE subject_id {AMONG}")
            db.execute(f"UPDATE alignments SET subject_id = ? WHERE subject_id {AMONG}", (DELETED,))
            cleared = _clear_orders(db, frozenset(subjects))
            if deleted:
                clear_digest(db)
            if deleted or places or cleared:
                # A kill after this transaction leaves what says that old pages are still to be cleared.
                db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (TO_SCRUB, b"1"))
            customers = _count(db)
    scrubbed = store.state(TO_SCRUB) is None or store.scrub()
    if scrubbed:
        store.drop_state([TO_SCRUB])
    return Deletion(store.org_id, deleted, tuple(unknown), places, scrubbed, tuple(kept), customers, store.data_sha256)


def holdings(store: NodeStore) -> Holdings:
    """What a store holds, in numbers, from one snapshot. Raises `NodeUnavailable`."""
    with store.connected() as db:
        db.execute("BEGIN")
        outcomes = db.execute("SELECT COALESCE(label, -1), COUNT(*) FROM files GROUP BY 1 ORDER BY 1").fetchall()
        folds = db.execute("SELECT COALESCE(fold, -1), COUNT(*) FROM files GROUP BY 1 ORDER BY 1").fetchall()
        ((first, last, without),) = db.execute(
            "SELECT MIN(read_from), MAX(read_until), COUNT(*) FILTER (WHERE read_until IS NULL) FROM files"
        ).fetchall()
        alignments = dict(db.execute("SELECT peer, COUNT(*) FROM alignments GROUP BY peer ORDER BY peer"))
        consents, uses = _number(db, "SELECT COUNT(*) FROM consents"), _number(db, "SELECT COUNT(*) FROM uses")
        customers = _count(db)
        db.execute("COMMIT")
    schema = store.schema
    return Holdings(
        party=store.org_id,
        role=store.role,
        schema_id=schema.schema_id,
        schema_version=schema.version,
        data_origin=store.data_origin,
        columns=schema.party(store.role).columns,
        customers=customers,
        outcomes={str(value): count for value, count in outcomes},
        folds={str(value): count for value, count in folds},
        read_from=_day(first),
        read_until=_day(last),
        without_period=without,
        alignments=alignments,
        consents=consents,
        uses=uses,
        data_sha256=store.data_sha256,
    )


def _changed(store: NodeStore, stage: Stage, put: Stage) -> Loaded:
    """Gather what arrives, then write it in one transaction. `put` answers how many files it wrote."""
    with store.connected() as db:
        _prepare(db)
        rows = stage(db)
        if not rows:
            raise CorruptData(f"{store.org_id}: no rows", party=store.org_id)
        with _writing(db):
            began = time.monotonic()
            before = _count(db)
            written = put(db)
            customers = _count(db)
            if written:
                clear_digest(db)
        waited = time.monotonic() - began
        # A million rows are as much again in the `-wal`; whoever reads an older snapshot is not waited for.
        db.execute("PRAGMA wal_checkpoint(PASSIVE)")
    added = customers - before
    return Loaded(store.org_id, rows, added, written - added, rows - written, customers, waited, store.data_sha256)


def _prepare(db: sqlite3.Connection) -> None:
    # What is refused, or was on its way when the process was killed, never was in a file.
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute(ARRIVED)


@contextmanager
def _writing(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _stage(
    store: NodeStore,
    db: sqlite3.Connection,
    subjects: Sequence[str],
    lines: Sequence[int],
    *columns: Iterable[bytes | int | None],
) -> None:
    """Gather rows: features, label, fold and period where they are given, None in place of what is not."""
    given = [*columns, *[[None] * len(subjects)] * (STAGED - len(columns))]
    try:
        # Deferred, and of the temporary table alone: nobody waits for it.
        db.execute("BEGIN")
        rows = zip(subjects, lines, *given, strict=True)
        db.executemany("INSERT INTO temp.arrived VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        db.execute("COMMIT")
    except sqlite3.IntegrityError:
        db.execute("ROLLBACK")
        first: dict[str, int] = {}
        for subject, line in zip(subjects, lines, strict=True):
            found = db.execute("SELECT line FROM temp.arrived WHERE subject_id = ?", (subject,)).fetchone()
            if found is not None or subject in first:
                earlier = first[subject] if found is None else found[0]
                _refuse(store, ID, line, f"has the id of line {earlier} again")
            first[subject] = line
        raise


def _labels(outcomes: IntArray) -> list[int | None]:
    return [None if outcome == UNKNOWN else outcome for outcome in outcomes.tolist()]


def _packed(values: FloatArray) -> Iterator[bytes]:
    """Each row's values as they are stored: one form of a missing one, because the digest is over these bytes."""
    rows, width = values.shape[0], 8 * values.shape[1]
    raw = np.where(np.isnan(values), np.nan, values).astype("<f8").tobytes()
    return (raw[i : i + width] for i in range(0, width * rows, width))


def _require_good(store: NodeStore, batch: Batch, today: int) -> None:
    columns = store.schema.party(store.role).columns
    if batch.values.shape != (len(batch.subjects), len(columns)):
        detail = f"{store.org_id}: expected {len(columns)} columns for {len(batch.subjects)} rows"
        raise SchemaMismatch(f"{detail}, got {batch.values.shape}", party=store.org_id)
    _require_ids(store, batch.subjects, batch.lines)
    for i, j in np.argwhere(np.isinf(batch.values))[:1]:
        _refuse(store, columns[int(j)], batch.lines[int(i)], "is not a finite number")
    if store.role == "bank":
        if batch.outcomes is not None:
            _require_outcomes(store, batch.outcomes, batch.lines)
        return
    if batch.outcomes is not None:
        raise SchemaMismatch(f"{store.org_id} keeps no outcomes", party=store.org_id, column=OUTCOME)
    _require_period(store, batch, today)


def _require_ids(store: NodeStore, subjects: Sequence[str], lines: Sequence[int]) -> None:
    joined = "\n".join(subjects)
    if joined.count("\n") == len(subjects) - 1 and ID_LINES.fullmatch(joined):
        return
    for subject, line in zip(subjects, lines, strict=True):
        if not ID_FORM.fullmatch(subject):
            _refuse(store, ID, line, f"is no id: 1 to {ID_MAX} letters, digits and . : _ -")


def _require_outcomes(store: NodeStore, outcomes: IntArray, lines: Sequence[int]) -> None:
    if len(outcomes) != len(lines):
        raise CorruptData(f"{store.org_id}: {len(outcomes)} outcomes for {len(lines)} rows", party=store.org_id)
    for i in np.flatnonzero((outcomes < UNKNOWN) | (outcomes > 1))[:1]:
        _refuse(store, OUTCOME, lines[int(i)], "is neither 0 nor 1 nor empty")


def _require_period(store: NodeStore, batch: Batch, today: int) -> None:
    first, last, rows = batch.read_from, batch.read_until, len(batch.subjects)
    if first is None or last is None or not len(first) == len(last) == rows:
        detail = f"{store.org_id}: values of meters come with the days that they are of ({READ_FROM}, {READ_UNTIL})"
        raise SchemaMismatch(detail, party=store.org_id, column=READ_UNTIL)
    for i in np.flatnonzero(first > last)[:1]:
        _refuse(store, READ_FROM, batch.lines[int(i)], f"is after its {READ_UNTIL}")
    for i in np.flatnonzero(last > today)[:1]:
        line = batch.lines[int(i)]
        detail = f"{store.org_id}: line {line} has readings of the future"
        raise InvalidTime(detail, party=store.org_id, column=READ_UNTIL, line=line)


def _refuse(store: NodeStore, column: str, line: int, what: str) -> NoReturn:
    # The line and not what stands there: it may be about somebody.
    detail = f"{store.org_id}: column {column} line {line} {what}"
    raise CorruptData(detail, party=store.org_id, column=column, line=line)


def _left_behind(
    store: NodeStore, db: sqlite3.Connection, subjects: Sequence[str], places: dict[str, int], now: datetime
) -> list[Kept]:
    consents = _number(db, f"SELECT COUNT(*) FROM consents WHERE subject_id {AMONG}")
    uses = _number(db, f"SELECT COUNT(*) FROM uses WHERE subject_id {AMONG}")
    batches = _number(db, f"SELECT COUNT(*) FROM use_batches WHERE subject_id {AMONG}")
    trained = _number(
        db,
        "SELECT COUNT(DISTINCT u.number) FROM uses u JOIN use_batches b ON b.batch = u.batch"
        f" WHERE u.action = 'training' AND u.outcome = 'answered' AND b.subject_id {AMONG}",
    )
    found = [
        Kept(
            "consents", consents, "signed records: evidence that what was done was allowed (PIPL, articles 14 and 69)"
        ),
        Kept(
            "use log",
            uses + batches,
            "evidence of what was done, kept three years (PIPL, article 56); its entries are"
            " chained by hashes, so none can be taken out without the log being read as tampered with",
        ),
        Kept(
            "model weights",
            trained,
            "runs of training that read these customers: nothing is taken out of weights;"
            " the next version that is trained does without them",
        ),
        *_memories(store, db, subjects, now),
    ]
    named = db.execute(
        f"SELECT DISTINCT organisation FROM uses WHERE organisation != ? AND subject_id {AMONG}"
        f" UNION SELECT grid_id FROM consents WHERE grid_id != '' AND subject_id {AMONG}"
        f" UNION SELECT bank_id FROM consents WHERE subject_id {AMONG}",
        (store.org_id,),
    )
    peers = sorted({*places, *(row[0] for row in named)} - {store.org_id, ""})
    found += [
        Kept(f"{peer}", None, "its own file, alignment, copy of the consent and log are its own: ask it to delete them")
        for peer in peers
    ]
    return [kept for kept in found if kept.count != 0] + [
        Kept("books", None, "applications, decisions and loans are kept by those who made them, under their own law"),
        Kept("backups", None, "copies of this store that were made before: destroy them, or let them expire"),
    ]


def _memories(store: NodeStore, db: sqlite3.Connection, subjects: Sequence[str], now: datetime) -> Iterator[Kept]:
    """Digests of customers in a bank's memory of runs; what no limit counts any more is forgotten here."""
    if store.role != "bank":
        return
    window: timedelta = BankNode(store).training_limit.window
    until: list[datetime] = []
    for key, raw in db.execute("SELECT key, value FROM state WHERE key GLOB ?", (f"{NAME}*",)).fetchall():
        current = within(raw, now - window)
        db.execute("UPDATE state SET value = ? WHERE key = ?", (current, key))
        last = last_about(current, subjects)
        if last is not None:
            until.append(last + window)
    if until:
        why = (
            "a digest of the id among those of a run: without it the next run could be told apart from that one by the"
            " deleted customer, whose label would follow"
        )
        yield Kept("memory of runs", len(until), why, max(until).astimezone(UTC))


def _clear_orders(db: sqlite3.Connection, subjects: frozenset[str]) -> bool:
    """In an alignment that is under way a place is left, as in one that was agreed; whether there was any."""
    cleared = False
    for key, raw in db.execute("SELECT key, value FROM state WHERE key GLOB 'psi/*/order'").fetchall():
        order: list[str] = json.loads(raw)
        if not subjects.isdisjoint(order):
            left = json.dumps([DELETED if subject in subjects else subject for subject in order]).encode()
            db.execute("UPDATE state SET value = ? WHERE key = ?", (left, key))
            cleared = True
    return cleared


def _first(db: sqlite3.Connection, query: str) -> int | None:
    row = db.execute(query).fetchone()
    return None if row is None else int(row[0])


def _number(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])


def _count(db: sqlite3.Connection) -> int:
    return _number(db, "SELECT COUNT(*) FROM files")


def _days(day: date) -> int:
    return (day - EPOCH).days


def _day(days: int | None) -> str | None:
    return None if days is None else (EPOCH + timedelta(days=days)).isoformat()
