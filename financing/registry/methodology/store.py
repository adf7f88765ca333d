"""Archived file texts and the recorded lifecycle of methodology versions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from financing.base.errors import NotFound
from financing.base.parameters.methodologies import Status
from financing.base.storage.columns import table_of
from financing.registry.methodology.tables import MethodologyTransitionRow, ParameterFileRow

file_t = table_of(ParameterFileRow)
transition_t = table_of(MethodologyTransitionRow)


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """A file's text as it was used; `path` is its place under the parameters' folder."""

    sha256: str
    path: str
    content: str


@dataclass(frozen=True, slots=True)
class Transition:
    """The registry moved `code``version` to `status`, judging the text with this SHA-256."""

    code: str
    version: int
    status: Status
    sha256: str
    reason: str
    recorded_by: str
    recorded_at: datetime


class MethodologyStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def archive(self, files: Iterable[ArchivedFile], at: datetime) -> None:
        """Keep each text once."""
        for file in files:
            known = self._connection.execute(select(file_t.c.sha256).where(file_t.c.sha256 == file.sha256)).first()
            if known is None:
                self._connection.execute(
                    insert(file_t).values(sha256=file.sha256, path=file.path, content=file.content, archived_at=at)
                )

    def file(self, sha256: str) -> ArchivedFile:
        """Raises `NotFound` for a text that nothing in the books rests on."""
        row = self._connection.execute(select(file_t).where(file_t.c.sha256 == sha256)).first()
        if row is None:
            raise NotFound("no such file is archived", sha256=sha256)
        return ArchivedFile(row.sha256, row.path, row.content)

    def add_transition(self, transition: Transition) -> None:
        self._connection.execute(
            insert(transition_t).values(
                code=transition.code,
                version=transition.version,
                status=transition.status,
                sha256=transition.sha256,
                reason=transition.reason,
                recorded_by=transition.recorded_by,
                recorded_at=transition.recorded_at,
            )
        )

    def transitions(self, code: str, version: int) -> list[Transition]:
        """Oldest first."""
        rows = self._connection.execute(
            select(transition_t)
            .where(transition_t.c.code == code, transition_t.c.version == version)
            .order_by(transition_t.c.id)
        )
        return [
            Transition(row.code, row.version, row.status, row.sha256, row.reason, row.recorded_by, row.recorded_at)
            for row in rows
        ]
