"""What a loan officer does with a running loan, the second person's word, and the business days of a bank."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, cast

from fastapi import APIRouter
from fastapi.responses import Response

from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import Done, FieldInvalid, Post, PostDep, apply
from credit_api.http.fields import Id
from credit_api.http.spreadsheets import (
    CSV_TYPE,
    XLSX_TYPE,
    as_csv,
    as_xlsx,
)
from credit_api.lending.decisions_console import decision_page
from credit_api.lending.loans_console import loan_page
from financing.base.context import Context
from financing.base.errors import InvalidState
from financing.base.quantities import Money, Rate, business_date
from financing.lending.business_day.closing import close_day, open_dates
from financing.lending.business_day.store import ClosedDay
from financing.lending.collateral.disposal_auction import AuctionCollateral, auction_collateral
from financing.lending.loans.commands import Service, reverse_payment, serve
from financing.lending.loans.loan import SCHEMES, EventKind
from financing.lending.origination.approving import check_decision
from financing.lending.reports.reporting import general_ledger, positions, trial_balance
from financing.lending.unit import UnitOfWork

router = APIRouter(include_in_schema=False)
Report = Literal["trial-balance", "general-ledger", "positions"]
DAYS_AT_ONCE, RATE_MAX = 31, 3_600
KEPT = "kept"


@router.post("/console/loans/{loan_id}/events")
def record(post: PostDep, loan_id: Id) -> Response:
    """Change terms, freeze, restructure or write off, as the lender."""

    def run(unit: UnitOfWork, context: Context) -> Done:
        kind = _kind(post)
        rated = kind is EventKind.RATE or bool(post.text("rate", required=False))
        dated = kind is EventKind.HOLIDAY
        command = Service(
            kind,
            value_on=post.day("value_on") if post.text("value_on", required=False) else None,
            rate=Rate(post.whole("rate", 0, RATE_MAX)) if rated else None,
            until=post.day("until") if dated or post.text("until", required=False) else None,
            scheme=_scheme(post) if kind is EventKind.RESTRUCTURING else None,
            full=kind is EventKind.HOLIDAY and post.checked("full"),
            capitalised=kind is EventKind.RESTRUCTURING,
        )
        serve(unit, context, loan_id, command)
        return Done(to=f"/console/loans/{loan_id}", flash="served")

    return apply(post, run, lambda page: loan_page(page, loan_id))


def _kind(post: Post) -> EventKind:
    """What is to happen. Raises `FieldInvalid` for something that the form does not offer."""
    try:
        return EventKind(post.text("kind"))
    except ValueError:
        raise FieldInvalid("kind: unknown choice", "kind") from None


def _scheme(post: Post) -> str | None:
    """The scheme after a restructuring, or None to keep it. Raises `FieldInvalid` for one that does not exist."""
    scheme = post.text("scheme", required=False)
    if scheme in {"", KEPT}:
        return None
    if scheme not in SCHEMES:
        raise FieldInvalid("scheme: unknown choice", "scheme")
    return scheme


@router.post("/console/loans/{loan_id}/events/{sequence}/reversal")
def reverse(post: PostDep, loan_id: Id, sequence: int) -> Response:
    """Take a repayment back, as the lender."""

    def run(unit: UnitOfWork, context: Context) -> Done:
        reverse_payment(unit, context, loan_id, sequence)
        return Done(to=f"/console/loans/{loan_id}", flash="reversed")

    return apply(post, run, lambda page: loan_page(page, loan_id))


@router.post("/console/loans/{loan_id}/auctions/{pledge_id}")
def auction(post: PostDep, loan_id: Id, pledge_id: Id) -> Response:
    """Put pledged credits up for a falling-price auction, as the lender."""

    def run(unit: UnitOfWork, context: Context) -> Done:
        command = AuctionCollateral(
            pledge_id,
            post.tonnes("quantity"),
            post.price("start"),
            post.price("decrement"),
            60 * post.whole("minutes", 1, 1_440),
            context.at,
            context.at + timedelta(hours=post.whole("hours", 1, 720)),
        )
        opened = auction_collateral(unit, context, command)
        return Done(to=f"/console/trade/auctions/{opened.terms.auction_id}", flash="auctioned")

    return apply(post, run, lambda page: loan_page(page, loan_id))


@router.post("/console/decisions/{decision_id}/approval")
def check(post: PostDep, decision_id: Id) -> Response:
    """Confirm or refuse a decision, as a person who did not make it."""

    def run(unit: UnitOfWork, context: Context) -> Done:
        word = post.text("outcome")
        if word not in {"confirmed", "refused"}:
            raise InvalidState("a decision is confirmed or refused", outcome=word)
        outcome = cast(Literal["confirmed", "refused"], word)
        check_decision(unit, context, decision_id, outcome, post.text("note"))
        return Done(to=f"/console/decisions/{decision_id}", flash="checked")

    return apply(post, run, lambda page: decision_page(page, decision_id))


@router.get("/console/business-days")
def days(page: PageDep) -> Response:
    """Open and closed business dates, alerts and reports."""
    return days_page(page)


def days_page(page: Page) -> Response:
    bank = page.principal("bank").organisation_id
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        waiting = open_dates(unit, page.context())
        closed, alerts = unit.days.closed(bank), unit.days.alerts(bank)
        parked = {each.day: unit.days.parked(bank, each.day) for each in closed if each.parked}
    rows = [(each, _found(each)) for each in closed]
    steps = [(each, _steps(each), parked.get(each.day, [])) for each in closed]
    return page.render("business_days.html", waiting=waiting, rows=rows, steps=steps, alerts=alerts)


def _found(closed: ClosedDay) -> dict[str, Money | int]:
    """What a person looks for in a closed date."""
    steps = {step["step"]: step for step in closed.steps}
    return {
        "interest": Money(int(steps["take_forward"]["interest_fen"])),
        "overdue": int(steps["take_forward"]["overdue"]),
        "allowance": Money(int(steps["classify_and_provide"]["allowance_fen"])),
        "called": int(steps["call_margins"]["called"]),
    }


def _steps(closed: ClosedDay) -> list[tuple[str, list[tuple[str, Money | int]]]]:
    """Every step of a closed date in its order, with what it found; amounts are those that are named in fen."""
    return [
        (
            step["step"],
            [
                (name.removesuffix("_fen"), Money(value) if name.endswith("_fen") else value)
                for name, value in step.items()
                if name != "step"
            ],
        )
        for step in closed.steps
    ]


@router.post("/console/business-days")
def close(post: PostDep) -> Response:
    """Close the open business dates, at most a month at once."""

    def run(unit: UnitOfWork, context: Context) -> Done:
        for day in open_dates(unit, context)[:DAYS_AT_ONCE]:
            close_day(unit, context, day)
        return Done(to="/console/business-days", flash="days_closed")

    return apply(post, run, days_page)


@router.get("/console/reports/{name}.{form}")
def report(page: PageDep, name: Report, form: Literal["csv", "xlsx"]) -> Response:
    """A report of the acting organisation, as a file."""
    context = page.context()
    today = business_date(context.at)
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        if name == "general-ledger":
            table = general_ledger(unit, context, today, today)
        else:
            table = trial_balance(unit, context) if name == "trial-balance" else positions(unit, context)
    if form == "csv":
        content, kind = as_csv(table.columns, table.rows), CSV_TYPE
    else:
        content, kind = as_xlsx(table.title, table.columns, table.rows), XLSX_TYPE
    headers = {"Content-Disposition": f'attachment; filename="{name}-{today}.{form}"'}
    return Response(content, media_type=kind, headers=headers)
