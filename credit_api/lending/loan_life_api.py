"""The life of loans: products, schedules, events, the second person, business dates, alerts and reports."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from credit_api.http.callers import PartsDep, PrincipalDep, require_kind
from credit_api.http.commands import IdempotencyDep, commit
from credit_api.http.fields import Id
from credit_api.http.problems import PROBLEMS
from credit_api.http.spreadsheets import (
    CSV_TYPE,
    XLSX_TYPE,
    as_csv,
    as_xlsx,
)
from credit_api.lending.loan_life_schemas import (
    AlertOut,
    ApprovalIn,
    ApprovalOut,
    BusinessDayOut,
    BusinessDaysIn,
    BusinessDaysOut,
    EventOut,
    ProductOut,
    ScheduleOut,
    ServicingIn,
    SubstitutedOut,
    SubstitutionIn,
    TargetReviewIn,
    TrancheIn,
)
from credit_api.lending.schemas import LoanOut, PledgeOut
from financing.base.context import Context
from financing.base.quantities import Money, Rate, business_date
from financing.lending.business_day.closing import close_day, open_dates
from financing.lending.collateral.standing import stand
from financing.lending.collateral.substituting import substitute
from financing.lending.loans.commands import (
    Service,
    history_of,
    reverse_payment,
    review_target,
    schedule_of,
    serve,
)
from financing.lending.loans.loan import NOTHING, EventKind
from financing.lending.origination.approving import check_decision
from financing.lending.origination.commands import draw_tranche
from financing.lending.reports.reporting import general_ledger, positions, trial_balance
from financing.lending.unit import UnitOfWork

router = APIRouter(prefix="/v1", tags=["lending"], responses=PROBLEMS)
DAYS_AT_ONCE = 31


@router.get("/products")
def list_products(parts: PartsDep, principal: PrincipalDep) -> list[ProductOut]:
    """Every product that holds today: who approved it, what it takes as security, how it is repaid and priced."""
    today = business_date(parts.clock())
    return [
        ProductOut.of(record)
        for record in sorted(parts.parameters.products.records, key=lambda each: each.key)
        if record.holds_on(today)
    ]


@router.post("/decisions/{decision_id}/approval", status_code=201, response_model=ApprovalOut)
async def approve(
    decision_id: Id, body: ApprovalIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Confirm or refuse a decision as a second person of the bank: one whose key bears another name."""

    def run(unit: UnitOfWork, context: Context) -> ApprovalOut:
        return ApprovalOut.of(check_decision(unit, context, decision_id, body.outcome, body.note))

    return await commit(parts, principal, key, request, body, run)


@router.get("/loans/{loan_id}/schedule")
def show_schedule(loan_id: Id, parts: PartsDep, principal: PrincipalDep) -> ScheduleOut:
    """Instalments that fell due and those to come."""
    with parts.reading() as connection:
        return ScheduleOut.of(loan_id, schedule_of(UnitOfWork(connection), parts.context(principal), loan_id))


@router.get("/loans/{loan_id}/events")
def list_events(loan_id: Id, parts: PartsDep, principal: PrincipalDep) -> list[EventOut]:
    """What happened to a loan, in the order of entry; reversed events stay."""
    with parts.reading() as connection:
        events = history_of(UnitOfWork(connection), parts.context(principal), loan_id)
    return [EventOut.of(stored) for stored in events]


@router.post("/loans/{loan_id}/tranches", status_code=201, response_model=LoanOut)
async def draw(
    loan_id: Id, body: TrancheIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Pay out a further tranche of what was committed, as the lender, if the collateral covers it."""

    def run(unit: UnitOfWork, context: Context) -> LoanOut:
        return LoanOut.of(draw_tranche(unit, context, loan_id, Money(body.amount_fen)))

    return await commit(parts, principal, key, request, body, run)


@router.post("/loans/{loan_id}/events", status_code=201, response_model=LoanOut)
async def add_event(
    loan_id: Id, body: ServicingIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Change terms, grant a holiday, restructure, freeze, write off (lender), recover (borrower)."""

    def run(unit: UnitOfWork, context: Context) -> LoanOut:
        command = Service(
            EventKind(body.kind),
            value_on=body.value_on,
            amount=Money(body.amount_fen) if body.amount_fen is not None else NOTHING,
            rate=Rate(body.annual_rate_bps) if body.annual_rate_bps is not None else None,
            until=body.until,
            scheme=body.scheme,
            full=body.full,
            capitalised=body.capitalised,
        )
        serve(unit, context, loan_id, command)
        return LoanOut.of(stand(unit, context, loan_id))

    return await commit(parts, principal, key, request, body, run)


@router.post("/loans/{loan_id}/target-reviews", status_code=201, response_model=LoanOut)
async def review(
    loan_id: Id, body: TargetReviewIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Let the rate of a sustainability-linked loan follow its target, as the lender."""

    def run(unit: UnitOfWork, context: Context) -> LoanOut:
        review_target(unit, context, loan_id, reached=body.reached)
        return LoanOut.of(stand(unit, context, loan_id))

    return await commit(parts, principal, key, request, body, run)


@router.post("/loans/{loan_id}/events/{sequence}/reversal", response_model=LoanOut)
async def reverse(
    loan_id: Id, sequence: int, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Take a repayment back, as the lender: the books become those without it, in an entry of its own."""

    def run(unit: UnitOfWork, context: Context) -> LoanOut:
        reverse_payment(unit, context, loan_id, sequence)
        return LoanOut.of(stand(unit, context, loan_id))

    return await commit(parts, principal, key, request, None, run, status=200)


@router.post("/pledges/{pledge_id}/substitution", response_model=SubstitutedOut)
async def replace_pledge(
    pledge_id: Id, body: SubstitutionIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Put a reserved pledge in the place of a posted one, as the lender, if the debt stays covered: new, then old."""

    def run(unit: UnitOfWork, context: Context) -> SubstitutedOut:
        new, old = substitute(unit, context, pledge_id, body.by_pledge_id, body.registration_number)
        return SubstitutedOut(new=PledgeOut.of(new), old=PledgeOut.of(old))

    return await commit(parts, principal, key, request, body, run, status=200)


@router.post("/business-days", status_code=201, response_model=BusinessDaysOut)
async def close_days(
    body: BusinessDaysIn, request: Request, parts: PartsDep, principal: PrincipalDep, key: IdempotencyDep
) -> Response:
    """Close the calling bank's open business dates, missed ones first, at most 31 a call."""
    require_kind(principal, "bank")

    def run(unit: UnitOfWork, context: Context) -> BusinessDaysOut:
        dates = [day for day in open_dates(unit, context) if body.through is None or day <= body.through]
        return BusinessDaysOut(days=[BusinessDayOut.of(close_day(unit, context, day)) for day in dates[:DAYS_AT_ONCE]])

    return await commit(parts, principal, key, request, body, run)


@router.get("/business-days")
def list_days(parts: PartsDep, principal: PrincipalDep) -> list[BusinessDayOut]:
    """The calling bank's closed business dates, newest first, with what each step found."""
    require_kind(principal, "bank")
    with parts.reading() as connection:
        return [BusinessDayOut.of(day) for day in UnitOfWork(connection).days.closed(principal.organisation_id)]


@router.get("/alerts")
def list_alerts(parts: PartsDep, principal: PrincipalDep) -> list[AlertOut]:
    """What the calling bank's ends of day want a person to look at, newest date first."""
    require_kind(principal, "bank")
    with parts.reading() as connection:
        return AlertOut.each(UnitOfWork(connection).days.alerts(principal.organisation_id))


@router.get("/reports/{name}", response_class=Response, responses={200: {"content": {"text/csv": {}, XLSX_TYPE: {}}}})
def report(
    name: Literal["trial-balance", "general-ledger", "positions"],
    parts: PartsDep,
    principal: PrincipalDep,
    form: Annotated[Literal["csv", "xlsx"], Query(alias="format")] = "csv",
    first: date | None = None,
    last: date | None = None,
) -> Response:
    """The caller's trial balance, general ledger (of `first` to `last`, default today) or loan positions (banks)."""
    context = parts.context(principal)
    today = business_date(context.at)
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        if name == "trial-balance":
            table = trial_balance(unit, context)
        elif name == "general-ledger":
            table = general_ledger(unit, context, first or today, last or today)
        else:
            table = positions(unit, context)
    if form == "csv":
        content, kind = as_csv(table.columns, table.rows), CSV_TYPE
    else:
        content, kind = as_xlsx(table.title, table.columns, table.rows), XLSX_TYPE
    return Response(
        content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}-{today}.{form}"'}
    )
