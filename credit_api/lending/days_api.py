"""Products, business dates, alerts and reports."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import Query, Response

from credit_api.http.callers import CallDep, PartsDep, PrincipalDep
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from credit_api.http.spreadsheets import CSV_TYPE, XLSX_TYPE, as_csv, as_xlsx
from credit_api.lending.schemas import AlertOut, BusinessDayOut, BusinessDaysOut, ProductOut
from financing.base.quantities import business_date
from financing.lending.business_day.closing import CloseDays, close_days
from financing.lending.reports.reporting import general_ledger, positions, trial_balance
from financing.lending.unit import UnitOfWork

router = Router(prefix="/v1", tags=["lending"], responses=PROBLEMS)


@router.get("/products")
def list_products(parts: PartsDep, principal: PrincipalDep) -> list[ProductOut]:
    """Every product that holds today: who approved it, what it takes as security, how it is repaid and priced."""
    today = business_date(parts.clock())
    return [
        ProductOut.of(record)
        for record in sorted(parts.parameters.products.records, key=lambda each: each.key)
        if record.holds_on(today)
    ]


@router.post("/business-days", status_code=201, response_model=BusinessDaysOut)
async def close(body: CloseDays, call: CallDep) -> Response:
    """Close the calling bank's open business dates, missed ones first, at most 31 a call."""
    return await call.commit(close_days.given(body), answer=BusinessDaysOut.of)


@router.get("/business-days")
def list_days(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[BusinessDayOut]:
    """The calling bank's closed business dates, newest first, with what each step found."""
    with parts.reading() as connection:
        days = UnitOfWork(connection).days.closed(principal.organisation_id, paging.window)
    return paging.answers(days, BusinessDayOut.model_validate)


@router.get("/alerts")
def list_alerts(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[AlertOut]:
    """What the calling bank's ends of day want a person to look at, newest date first."""
    with parts.reading() as connection:
        alerts = UnitOfWork(connection).days.alerts(principal.organisation_id, paging.window)
    return paging.answers(alerts, AlertOut.of)


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
