"""Projects, readings, monitoring periods, issuances, holdings, retirements and the ledger."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from credit_api.app.errors import BodyTooLarge
from credit_api.app.wiring import Parts
from credit_api.credits.schemas import (
    BalanceOut,
    CertificateOut,
    EntryOut,
    HeadOut,
    IssuanceIn,
    IssuanceOut,
    IssuedOut,
    PeriodIn,
    PeriodOut,
    ProjectIn,
    ProjectOut,
    ReadingsIn,
    ReadingsOut,
    StatementIn,
)
from credit_api.http.callers import CallDep, PartsDep, PrincipalDep
from credit_api.http.commands import IdempotencyDep, commit, commit_after
from credit_api.http.fields import Id, RequestModel
from credit_api.http.problems import PROBLEMS
from financing.base.context import Context
from financing.base.errors import NotPermitted
from financing.base.quantities import (
    INT64_MAX,
    Carbon,
    Energy,
    Period,
)
from financing.lending.unit import UnitOfWork
from financing.registry.credits.commands import issue_credits
from financing.registry.metering.commands import load_readings
from financing.registry.metering.csv_readings import parse_readings
from financing.registry.metering.readings import ReadingBatch
from financing.registry.projects.commands import NewMeter, RegisterProject, register_project
from financing.registry.projects.model import Declarations, Location
from financing.registry.retirement.commands import RetireCredits, retire_credits
from financing.registry.retirement.model import require_certificate_number
from financing.registry.verification.auditing import corrected_since
from financing.registry.verification.commands import (
    StatePeriod,
    SubmitPeriod,
    state_period,
    submit_period,
)

router = APIRouter(prefix="/v1", tags=["assets"], responses=PROBLEMS)
CSV_BYTES_MAX = 8 * 1024 * 1024
SEES_EVERYTHING = ("registry", "verifier")


@router.post("/projects", status_code=201, response_model=ProjectOut)
async def add_project(
    body: ProjectIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Register a project of the calling developer, pinned to a methodology version, with its meters."""

    def run(unit: UnitOfWork, context: Context) -> ProjectOut:
        command = RegisterProject(
            code=body.code,
            name=body.name,
            methodology=body.methodology,
            methodology_version=body.methodology_version,
            capacity_w=body.capacity_w,
            grid_connected_on=body.grid_connected_on,
            crediting_period=Period(body.crediting_from, body.crediting_until),
            location=Location(body.region, body.latitude_deg, body.longitude_deg),
            meters=tuple(
                NewMeter(each.meter_id, each.measured_by, each.interval_minutes, each.role, each.public_key)
                for each in body.meters
            ),
            declarations=Declarations(
                body.owns_the_reduction, body.not_registered_elsewhere, body.outside_ets_boundary
            ),
            choices=tuple(sorted(body.choices.items())),
            developed_by=tuple(body.developed_by),
        )
        return ProjectOut.of(register_project(unit, context, command))

    return await commit(parts, principal, key, request, body, run)


@router.get("/projects")
def list_projects(parts: PartsDep, principal: PrincipalDep) -> list[ProjectOut]:
    """The caller's projects; the registry and verifiers see all."""
    owner = None if principal.kind in SEES_EVERYTHING else principal.organisation_id
    with parts.reading() as connection:
        return [ProjectOut.of(found) for found in UnitOfWork(connection).registry.projects(owner)]


@router.post("/meters/{meter_id}/readings", status_code=201, response_model=ReadingsOut)
def add_readings(
    meter_id: Id,
    body: ReadingsIn,
    request: Request,
    parts: PartsDep,
    principal: PrincipalDep,
    key: IdempotencyDep,
) -> Response:
    """Load interval readings into the node of the calling grid company, which measures the meter.

    All of a batch is stored, or nothing; the same batch again is a no-op that says so. With `correction`, readings on
    record get a new revision.
    """
    batch = _batch(meter_id, body)

    def effect(context: Context) -> ReadingsOut:
        return _load(parts, context, batch, body.signature, body.correction)

    return commit_after(parts, principal, key, request, body, effect)


def _load(parts: Parts, context: Context, batch: ReadingBatch, signature: str | None, reason: str) -> ReadingsOut:
    with parts.reading() as connection:
        return ReadingsOut.of(batch, load_readings(UnitOfWork(connection), context, batch, signature, reason))


class _CsvFingerprint(RequestModel):
    """What makes two uploads the same: meter, interval and the file's own bytes (as their readings' commitment)."""

    meter_id: str
    interval_minutes: int
    commitment: str
    correction: str = ""


@router.post(
    "/meters/{meter_id}/readings.csv",
    status_code=201,
    response_model=ReadingsOut,
    openapi_extra={"requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def add_readings_csv(
    meter_id: Id,
    request: Request,
    parts: PartsDep,
    principal: PrincipalDep,
    key: IdempotencyDep,
    interval_minutes: Annotated[int, Query(ge=1, le=43_200)],
    correction: Annotated[str, Query(max_length=400, pattern=r"^[^\x00-\x1f\x7f]*$")] = "",
    signature: Annotated[str | None, Header(alias="X-Meter-Signature", pattern=r"^[0-9a-f]{128}$")] = None,
) -> Response:
    """Load readings from CSV: `interval_start` (ISO 8601 with zone), `generation_kwh`, and optionally `export_kwh` and
    `register_kwh`. The meter's signature over the batch is in `X-Meter-Signature`.
    """
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > CSV_BYTES_MAX:
            raise BodyTooLarge("a file of readings is at most 8 MiB", bytes_max=CSV_BYTES_MAX)
    batch = await run_in_threadpool(parse_readings, bytes(content), meter_id, interval_minutes)

    def effect(context: Context) -> ReadingsOut:
        return _load(parts, context, batch, signature, correction)

    same = _CsvFingerprint(
        meter_id=meter_id,
        interval_minutes=interval_minutes,
        commitment=batch.commitment(),
        correction=correction,
    )
    return await run_in_threadpool(commit_after, parts, principal, key, request, same, effect)


@router.post("/monitoring-periods", status_code=201, response_model=PeriodOut)
async def submit(
    body: PeriodIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Claim a period of one of the caller's projects: readings are totalled, checked and turned into a reduction."""

    def run(unit: UnitOfWork, context: Context) -> PeriodOut:
        command = SubmitPeriod(
            body.project_id,
            Period(body.starts_at, body.ends_at),
            Energy(body.green_power_sold_wh),
            tuple((name, each.value, each.evidence) for name, each in sorted(body.declared.items())),
            tuple(body.vehicles),
        )
        return PeriodOut.of(submit_period(unit, context, command))

    return await commit(parts, principal, key, request, body, run)


@router.get("/monitoring-periods")
def list_periods(parts: PartsDep, principal: PrincipalDep, state: Id | None = None) -> list[PeriodOut]:
    """The caller's claims; the registry and verifiers see all. `state=submitted` is a verifier's work list."""
    owner = None if principal.kind in SEES_EVERYTHING else principal.organisation_id
    with parts.reading() as connection:
        found = UnitOfWork(connection).registry.periods(owner_id=owner, state=state)
    return [PeriodOut.of(claim) for claim in found]


@router.get("/monitoring-periods/{period_id}")
def show_period(period_id: Id, parts: PartsDep, principal: PrincipalDep) -> PeriodOut:
    """One claim with its workings, for its owner, the registry and verifiers."""
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        claim = unit.registry.period(period_id)
        if principal.kind not in SEES_EVERYTHING and claim.owner != principal.organisation_id:
            raise NotPermitted("this claim is another organisation's", monitoring_period_id=period_id)
        return PeriodOut.of(claim, corrected_since=corrected_since(unit, parts.nodes, claim))


@router.post("/monitoring-periods/{period_id}/statement", status_code=201, response_model=PeriodOut)
async def state(
    period_id: Id,
    body: StatementIn,
    request: Request,
    parts: PartsDep,
    principal: PrincipalDep,
    key: IdempotencyDep,
) -> Response:
    """A verifier's statement: positive accepts the period, negative rejects it."""

    def run(unit: UnitOfWork, context: Context) -> PeriodOut:
        command = StatePeriod(
            period_id,
            body.opinion,
            body.commitment,
            Energy(body.generation_wh),
            Carbon(body.reduction_kg),
            body.remarks,
        )
        return PeriodOut.of(state_period(unit, context, command))

    return await commit(parts, principal, key, request, body, run)


@router.post("/issuances", status_code=201, response_model=IssuedOut)
async def issue(
    body: IssuanceIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Issue the whole tonnes of an accepted period to the owner, as the registry; the rest is carried over."""

    def run(unit: UnitOfWork, context: Context) -> IssuedOut:
        return IssuedOut.of(issue_credits(unit, context, body.monitoring_period_id), body.monitoring_period_id)

    return await commit(parts, principal, key, request, body, run)


@router.get("/issuances")
def list_issuances(parts: PartsDep, principal: PrincipalDep) -> list[IssuanceOut]:
    """Everything ever issued: what exists is public among the participants."""
    with parts.reading() as connection:
        return [IssuanceOut.of(found) for found in UnitOfWork(connection).registry.issuances()]


@router.get("/balances")
def list_balances(parts: PartsDep, principal: PrincipalDep) -> list[BalanceOut]:
    """The caller's accounts: settlement money, credits held and pledged, debts and claims."""
    with parts.reading() as connection:
        found = UnitOfWork(connection).ledger.balances(owner_id=principal.organisation_id)
    return [BalanceOut.of(balance) for balance in found]


@router.get("/entries")
def list_entries(
    parts: PartsDep,
    principal: PrincipalDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    before: Annotated[int | None, Query(ge=1, le=INT64_MAX)] = None,
) -> list[EntryOut]:
    """Ledger entries that touch the caller, newest first, with the caller's own postings."""
    with parts.reading() as connection:
        found = UnitOfWork(connection).ledger.entries(
            organisation_id=principal.organisation_id, limit=limit, before=before
        )
    return [EntryOut.model_validate(entry) for entry in found]


@router.get("/ledger/head")
def show_head(parts: PartsDep) -> HeadOut:
    """The ledger's last entry number and hash. Public: whoever keeps it can prove that nothing before it changed."""
    with parts.reading() as connection:
        head = UnitOfWork(connection).ledger.head()
    return HeadOut(entry_id=head.entry_id, hash=head.hash)


@router.post("/retirements", status_code=201, response_model=CertificateOut)
async def retire(body: RetireCredits, call: CallDep) -> Response:
    """Retire credits of the caller's holding for good. There is no way back."""
    return await call.commit(retire_credits.given(body), answer=CertificateOut.of)


@router.get("/certificates/{certificate_number}")
def show_certificate(certificate_number: Id, parts: PartsDep) -> CertificateOut:
    """Look a retirement certificate up. Public: no key is needed."""
    number = require_certificate_number(certificate_number)
    with parts.reading() as connection:
        return CertificateOut.of(UnitOfWork(connection).registry.retirement(number))


def _batch(meter_id: str, body: ReadingsIn) -> ReadingBatch:
    export = [reading.export_wh for reading in body.readings]
    register = [reading.register_wh for reading in body.readings]
    known = [value for value in export if value is not None]
    counted = [value for value in register if value is not None]
    if len(known) not in (0, len(export)) or len(counted) not in (0, len(register)):
        raise NotPermitted("either every reading of a batch has a register or none has", meter_id=meter_id)
    return ReadingBatch(
        meter_id,
        body.interval_minutes,
        np.array([int(reading.starts_at.timestamp()) for reading in body.readings], dtype="datetime64[s]"),
        np.array([reading.generation_wh for reading in body.readings], dtype=np.int64),
        np.array(known, dtype=np.int64) if known else None,
        np.array(counted, dtype=np.int64) if counted else None,
    )
