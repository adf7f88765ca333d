"""Projects, readings, monitoring periods, issuances, holdings, retirements and the ledger."""

from __future__ import annotations

from typing import Annotated, Self

from fastapi import Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from credit_api.credits.schemas import (
    BalanceOut,
    CertificateOut,
    EntryOut,
    HeadOut,
    IssuanceOut,
    IssuedOut,
    MeterKeyOut,
    PeriodOut,
    ProjectOut,
    ReadingsOut,
)
from credit_api.http.callers import Call, CallDep, PartsDep, PrincipalDep
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from credit_api.measuring.asking import claimed
from financing.base.commands import Command, Id
from financing.base.context import Context
from financing.base.errors import NotPermitted
from financing.lending.unit import UnitOfWork
from financing.registry.credits.commands import IssueCredits, issue_credits
from financing.registry.metering.commands import LoadReadings, ReplaceMeterKey, load_readings, replace_meter_key
from financing.registry.metering.csv_readings import parse_readings
from financing.registry.metering.node.port import Receipt
from financing.registry.metering.readings import ReadingBatch
from financing.registry.projects.commands import RegisterProject, register_project
from financing.registry.retirement.commands import RetireCredits, retire_credits
from financing.registry.retirement.model import require_certificate_number
from financing.registry.verification.auditing import corrected_since
from financing.registry.verification.commands import StatePeriod, SubmitPeriod, state_period
from financing.registry.verification.monitoring import MonitoringState

router = Router(prefix="/v1", tags=["assets"], responses=PROBLEMS)
SEES_EVERYTHING = ("registry", "verifier")


@router.post("/projects", status_code=201, response_model=ProjectOut)
async def add_project(body: RegisterProject, call: CallDep) -> Response:
    """Register a project of the calling developer, pinned to a methodology version, with its meters."""
    return await call.commit(register_project.given(body), answer=ProjectOut.of)


@router.get("/projects")
def list_projects(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[ProjectOut]:
    """The caller's projects; the registry and verifiers see all."""
    owner = None if principal.kind in SEES_EVERYTHING else principal.organisation_id
    with parts.reading() as connection:
        projects = UnitOfWork(connection).projects.all(owner, window=paging.window)
    return paging.answers(projects, ProjectOut.of)


@router.post("/meters/{meter_id}/readings", status_code=201, response_model=ReadingsOut)
async def add_readings(meter_id: Id, body: LoadReadings, call: CallDep) -> Response:
    """Load interval readings into the node of the calling grid company, which measures the meter.

    All of a batch is stored, or nothing; the same batch again is a no-op that says so. With `correction`, readings on
    record get a new revision.
    """
    batch = await run_in_threadpool(body.batch, meter_id)
    return await _load(call, batch, body.signature, body.correction)


@router.post("/meters/{meter_id}/key", status_code=201, response_model=MeterKeyOut)
async def change_meter_key(meter_id: Id, body: ReplaceMeterKey, call: CallDep) -> Response:
    """Let a meter sign with another key from now on, as the grid company that measures it."""
    return await call.commit(replace_meter_key.given(meter_id, body), answer=MeterKeyOut.of)


class Upload(Command):
    """What makes two uploads the same: meter, interval and the readings themselves, as their commitment."""

    meter_id: str
    interval_minutes: int
    commitment: str
    correction: str

    @classmethod
    def of(cls, batch: ReadingBatch, correction: str) -> Self:
        return cls(
            meter_id=batch.meter_id,
            interval_minutes=batch.interval_minutes,
            commitment=batch.commitment(),
            correction=correction,
        )


async def _load(call: Call, batch: ReadingBatch, signature: str | None, correction: str) -> Response:
    def effect(context: Context) -> Receipt:
        with call.parts.reading() as connection:
            return load_readings(UnitOfWork(connection), context, batch, signature, correction)

    same = await run_in_threadpool(Upload.of, batch, correction)
    return await call.commit_effect(
        "load_readings",
        effect,
        answer=lambda receipt: ReadingsOut.joined(receipt, batch, generation_wh=batch.generation()),
        body=same,
    )


@router.post(
    "/meters/{meter_id}/readings.csv",
    status_code=201,
    response_model=ReadingsOut,
    openapi_extra={"requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def add_readings_csv(
    meter_id: Id,
    request: Request,
    call: CallDep,
    interval_minutes: Annotated[int, Query(ge=1, le=43_200)],
    correction: Annotated[str, Query(max_length=400, pattern=r"^[^\x00-\x1f\x7f]*$")] = "",
    signature: Annotated[str | None, Header(alias="X-Meter-Signature", pattern=r"^[0-9a-f]{128}$")] = None,
) -> Response:
    """Load readings from CSV: `interval_start` (ISO 8601 with zone), `generation_kwh`, and optionally `export_kwh` and
    `register_kwh`. The meter's signature over the batch is in `X-Meter-Signature`.
    """
    batch = await run_in_threadpool(parse_readings, await request.body(), meter_id, interval_minutes)
    return await _load(call, batch, signature, correction)


@router.post("/monitoring-periods", status_code=201, response_model=PeriodOut)
async def submit(body: SubmitPeriod, call: CallDep) -> Response:
    """Claim a period of one of the caller's projects: readings are totalled, checked and turned into a reduction."""
    given = await run_in_threadpool(claimed, call.parts, call.issuer.context(), body)
    return await call.commit(given, answer=PeriodOut.of)


@router.get("/monitoring-periods")
def list_periods(
    parts: PartsDep, principal: PrincipalDep, paging: PagingDep, state: MonitoringState | None = None
) -> list[PeriodOut]:
    """The caller's claims; the registry and verifiers see all. `state=submitted` is a verifier's work list."""
    owner = None if principal.kind in SEES_EVERYTHING else principal.organisation_id
    with parts.reading() as connection:
        claims = UnitOfWork(connection).periods.all(owner_id=owner, state=state, window=paging.window)
    return paging.answers(claims, PeriodOut.of)


@router.get("/monitoring-periods/{period_id}")
def show_period(period_id: Id, parts: PartsDep, principal: PrincipalDep) -> PeriodOut:
    """One claim with its workings, for its owner, the registry and verifiers."""
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        claim = unit.periods.get(period_id)
        if principal.kind not in SEES_EVERYTHING and claim.owner != principal.organisation_id:
            raise NotPermitted("this claim is another organisation's", monitoring_period_id=period_id)
        return PeriodOut.of(claim, corrected_since=corrected_since(unit, parts.nodes, claim))


@router.post("/monitoring-periods/{period_id}/statement", status_code=201, response_model=PeriodOut)
async def state(period_id: Id, body: StatePeriod, call: CallDep) -> Response:
    """A verifier's statement: positive accepts the period, negative rejects it."""
    return await call.commit(state_period.given(period_id, body), answer=PeriodOut.of)


@router.post("/issuances", status_code=201, response_model=IssuedOut)
async def issue(body: IssueCredits, call: CallDep) -> Response:
    """Issue the whole tonnes of an accepted period to the owner, as the registry; the rest is carried over."""
    return await call.commit(
        issue_credits.given(body), answer=lambda issued: IssuedOut.joining(issued, body.monitoring_period_id)
    )


@router.get("/issuances")
def list_issuances(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[IssuanceOut]:
    """Everything ever issued: what exists is public among the participants."""
    with parts.reading() as connection:
        issuances = UnitOfWork(connection).issuances.all(window=paging.window)
    return paging.answers(issuances, IssuanceOut.of)


@router.get("/balances")
def list_balances(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[BalanceOut]:
    """The caller's accounts: settlement money, credits held and pledged, debts and claims."""
    with parts.reading() as connection:
        balances = UnitOfWork(connection).ledger.balances(owner_id=principal.organisation_id, window=paging.window)
    return paging.answers(balances, BalanceOut.of)


@router.get("/entries")
def list_entries(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[EntryOut]:
    """Ledger entries that touch the caller, newest first, with the caller's own postings."""
    with parts.reading() as connection:
        entries = UnitOfWork(connection).ledger.entries(organisation_id=principal.organisation_id, window=paging.window)
    return paging.answers(entries, EntryOut.model_validate)


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
        return CertificateOut.of(UnitOfWork(connection).retirements.get(number))
