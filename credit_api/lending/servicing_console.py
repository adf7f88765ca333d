"""What a loan officer does with a running loan, the second person's word, and the business days of a bank."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, cast

from fastapi.responses import Response

from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import FieldInvalid, Post, PostDep
from credit_api.http.routing import Router
from credit_api.http.spreadsheets import CSV_TYPE, XLSX_TYPE, as_csv, as_xlsx
from credit_api.lending.decisions_console import decision_page
from credit_api.lending.loans_console import loan_page, on_loan
from financing.base.commands import Command, Given, Id, SignedAt
from financing.base.quantities import Money, business_date
from financing.lending.business_day.closing import CloseDays, close_days, open_dates
from financing.lending.business_day.outcome import ClosedDay
from financing.lending.collateral.disposal_auction import AuctionCollateral, auction_collateral
from financing.lending.loans.commands import reverse_payment, service_loan
from financing.lending.loans.events import Freeze, Holiday, RateChange, Restructuring, Servicing, Unfreeze, WriteOff
from financing.lending.origination.approving import CheckDecision, check_decision
from financing.lending.reports.reporting import general_ledger, positions, trial_balance
from financing.lending.unit import UnitOfWork
from financing.market.auctions.store import Auction

router = Router(include_in_schema=False)
Report = Literal["trial-balance", "general-ledger", "positions"]
DAYS_SHOWN, ALERTS_SHOWN = 31, 40
KEPT = "kept"
# What the form says all of by its inputs; a restructuring has choices of its own.
PLAIN: dict[str, type[Command]] = {
    "rate": RateChange,
    "holiday": Holiday,
    "freeze": Freeze,
    "unfreeze": Unfreeze,
    "write_off": WriteOff,
}


@router.post("/console/loans/{loan_id}/events")
def record(post: PostDep, loan_id: Id) -> Response:
    """Change terms, freeze, restructure or write off, as the lender."""
    return on_loan(post, loan_id, lambda: service_loan.given(loan_id, _asked(post)), "served")


def _asked(post: Post) -> Servicing:
    """What is to happen. Raises `FieldInvalid` for something that the form does not offer."""
    kind = post.text("kind")
    if kind == "restructuring":
        scheme = post.text("scheme", required=False)
        if scheme in {"", KEPT}:
            return post.read(Restructuring, capitalised=True, scheme=None)
        return post.read(Restructuring, capitalised=True)
    if kind not in PLAIN:
        raise FieldInvalid("kind: unknown choice", "kind")
    return cast(Servicing, post.read(PLAIN[kind]))


@router.post("/console/loans/{loan_id}/events/{sequence}/reversal")
def reverse(post: PostDep, loan_id: Id, sequence: int) -> Response:
    """Take a repayment back, as the lender."""
    return on_loan(post, loan_id, lambda: reverse_payment.given(loan_id, sequence), "reversed")


@router.post("/console/loans/{loan_id}/auctions/{pledge_id}")
def auction(post: PostDep, loan_id: Id, pledge_id: Id) -> Response:
    """Put pledged credits up for a falling-price auction, as the lender."""

    def given() -> Given[UnitOfWork, Auction]:
        # Of a form that was sent again with a signature, as of when its text was shown.
        opens_at = post.read(SignedAt).moment(post.page.parts.clock())
        command = post.read(
            AuctionCollateral,
            step_seconds=60 * post.whole("minutes", 1, 1_440),
            opens_at=opens_at,
            closes_at=opens_at + timedelta(hours=post.whole("hours", 1, 720)),
        )
        return auction_collateral.given(pledge_id, command)

    return post.commit(
        given,
        to=lambda opened: f"/console/trade/auctions/{opened.terms.auction_id}",
        flash="auctioned",
        again=lambda page: loan_page(page, loan_id),
    )


@router.post("/console/decisions/{decision_id}/approval")
def check(post: PostDep, decision_id: Id) -> Response:
    """Confirm or refuse a decision, as a person who did not make it."""
    return post.commit(
        lambda: check_decision.given(decision_id, post.read(CheckDecision)),
        to=f"/console/decisions/{decision_id}",
        flash="checked",
        again=lambda page: decision_page(page, decision_id),
    )


@router.get("/console/business-days")
def days(page: PageDep) -> Response:
    """Open and closed business dates, alerts and reports."""
    return days_page(page)


def days_page(page: Page) -> Response:
    bank = page.principal("bank").organisation_id
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        waiting = open_dates(unit, page.context())
        closed = unit.days.closed(bank, page.window("closed", DAYS_SHOWN))
        alerts = unit.days.alerts(bank, page.window("alerts", ALERTS_SHOWN))
        parked = {each.day: unit.days.parked(bank, each.day) for each in closed if each.parked}
    rows = [(each, _totals(each)) for each in closed]
    steps = [(each, _steps(each), parked.get(each.day, [])) for each in closed]
    return page.render("business_days.html", waiting=waiting, closed=closed, rows=rows, steps=steps, alerts=alerts)


def _totals(closed: ClosedDay) -> dict[str, Money | int]:
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
    return post.commit(
        lambda: close_days.given(CloseDays()), to="/console/business-days", flash="days_closed", again=days_page
    )


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
