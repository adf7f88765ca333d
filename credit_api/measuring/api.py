"""Methodologies and their lifecycle, verifiers' work, accreditations, and the audit of readings at grid nodes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import numpy as np
from fastapi import Query, Response

from credit_api.http.callers import CallDep, PartsDep, PrincipalDep
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from credit_api.measuring.schemas import (
    AccreditationOut,
    AssignmentOut,
    AuditedReadingsOut,
    MethodologyOut,
    RelationOut,
    WorkItemOut,
)
from financing.base.commands import Id, Moment
from financing.base.errors import NotPermitted, PeriodInvalid
from financing.base.quantities import Period, business_date
from financing.lending.unit import UnitOfWork
from financing.registry.methodology.commands import Code, MoveMethodology, move_methodology, status_of
from financing.registry.methodology.definition import compiled
from financing.registry.methodology.model import Transition
from financing.registry.verification.auditing import audit_readings
from financing.registry.verification.findings import VerifierFinding
from financing.registry.verification.queries import accreditations_held, work_list
from financing.registry.verification.verifying import (
    AnswerFinding,
    AssignVerifier,
    CloseFinding,
    DeclareRelation,
    RaiseFinding,
    RecordAccreditation,
    answer_finding,
    assign_verifier,
    close_finding,
    declare_relation,
    raise_finding,
    record_accreditation,
)

router = Router(prefix="/v1", tags=["measuring"], responses=PROBLEMS)
AUDIT_DAYS_MAX = 400


@router.get("/methodologies")
def list_methodologies(parts: PartsDep, principal: PrincipalDep) -> list[MethodologyOut]:
    """Every methodology version that is loaded, with its status today: a catalogue of files, in one answer."""
    on = business_date(parts.clock())
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        versions = [compiled(file) for file in parts.parameters.methodologies]
        return [MethodologyOut.standing(each.file, status_of(unit, each, on)) for each in versions]


@router.post("/methodologies/{code}/{version}/transitions", status_code=201, response_model=Transition)
async def move(code: Code, version: int, body: MoveMethodology, call: CallDep) -> Response:
    """Move a version to its next status, as the registry: draft, consultation, approved, superseded."""
    return await call.commit(move_methodology.given(code, version, body), answer=lambda transition: transition)


@router.get("/methodologies/{code}/{version}/transitions")
def list_transitions(code: Code, version: int, parts: PartsDep, principal: PrincipalDep) -> list[Transition]:
    """What the registry decided on a version, oldest first: a status is entered once, so they are few."""
    with parts.reading() as connection:
        return UnitOfWork(connection).methodologies.transitions(code, min(max(version, 0), 999))


@router.get("/verification/work-list")
def show_work_list(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[WorkItemOut]:
    """The calling verifier's submitted periods, the most urgent first, then those assigned to nobody."""
    with parts.reading() as connection:
        items = work_list(UnitOfWork(connection), principal.organisation_id, paging.window)
    return paging.answers(items, WorkItemOut.of)


@router.post("/monitoring-periods/{period_id}/assignment", status_code=201, response_model=AssignmentOut)
async def assign(period_id: Id, body: AssignVerifier, call: CallDep) -> Response:
    """Give a submitted period to an accredited, independent certifier, as the registry."""
    return await call.commit(assign_verifier.given(period_id, body), answer=AssignmentOut.of)


@router.post("/monitoring-periods/{period_id}/findings", status_code=201, response_model=VerifierFinding)
async def add_finding(period_id: Id, body: RaiseFinding, call: CallDep) -> Response:
    """Raise a finding as the verifier: a clarification, or a corrective action. Nothing is stated before all close."""
    return await call.commit(raise_finding.given(period_id, body), answer=lambda finding: finding)


@router.get("/monitoring-periods/{period_id}/findings")
def list_findings(period_id: Id, parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[VerifierFinding]:
    """The verifier's findings on a period with their answers, for its owner, the registry and verifiers."""
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        claim = unit.periods.get(period_id)
        if principal.kind not in ("registry", "verifier") and claim.owner != principal.organisation_id:
            raise NotPermitted("this claim is another organisation's", monitoring_period_id=period_id)
        findings = unit.verification.findings(period_id, window=paging.window)
    return paging.answers(findings, lambda finding: finding)


@router.post("/verification-findings/{finding_id}/answer", status_code=201, response_model=VerifierFinding)
async def answer(finding_id: Id, body: AnswerFinding, call: CallDep) -> Response:
    """Answer a finding, as the owner of the period."""
    return await call.commit(answer_finding.given(finding_id, body), answer=lambda finding: finding)


@router.post("/verification-findings/{finding_id}/closure", status_code=201, response_model=VerifierFinding)
async def close(finding_id: Id, body: CloseFinding, call: CallDep) -> Response:
    """Close an answered finding, as the verifier who raised it."""
    return await call.commit(close_finding.given(finding_id, body), answer=lambda finding: finding)


@router.post("/accreditations", status_code=201, response_model=AccreditationOut)
async def accredit(body: RecordAccreditation, call: CallDep) -> Response:
    """Record that a certifier may verify a methodology, as the registry."""
    return await call.commit(record_accreditation.given(body), answer=AccreditationOut.of)


@router.get("/accreditations")
def list_accreditations(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[AccreditationOut]:
    """Which certifier may verify what today: from the dated file, and as the registry recorded it."""
    context = parts.context(principal)
    with parts.reading() as connection:
        held = accreditations_held(UnitOfWork(connection), context, business_date(context.at), paging.window)
    return paging.answers(held, AccreditationOut.of)


@router.post("/organisation-relations", status_code=201, response_model=RelationOut)
async def relate(body: DeclareRelation, call: CallDep) -> Response:
    """Declare that two organisations are of one group, as one of them or the registry. It cannot be taken back."""
    return await call.commit(declare_relation.given(body), answer=RelationOut.of)


@router.get("/meters/{meter_id}/readings")
def audit(
    meter_id: Id,
    parts: PartsDep,
    principal: PrincipalDep,
    starts_at: Annotated[Moment, Query()],
    ends_at: Annotated[Moment, Query()],
) -> AuditedReadingsOut:
    """Raw readings at their grid node, for the grid company that measures them and verifiers; at most 400 days."""
    period = Period(starts_at, ends_at)
    if period.seconds > timedelta(days=AUDIT_DAYS_MAX).total_seconds():
        raise PeriodInvalid("at most 400 days are shown at once", period=str(period))
    context = parts.context(principal)
    with parts.reading() as connection:
        batch = audit_readings(UnitOfWork(connection), context, meter_id, period)
    return AuditedReadingsOut(
        meter_id=meter_id,
        interval_minutes=batch.interval_minutes,
        commitment=batch.commitment(),
        starts_at=[datetime.fromtimestamp(each, UTC) for each in batch.starts.astype(np.int64).tolist()],
        energy_wh=batch.generation_wh.tolist(),
        export_wh=None if batch.export_wh is None else batch.export_wh.tolist(),
        register_wh=None if batch.register_wh is None else batch.register_wh.tolist(),
    )
