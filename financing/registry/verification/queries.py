"""What pages of verifiers show: the work list with its assignments and findings, and who may verify what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, literal, or_, select

from financing.base.context import Context
from financing.base.storage.paging import ALL, Key, Page, Window, page_of, page_of_rows
from financing.registry.unit import RegistryUnit
from financing.registry.verification.commands import accreditations_on_file
from financing.registry.verification.findings import VerifierFinding
from financing.registry.verification.independence import Accreditation
from financing.registry.verification.model import Assignment
from financing.registry.verification.monitoring import MonitoringPeriod, MonitoringState
from financing.registry.verification.period_store import claim_of, period_t
from financing.registry.verification.store import assignment_t

# A period that is assigned to nobody is due after every other.
NEVER = date.max
FILED, RECORDED = 0, 1


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A period that waits for a statement: who is to give it until when, and what is still open."""

    claim: MonitoringPeriod
    assignment: Assignment | None
    findings: tuple[VerifierFinding, ...]


def work_list(unit: RegistryUnit, verifier: str, window: Window = ALL) -> Page[WorkItem]:
    """Submitted periods assigned to the verifier, the most urgent first, then those that are assigned to nobody."""
    due = func.coalesce(assignment_t.c.due_on, literal(NEVER)).label("due")
    query = (
        select(period_t.c.id, period_t.c.submitted_at, period_t.c.record, due, assignment_t.c.verifier_id)
        .outerjoin(assignment_t, assignment_t.c.period_id == period_t.c.id)
        .where(
            period_t.c.state == MonitoringState.SUBMITTED.value,
            or_(assignment_t.c.verifier_id.is_(None), assignment_t.c.verifier_id == verifier),
        )
    )
    keys = (Key(due), Key(period_t.c.submitted_at), Key(period_t.c.id))
    page = page_of(
        unit.connection,
        query,
        keys,
        window,
        lambda row: (
            claim_of(row),
            None if row.verifier_id is None else Assignment(row.id, row.verifier_id, row.due),
        ),
    )

    def with_findings(rows: list[tuple[MonitoringPeriod, Assignment | None]]) -> list[WorkItem]:
        raised = unit.verification.findings_on([claim.monitoring_period_id for claim, _ in rows])
        return [
            WorkItem(claim, assignment, tuple(raised.get(claim.monitoring_period_id, ()))) for claim, assignment in rows
        ]

    return page.map(with_findings)


def accreditations_held(unit: RegistryUnit, context: Context, on: date, window: Window = ALL) -> Page[Accreditation]:
    """Those of the dated file, then those that the registry recorded, of which no more are read than are shown."""

    def held() -> Iterator[tuple[int, int, Accreditation]]:
        for place, each in enumerate(accreditations_on_file(context, on)):
            yield FILED, place, each
        more = None if window.limit is None else window.limit + 1
        after = window.after[1:] if window.after is not None and window.after[0] == RECORDED else None
        for number, each in unit.verification.accreditations(Window(more, after)):
            yield RECORDED, number, each

    page = page_of_rows(held(), lambda row: row[:2], window)
    return page.map(lambda rows: [each for _, _, each in rows])
