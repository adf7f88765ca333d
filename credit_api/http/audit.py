"""The audit log: one JSON line a command, appended to a file of the home that only the service's user can read."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import orjson

from financing.base.context import Context


class AuditLog:
    """Appends lines; each is one write, so several processes may share the file. Without a path nothing is kept."""

    def __init__(self, path: Path | None = None) -> None:
        self._file = None if path is None else os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, context: Context, command: str, outcome: str, *, code: str | None = None) -> None:
        """Who, as whom, what, when, and how it ended: committed, replayed, refused or failed."""
        if self._file is not None:
            os.write(self._file, _line(context.at, context.actor.id, context.person, command, outcome, code))

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _line(at: datetime, organisation: str, person: str, command: str, outcome: str, code: str | None) -> bytes:
    line = {"at": at, "organisation": organisation, "person": person, "command": command, "outcome": outcome}
    return orjson.dumps(line if code is None else {**line, "code": code}, option=orjson.OPT_APPEND_NEWLINE)
