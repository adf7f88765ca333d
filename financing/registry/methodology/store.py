"""Archived file texts and the recorded lifecycle of methodology versions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import insert, select

from financing.base.storage.columns import table_of
from financing.base.storage.store import Store
from financing.registry.methodology.model import ArchivedFile, Transition
from financing.registry.methodology.tables import MethodologyTransitionRow, ParameterFileRow

file_t = table_of(ParameterFileRow)
transition_t = table_of(MethodologyTransitionRow)


class MethodologyStore(Store):
    def archive(self, files: Iterable[ArchivedFile], at: datetime) -> None:
        """Keep each text once."""
        for file in files:
            known = self._connection.execute(select(file_t.c.sha256).where(file_t.c.sha256 == file.sha256)).first()
            if known is None:
                self._add(file_t, file, archived_at=at)

    def file(self, sha256: str) -> ArchivedFile:
        """Raises `NotFound` for a text that nothing in the books rests on."""
        row = self._one(select(file_t).where(file_t.c.sha256 == sha256), "no such file is archived", sha256=sha256)
        return ArchivedFile(row.sha256, row.path, row.content)

    def add_transition(self, transition: Transition) -> None:
        self._connection.execute(insert(transition_t).values(**transition.model_dump()))

    def transitions(self, code: str, version: int) -> list[Transition]:
        """Oldest first."""
        rows = self._connection.execute(
            select(transition_t)
            .where(transition_t.c.code == code, transition_t.c.version == version)
            .order_by(transition_t.c.id)
        )
        return [Transition.model_validate(row, from_attributes=True) for row in rows]
