"""Monitoring periods, and which meters they claim, on one connection."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from financing.base.quantities import Energy, Period
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.records import Codec
from financing.base.storage.store import Store
from financing.registry.projects.store import project_t
from financing.registry.verification.monitoring import MonitoringPeriod, MonitoringState
from financing.registry.verification.tables import MeterClaimRow, MonitoringPeriodRow

period_t = table_of(MonitoringPeriodRow)
claim_t = table_of(MeterClaimRow)
_periods = Codec(MonitoringPeriod)
_CLAIM = (period_t.c.submitted_at, period_t.c.id, period_t.c.record)


class PeriodStore(Store):
    def add(self, claim: MonitoringPeriod) -> None:
        self._add(
            period_t,
            claim,
            id=claim.monitoring_period_id,
            starts_at=claim.period.start,
            ends_at=claim.period.end,
            generation_wh=claim.generation().wh,
            reduction_kg=claim.reduction.reduction.kg,
            commitment=claim.commitment(),
            record=_periods.encode(claim),
        )
        if not claim.meter_ids:
            return
        self._connection.execute(
            insert(claim_t),
            [{"period_id": claim.monitoring_period_id, "meter_id": meter_id} for meter_id in sorted(claim.meter_ids)],
        )

    def save(self, claim: MonitoringPeriod) -> None:
        self._connection.execute(
            update(period_t)
            .where(period_t.c.id == claim.monitoring_period_id)
            .values(state=claim.state.value, record=_periods.encode(claim))
        )

    def get(self, period_id: str) -> MonitoringPeriod:
        query = select(period_t.c.record).where(period_t.c.id == period_id)
        return claim_of(self._one(query, "no such monitoring period", monitoring_period_id=period_id))

    def all(
        self, *, owner_id: str | None = None, state: str | None = None, window: Window = ALL
    ) -> Page[MonitoringPeriod]:
        """Claims of an owner (None: of all) in a state (None: in any), in the order they were submitted."""
        query = select(*_CLAIM)
        if owner_id is not None:
            query = query.join(project_t, project_t.c.id == period_t.c.project_id).where(
                project_t.c.owner_id == owner_id
            )
        if state is not None:
            query = query.where(period_t.c.state == state)
        keys = (Key(period_t.c.submitted_at), Key(period_t.c.id))
        return page_of(self._connection, query, keys, window, claim_of)

    def of_project(self, project_id: str, *, window: Window = ALL) -> Page[MonitoringPeriod]:
        """A project's claims, in the order they were submitted."""
        query = select(*_CLAIM).where(period_t.c.project_id == project_id)
        keys = (Key(period_t.c.submitted_at), Key(period_t.c.id))
        return page_of(self._connection, query, keys, window, claim_of)

    def last_end(self, project_id: str) -> datetime | None:
        """When the last of a project's claims ends; None before the first claim."""
        query = select(func.max(period_t.c.ends_at)).where(period_t.c.project_id == project_id)
        last_end: datetime | None = self._connection.execute(query).scalar_one()
        return last_end

    def stated(self, *, window: Window = ALL) -> Page[MonitoringPeriod]:
        """Claims that a verifier has stated on, newest first."""
        query = select(*_CLAIM).where(period_t.c.state != MonitoringState.SUBMITTED.value)
        keys = (Key(period_t.c.submitted_at, descending=True), Key(period_t.c.id, descending=True))
        return page_of(self._connection, query, keys, window, claim_of)

    def sums(self, state: str) -> tuple[int, Energy]:
        """How many claims are in a state, and the energy they claim."""
        query = select(func.count(), func.coalesce(func.sum(period_t.c.generation_wh), 0))
        row = self._connection.execute(query.where(period_t.c.state == state)).one()
        return int(row[0]), Energy(int(row[1]))

    def overlapping(self, project_id: str, meter_ids: Iterable[str], period: Period) -> list[MonitoringPeriod]:
        """Claims that overlap `period`, of the project or on one of these meters, rejected ones included."""
        on_meters = select(claim_t.c.period_id).where(claim_t.c.meter_id.in_(list(meter_ids)))
        query = select(period_t.c.record).where(
            (period_t.c.project_id == project_id) | period_t.c.id.in_(on_meters),
            period_t.c.starts_at < period.end,
            period_t.c.ends_at > period.start,
        )
        return [claim_of(row) for row in self._connection.execute(query)]


def claim_of(row: Row[Any]) -> MonitoringPeriod:
    return _periods.decode(row.record)
