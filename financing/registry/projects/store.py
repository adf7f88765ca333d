"""Projects and their meters on one connection."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select

from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.records import Codec
from financing.base.storage.store import Store, columns_of, value_of
from financing.registry.projects.model import Meter, Project
from financing.registry.projects.tables import MeterRow, ProjectRow

project_t = table_of(ProjectRow)
meter_t = table_of(MeterRow)
_projects = Codec(Project)


class ProjectStore(Store):
    def add(self, project: Project, meters: Iterable[Meter], at: datetime) -> None:
        self._add(
            project_t,
            project,
            id=project.project_id,
            methodology=project.methodology_tag,
            record=_projects.encode(project),
            created_at=at,
        )
        if not project.meter_ids:
            return
        self._connection.execute(insert(meter_t), [columns_of(meter_t, each, id=each.meter_id) for each in meters])

    def all(self, owner_id: str | None = None, *, window: Window = ALL) -> Page[Project]:
        """Projects of an owner, or (None) of all, by id."""
        query = select(project_t.c.id, project_t.c.record)
        if owner_id is not None:
            query = query.where(project_t.c.owner_id == owner_id)
        keys = (Key(project_t.c.id),)
        return page_of(self._connection, query, keys, window, lambda row: _projects.decode(row.record))

    def named(self, project_ids: Iterable[str]) -> dict[str, Project]:
        """These projects by id."""
        query = select(project_t.c.id, project_t.c.record).where(project_t.c.id.in_(sorted(set(project_ids))))
        return {row.id: _projects.decode(row.record) for row in self._connection.execute(query)}

    def measured_by(self, grid_id: str, *, window: Window = ALL) -> Page[tuple[Project, Meter]]:
        """A grid company's meters with the projects they belong to, by meter id."""
        query = (
            select(meter_t, project_t.c.record)
            .join(project_t, project_t.c.id == meter_t.c.project_id)
            .where(meter_t.c.measured_by == grid_id)
        )
        return page_of(
            self._connection,
            query,
            (Key(meter_t.c.id),),
            window,
            lambda row: (_projects.decode(row.record), _meter(row)),
        )

    def clashing(self, project: Project) -> list[Project]:
        """Registered projects with the same id or code, or with one of its meters."""
        by_meter = select(meter_t.c.project_id).where(meter_t.c.id.in_(project.meter_ids))
        query = select(project_t.c.record).where(
            (project_t.c.id == project.project_id) | (project_t.c.code == project.code) | project_t.c.id.in_(by_meter)
        )
        return [_projects.decode(row.record) for row in self._connection.execute(query)]

    def get(self, project_id: str) -> Project:
        query = select(project_t.c.record).where(project_t.c.id == project_id)
        return _projects.decode(self._one(query, "no such project", project_id=project_id).record)

    def about(self, kind: str, subject_id: str) -> Project | None:
        """The project that a subject of the overlap guard belongs to: a meter's, or the one whose code a site has."""
        of_meter = select(meter_t.c.project_id).where(meter_t.c.id == subject_id)
        chosen = {"meter": project_t.c.id.in_(of_meter), "site": project_t.c.code == subject_id}
        if kind not in chosen:
            return None
        row = self._connection.execute(select(project_t.c.record).where(chosen[kind])).first()
        return None if row is None else _projects.decode(row.record)

    def meter(self, meter_id: str) -> Meter:
        row = self._one(select(meter_t).where(meter_t.c.id == meter_id), "no such meter", meter_id=meter_id)
        return _meter(row)

    def meters(self, project_id: str) -> list[Meter]:
        rows = self._connection.execute(
            select(meter_t).where(meter_t.c.project_id == project_id).order_by(meter_t.c.id)
        )
        return [_meter(row) for row in rows]


def _meter(row: Row[Any]) -> Meter:
    return value_of(Meter, row, meter_id=row.id)
