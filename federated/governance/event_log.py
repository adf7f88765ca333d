"""An append-only log of a model's events, one JSON line each, chained by SHA-256, shared by processes on one machine.

A line counts once it ends with a newline. What a crash left without one was never acknowledged: it is not read, and
the next append removes it. The chain shows an edited, inserted or missing line; it cannot show that lines at the very
end were cut off, for which a copy of the last hash has to be kept elsewhere.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from federated.consent.record import utc
from federated.errors import ModelCorrupt
from federated.governance.lifecycle import Event, Kind

FIRST = "0" * 64
Events = tuple[Event, ...]


class EventLog:
    """The events of one model in the file at `path`, which appears with the first append."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def stamp(self) -> tuple[int, int, int]:
        """Changes whenever the file does: inode, size, time of modification (ns). Zeros while there is no file."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return 0, 0, 0
        return stat.st_ino, stat.st_size, stat.st_mtime_ns

    def read(self) -> Events:
        """Every whole line, verified. Raises `ModelCorrupt` naming the line."""
        try:
            with self._locked(os.O_RDONLY, fcntl.LOCK_SH) as descriptor:
                raw = _content(descriptor)
        except FileNotFoundError:
            return ()
        return tuple(event for event, _ in _verified(self._path.name, raw))

    def append(self, decide: Callable[[Events], Event]) -> Event:
        """Let `decide` look at all events, and write the one that it returns before any other process can look.

        An event that it returns out of those it was shown is not written again. Raises `ModelCorrupt`, and whatever
        `decide` raises; nothing is written then.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked(os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX) as descriptor:
            raw = _content(descriptor)
            whole = raw[: raw.rfind(b"\n") + 1]
            chain = _verified(self._path.name, whole)
            event = decide(tuple(each for each, _ in chain))
            if event.number <= len(chain):
                return chain[event.number - 1][0]
            line = _line(event, chain[-1][1] if chain else FIRST)
            if len(whole) < len(raw):
                os.ftruncate(descriptor, len(whole))
            os.lseek(descriptor, len(whole), os.SEEK_SET)
            _write_all(descriptor, line)
            os.fsync(descriptor)
            if not chain:
                _sync_folder(self._path.parent)
            return event

    @contextmanager
    def _locked(self, flags: int, lock: int) -> Iterator[int]:
        descriptor = os.open(self._path, flags | os.O_CLOEXEC, 0o644)
        try:
            # A descriptor of its own for every call, so the lock also keeps threads of one process apart.
            fcntl.flock(descriptor, lock)
            yield descriptor
        finally:
            os.close(descriptor)


def _content(descriptor: int) -> bytes:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        return file.read()


def _verified(name: str, raw: bytes) -> list[tuple[Event, str]]:
    """Events of the whole lines in `raw`, each with its hash. Raises `ModelCorrupt`."""
    chain: list[tuple[Event, str]] = []
    previous = FIRST
    for number, line in enumerate(raw[: raw.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            event, link = _parsed(line)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelCorrupt(f"{name} line {number} cannot be read: {error}", line=number) from error
        if event.number != number or line + b"\n" != _line(event, previous):
            raise ModelCorrupt(f"{name} line {number} is not what was written there", line=number)
        chain.append((event, link))
        previous = link
    return chain


def _parsed(line: bytes) -> tuple[Event, str]:
    raw: dict[str, Any] = json.loads(line)
    link = str(raw.pop("sha256"))
    raw.pop("previous")
    raw["kind"] = Kind(raw["kind"])
    raw["at"] = utc(datetime.fromisoformat(raw["at"]))
    return Event(**raw), link


def _line(event: Event, previous: str) -> bytes:
    raw = {**asdict(event), "at": utc(event.at).isoformat(), "previous": previous}
    raw["sha256"] = hashlib.sha256(_canonical(raw)).hexdigest()
    return _canonical(raw) + b"\n"


def _canonical(raw: dict[str, Any]) -> bytes:
    return json.dumps(raw, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
