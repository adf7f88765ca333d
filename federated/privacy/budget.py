"""A node's own privacy ledger: what every run cost each of its data sets, written before anything is sent.

One SQLite file of its own beside the node's store. It is append-only (triggers refuse updates and deletes), every event
carries the hash of the one before, and each append is one immediate transaction with full synchronisation: once
`reserve` returns, the cost is on the disk, and a crash after that counts as spent. Nothing is ever given back. Two runs
that race are decided one after the other, by processes as by threads.

Budgets are the node's: (ε, δ) for a data set by its name, which outlives changes of its rows. A run fits if
the accountant, over *all* releases of the data set so far and the new ones together, stays within ε at δ; adding up ε
would overstate it, and a new name would forget it. A run without noise has no ε: it is counted, and a node refuses
more of them than it allows in a period (`begin`). Raising a budget is an event as well, and the node's own act: it is
signed with the node's key, and a grant that is not grants nothing. What the chain alone cannot show is that the file
was deleted or that events at its very end were cut off: the `Owner` remembers elsewhere how long the chain was and its
last hash, and a chain that does not go on from there is corrupt. Threat model: whoever calls, and whoever writes to the
ledger's file. Not covered: who also writes to the node's store, where key and memory are.
"""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federated.consent.record import utc
from federated.errors import (
    FederatedError,
    PrivacyBudgetExceeded,
    PrivacyBudgetMissing,
    PrivacyLedgerCorrupt,
    PrivacyPlanRefused,
)
from federated.privacy.differential.accountant import Release, as_numbers, epsilon_of, from_numbers

FIRST = "0" * 64
TABLES = """
CREATE TABLE IF NOT EXISTS events (
  number INTEGER PRIMARY KEY, body TEXT NOT NULL, sha256 TEXT NOT NULL UNIQUE
) STRICT;
CREATE TRIGGER IF NOT EXISTS events_are_final BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER IF NOT EXISTS events_stay BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'append only'); END;
"""


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that all runs over a data set may cost together."""

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.epsilon) and self.epsilon > 0 and 0 < self.delta < 1):
            raise PrivacyPlanRefused(f"a budget is a positive ε and a δ below 1, not ({self.epsilon}, {self.delta})")


@dataclass(frozen=True, slots=True)
class Owner:
    """The node whose ledger it is: its key, and where it keeps and finds the last (number, hash) it has seen."""

    signing: Ed25519PrivateKey
    remembered: Callable[[], tuple[int, str] | None]
    remember: Callable[[int, str], None]


@dataclass(frozen=True, slots=True)
class Receipt:
    """That a run was reserved: its number in the ledger, the ledger's last hash, and ε spent so far with it."""

    number: int
    head: str
    epsilon: float


@dataclass(frozen=True, slots=True)
class Account:
    """One data set: its budget, ε spent at the budget's δ, and the runs that spent it."""

    dataset: str
    budget: Budget
    epsilon: float
    runs: tuple[str, ...]

    @property
    def left(self) -> float:
        """ε still there. A run may cost more than this and fit, since composition is not addition."""
        return max(self.budget.epsilon - self.epsilon, 0.0)


@dataclass(slots=True)
class _Book:
    budget: Budget | None
    releases: list[Release]
    runs: list[str]


class PrivacyLedger:
    """The ledger at `path`, which appears with the first event. Safe to share between threads and processes.

    Without an `owner` nobody signs grants and nobody remembers: for banks that live as long as one measurement.
    """

    def __init__(self, path: Path, owner: Owner | None = None) -> None:
        self._path, self._owner = path, owner

    def grant(self, dataset: str, budget: Budget, at: datetime) -> None:
        """Set the budget of a data set from now on, by the node's own decision."""
        body = {"kind": "grant", "dataset": dataset, "epsilon": budget.epsilon, "delta": budget.delta}
        with self._writing() as database:
            number, head = self._append(database, body, at)
        self._remember(number, head)

    def begin(self, dataset: str, most: int, since: datetime, at: datetime) -> int:
        """Note that a run without noise reads the data set's labels; how many have since `since`, with this one.

        Raises `PrivacyBudgetExceeded` if that were more than `most`, then nothing is noted, and `PrivacyLedgerCorrupt`.
        """
        with self._writing() as database:
            chain = self._chain(database)
            begun = [body for body, _ in chain if (body["kind"], body["dataset"]) == ("run", dataset)]
            number = 1 + sum(datetime.fromisoformat(body["at"]) > utc(since) for body in begun)
            if number > most:
                detail = f"the labels of {dataset} were read by {number - 1} runs without noise since {since:%Y-%m-%d}"
                raise PrivacyBudgetExceeded(detail, dataset=dataset, budget=most, would_be=number)
            place, head = self._append(database, {"kind": "run", "dataset": dataset}, at)
        self._remember(place, head)
        return number

    def reserve(self, run: str, dataset: str, releases: Sequence[Release], at: datetime) -> Receipt:
        """Spend a run's releases. Raises `PrivacyBudgetMissing`, `PrivacyBudgetExceeded`, or for a run that was

        reserved before `PrivacyPlanRefused`; then nothing is spent. Raises `PrivacyLedgerCorrupt`.
        """
        if not releases:
            raise PrivacyPlanRefused("a run releases something", run=run)
        with self._writing() as database:
            books = self._books(self._chain(database))
            book = books.get(dataset)
            if book is None or book.budget is None:
                raise PrivacyBudgetMissing(f"no privacy budget is granted for {dataset}", dataset=dataset)
            if any(run in other.runs for other in books.values()):
                raise PrivacyPlanRefused("this run was reserved before", run=run)
            spent = epsilon_of([*book.releases, *releases], book.budget.delta)
            if not spent <= book.budget.epsilon:
                detail = (
                    f"all runs over {dataset} would cost ε = {spent:.4g} at δ = {book.budget.delta:g}, "
                    f"granted are {book.budget.epsilon:g}"
                )
                raise PrivacyBudgetExceeded(detail, dataset=dataset, budget=book.budget.epsilon, would_be=spent)
            body = {"kind": "reserve", "dataset": dataset, "run": run, "releases": [as_numbers(r) for r in releases]}
            number, head = self._append(database, body, at)
        self._remember(number, head)
        return Receipt(number, head, spent)

    def accounts(self) -> tuple[Account, ...]:
        """Every data set that a budget was granted for, by name. Raises `PrivacyLedgerCorrupt`."""
        if self._absent():
            return ()
        with self._open() as database:
            books = self._books(self._chain(database))
        return tuple(
            Account(name, book.budget, epsilon_of(book.releases, book.budget.delta), tuple(book.runs))
            for name, book in sorted(books.items())
            if book.budget is not None
        )

    def head(self) -> str:
        """The last hash, after the whole chain was checked. Raises `PrivacyLedgerCorrupt`."""
        if self._absent():
            return FIRST
        with self._open() as database:
            chain = self._chain(database)
        return chain[-1][1] if chain else FIRST

    def _absent(self) -> bool:
        """Whether there never was a ledger. Raises `PrivacyLedgerCorrupt` if there was one and it is gone."""
        if self._path.is_file():
            return False
        if self._owner is not None and self._owner.remembered() is not None:
            raise PrivacyLedgerCorrupt(f"{self._path.name} is gone, and there was one", file=self._path.name)
        return True

    def _chain(self, database: sqlite3.Connection) -> list[tuple[dict[str, Any], str]]:
        """All events, checked, and that the node's memory is among them. Raises `PrivacyLedgerCorrupt`."""
        chain = _chain(database)
        known = None if self._owner is None else self._owner.remembered()
        if known is not None and (len(chain) < known[0] or chain[known[0] - 1][1] != known[1]):
            detail = f"{self._path.name} does not go on from event {known[0]}, which this node remembers"
            raise PrivacyLedgerCorrupt(detail, event=known[0])
        return chain

    def _append(self, database: sqlite3.Connection, body: dict[str, Any], at: datetime) -> tuple[int, str]:
        chain = self._chain(database)
        number, previous = len(chain) + 1, chain[-1][1] if chain else FIRST
        event = {**body, "at": utc(at).isoformat(), "number": number}
        if body["kind"] == "grant" and self._owner is not None:
            event["signature"] = self._owner.signing.sign(_granted(event, previous)).hex()
        text = json.dumps(event, sort_keys=True, allow_nan=False)
        head = _hash(previous, text)
        database.execute("INSERT INTO events VALUES (?, ?, ?)", (number, text, head))
        return number, head

    def _books(self, chain: list[tuple[dict[str, Any], str]]) -> dict[str, _Book]:
        books: dict[str, _Book] = {}
        previous = FIRST
        for place, (body, link) in enumerate(chain, start=1):
            try:
                book = books.setdefault(str(body["dataset"]), _Book(None, [], []))
                if body["kind"] == "grant":
                    budget = Budget(float(body["epsilon"]), float(body["delta"]))
                    book.budget = budget if self._own(body, previous) else book.budget
                elif body["kind"] == "reserve":
                    book.releases.extend(from_numbers(r) for r in body["releases"])
                    book.runs.append(str(body["run"]))
                elif body["kind"] != "run":
                    raise ValueError(f"no such kind of event: {body['kind']}")
            except (KeyError, TypeError, ValueError, FederatedError) as error:
                raise PrivacyLedgerCorrupt(f"event {place} cannot be read: {error}", event=place) from error
            previous = link
        return books

    def _own(self, grant: dict[str, Any], previous: str) -> bool:
        """Whether a grant is signed by the node whose ledger this is, for this place in the chain."""
        if self._owner is None:
            return True
        try:
            signature = bytes.fromhex(grant["signature"])
            self._owner.signing.public_key().verify(signature, _granted(grant, previous))
        except (InvalidSignature, KeyError, TypeError, ValueError):
            return False
        return True

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database: sqlite3.Connection | None = None
        try:
            # A connection a call: threads and processes are kept apart by the file's own lock.
            database = sqlite3.connect(self._path, timeout=60.0, isolation_level=None)
            # A rollback journal with EXTRA also makes the journal's removal durable, so a commit survives power loss.
            database.execute("PRAGMA journal_mode = DELETE")
            database.execute("PRAGMA synchronous = EXTRA")
            yield database
        except sqlite3.DatabaseError as error:
            raise PrivacyLedgerCorrupt(f"{self._path.name} cannot be used: {error}", file=self._path.name) from error
        finally:
            if database is not None:
                database.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._absent()
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                for statement in TABLES.strip().split(";\n"):
                    database.execute(statement)
                yield database
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")

    def _remember(self, number: int, head: str) -> None:
        # After the commit: a memory ahead of its ledger would be taken for a ledger that was cut.
        if self._owner is not None:
            self._owner.remember(number, head)


def _granted(event: dict[str, Any], previous: str) -> bytes:
    """What a node signs of a grant: all that it says, and the hash of the event before it."""
    said = {name: event[name] for name in ("at", "dataset", "delta", "epsilon", "number")}
    return b"tanxin privacy grant\0" + json.dumps([said, previous], sort_keys=True, allow_nan=False).encode()


def _hash(previous: str, text: str) -> str:
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()


def _chain(database: sqlite3.Connection) -> list[tuple[dict[str, Any], str]]:
    """All events with their hashes, checked. Raises `PrivacyLedgerCorrupt` naming the event."""
    chain: list[tuple[dict[str, Any], str]] = []
    previous = FIRST
    rows = database.execute("SELECT number, body, sha256 FROM events ORDER BY number").fetchall()
    for place, (number, text, link) in enumerate(rows, start=1):
        if number != place or link != _hash(previous, text):
            raise PrivacyLedgerCorrupt(f"event {place} is not what was written there", event=place)
        chain.append((json.loads(text), link))
        previous = link
    return chain
