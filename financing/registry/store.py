"""Projects, meters, monitoring periods, issuances and retirements on one connection."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from financing.base.errors import NotFound
from financing.base.quantities import Carbon, Period
from financing.base.storage.columns import table_of
from financing.base.storage.records import Codec
from financing.ledger.serials import SerialText
from financing.registry.credits.model import Issuance
from financing.registry.credits.tables import IssuanceRow
from financing.registry.projects.model import Meter, Project
from financing.registry.projects.tables import MeterRow, ProjectRow
from financing.registry.retirement.model import Retirement
from financing.registry.retirement.tables import RetirementLineRow, RetirementRow
from financing.registry.verification.monitoring import MonitoringPeriod
from financing.registry.verification.tables import MeterClaimRow, MonitoringPeriodRow

project_t = table_of(ProjectRow)
meter_t = table_of(MeterRow)
period_t = table_of(MonitoringPeriodRow)
claim_t = table_of(MeterClaimRow)
issuance_t = table_of(IssuanceRow)
retirement_t = table_of(RetirementRow)
retirement_line_t = table_of(RetirementLineRow)

_projects = Codec(Project)
_periods = Codec(MonitoringPeriod)
_retirements = Codec(Retirement)


class RegistryStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add_project(self, project: Project, meters: Iterable[Meter], at: datetime) -> None:
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

    def projects(self, owner_id: str | None = None) -> list[Project]:
        query = select(project_t.c.record).order_by(project_t.c.id)
        if owner_id is not None:
            query = query.where(project_t.c.owner_id == owner_id)
        return [_projects.decode(row.record) for row in self._connection.execute(query)]

    def clashing_projects(self, project: Project) -> list[Project]:
        """Registered projects with the same id or code, or with one of its meters."""
        by_meter = select(meter_t.c.project_id).where(meter_t.c.id.in_(project.meter_ids))
        query = select(project_t.c.record).where(
            (project_t.c.id == project.project_id) | (project_t.c.code == project.code) | project_t.c.id.in_(by_meter)
        )
        return [_projects.decode(row.record) for row in self._connection.execute(query)]

    def project(self, project_id: str) -> Project:
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

    def add_period(self, claim: MonitoringPeriod) -> None:
        self._connection.execute(
            insert(period_t).values(
                id=claim.monitoring_period_id,
                project_id=claim.project_id,
                starts_at=claim.period.start,
                ends_at=claim.period.end,
                state=claim.state.value,
                generation_wh=claim.generation().wh,
                reduction_kg=claim.reduction.reduction.kg,
                commitment=claim.commitment(),
                record=_periods.encode(claim),
                submitted_at=claim.submitted_at,
            )
        )
        if not claim.meter_ids:
            return
        self._connection.execute(
            insert(claim_t),
            [{"period_id": claim.monitoring_period_id, "meter_id": meter_id} for meter_id in sorted(claim.meter_ids)],
        )

    def save_period(self, claim: MonitoringPeriod) -> None:
        self._connection.execute(
            update(period_t)
            .where(period_t.c.id == claim.monitoring_period_id)
            .values(state=claim.state.value, record=_periods.encode(claim))
        )

    def period(self, period_id: str) -> MonitoringPeriod:
        row = self._connection.execute(select(period_t.c.record).where(period_t.c.id == period_id)).first()
        if row is None:
            raise NotFound("no such monitoring period", monitoring_period_id=period_id)
        return _periods.decode(row.record)

    def periods(self, *, owner_id: str | None = None, state: str | None = None) -> list[MonitoringPeriod]:
        query = select(period_t.c.record).order_by(period_t.c.submitted_at, period_t.c.id)
        if owner_id is not None:
            query = query.join(project_t, project_t.c.id == period_t.c.project_id).where(
                project_t.c.owner_id == owner_id
            )
        if state is not None:
            query = query.where(period_t.c.state == state)
        return [_periods.decode(row.record) for row in self._connection.execute(query)]

    def claims_of(self, project_id: str, meter_ids: Iterable[str], period: Period) -> list[MonitoringPeriod]:
        """Claims that overlap `period`, of the project or on one of these meters, rejected ones included."""
        on_meters = select(claim_t.c.period_id).where(claim_t.c.meter_id.in_(list(meter_ids)))
        query = select(period_t.c.record).where(
            (period_t.c.project_id == project_id) | period_t.c.id.in_(on_meters),
            period_t.c.starts_at < period.end,
            period_t.c.ends_at > period.start,
        )
        return [_periods.decode(row.record) for row in self._connection.execute(query)]

    def add_issuance(self, issuance: Issuance) -> None:
        self._connection.execute(
            insert(issuance_t).values(
                id=issuance.issuance_id,
                registry_id=issuance.registry_id,
                registry_code=issuance.registry_code,
                transfer_id=issuance.transfer_id,
                period_id=issuance.period_id,
                project_id=issuance.project_id,
                owner_id=issuance.owner_id,
                asset_class=issuance.asset_class,
                methodology_tag=issuance.methodology_tag,
                project_code=issuance.project_code,
                vintage=issuance.vintage,
                first_day=issuance.first_day,
                last_day=issuance.last_day,
                quantity_kg=issuance.quantity.kg,
                issued_at=issuance.issued_at,
            )
        )

    def issuance(self, issuance_id: str) -> Issuance:
        row = self._connection.execute(select(issuance_t).where(issuance_t.c.id == issuance_id)).first()
        if row is None:
            raise NotFound("no such issuance", issuance_id=issuance_id)
        return _issuance(row)

    def issuance_of(self, text: SerialText) -> Issuance | None:
        """The issuance whose credits carry such a serial number."""
        row = self._connection.execute(
            select(issuance_t).where(
                issuance_t.c.registry_code == text.registry_code,
                issuance_t.c.methodology_tag == text.methodology_tag,
                issuance_t.c.project_code == text.project_code,
                issuance_t.c.first_day == text.first_day,
                issuance_t.c.last_day == text.last_day,
            )
        ).first()
        return _issuance(row) if row else None

    def issuances(self) -> list[Issuance]:
        rows = self._connection.execute(select(issuance_t).order_by(issuance_t.c.issued_at, issuance_t.c.id))
        return [_issuance(row) for row in rows]

    def next_retirement_number(self) -> int:
        return 1 + (self._connection.execute(select(func.max(retirement_t.c.number))).scalar_one() or 0)

    def add_retirement(self, retirement: Retirement, *, number: int, entry_id: int) -> None:
        self._connection.execute(
            insert(retirement_t).values(
                certificate_number=retirement.certificate_number,
                number=number,
                retired_by=retirement.retired_by,
                quantity_kg=retirement.quantity.kg,
                record=_retirements.encode(retirement),
                entry_id=entry_id,
                retired_at=retirement.retired_at,
            )
        )
        used: dict[str, int] = {}
        for block in retirement.blocks:
            used[block.issuance_id] = used.get(block.issuance_id, 0) + block.quantity.kg
        self._connection.execute(
            insert(retirement_line_t),
            [
                {"certificate_number": retirement.certificate_number, "issuance_id": each, "quantity_kg": kilograms}
                for each, kilograms in used.items()
            ],
        )

    def retirement(self, certificate_number: str) -> Retirement:
        row = self._connection.execute(
            select(retirement_t.c.record).where(retirement_t.c.certificate_number == certificate_number)
        ).first()
        if row is None:
            raise NotFound("no such certificate", certificate_number=certificate_number)
        return _retirements.decode(row.record)

    def retirements(self, retired_by: str | None = None) -> list[Retirement]:
        query = select(retirement_t.c.record).order_by(retirement_t.c.number)
        if retired_by is not None:
            query = query.where(retirement_t.c.retired_by == retired_by)
        return [_retirements.decode(row.record) for row in self._connection.execute(query)]


def _issuance(row: Row[Any]) -> Issuance:
    return Issuance(
        issuance_id=row.id,
        registry_id=row.registry_id,
        registry_code=row.registry_code,
        period_id=row.period_id,
        project_id=row.project_id,
        owner_id=row.owner_id,
        asset_class=row.asset_class,
        methodology_tag=row.methodology_tag,
        project_code=row.project_code,
        vintage=row.vintage,
        first_day=row.first_day,
        last_day=row.last_day,
        quantity=Carbon(row.quantity_kg),
        issued_at=row.issued_at,
        transfer_id=row.transfer_id,
    )
