"""Projects and their meters on one connection."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, insert, select

from financing.base.errors import NotFound
from financing.base.storage.columns import table_of
from financing.base.storage.records import Codec
from financing.registry.projects.model import Meter, Project
from financing.registry.projects.tables import MeterRow, ProjectRow

project_t = table_of(ProjectRow)
meter_t = table_of(MeterRow)
_projects = Codec(Project)


class ProjectStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, project: Project, meters: Iterable[Meter], at: datetime) -> None:
        self._connection.execute(
            insert(project_t).values(
                id=project.project_id,
                code=project.code,
                owner_id=project.owner,
                name=project.name,
                methodology=project.methodology_tag,
                capacity_w=project.capacity_w,
                record=_projects.encode(project),
                created_at=at,
            )
        )
        if not project.meter_ids:
            return
        self._connection.execute(
            insert(meter_t),
            [
                {
                    "id": meter.meter_id,
                    "project_id": project.project_id,
                    "measured_by": meter.measured_by,
                    "interval_minutes": meter.interval_minutes,
                }
                for meter in meters
            ],
        )

    def all(self, owner_id: str | None = None) -> list[Project]:
        query = select(project_t.c.record).order_by(project_t.c.id)
        if owner_id is not None:
            query = query.where(project_t.c.owner_id == owner_id)
        return [_projects.decode(row.record) for row in self._connection.execute(query)]

    def clashing(self, project: Project) -> list[Project]:
        """Registered projects with the same id or code, or with one of its meters."""
        by_meter = select(meter_t.c.project_id).where(meter_t.c.id.in_(project.meter_ids))
        query = select(project_t.c.record).where(
            (project_t.c.id == project.project_id) | (project_t.c.code == project.code) | project_t.c.id.in_(by_meter)
        )
        return [_projects.decode(row.record) for row in self._connection.execute(query)]

    def get(self, project_id: str) -> Project:
        row = self._connection.execute(select(project_t.c.record).where(project_t.c.id == project_id)).first()
        if row is None:
            raise NotFound("no such project", project_id=project_id)
        return _projects.decode(row.record)

    def meter(self, meter_id: str) -> Meter:
        row = self._connection.execute(select(meter_t).where(meter_t.c.id == meter_id)).first()
        if row is None:
            raise NotFound("no such meter", meter_id=meter_id)
        return Meter(row.id, row.project_id, row.measured_by, row.interval_minutes)

    def meters(self, project_id: str) -> list[Meter]:
        rows = self._connection.execute(
            select(meter_t).where(meter_t.c.project_id == project_id).order_by(meter_t.c.id)
        )
        return [Meter(row.id, row.project_id, row.measured_by, row.interval_minutes) for row in rows]
