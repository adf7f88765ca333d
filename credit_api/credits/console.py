"""What a holder has: credits by issuance, loans, pledges, listings, retirements; plants and their readings."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Literal

from fastapi import Query
from fastapi.responses import Response

from credit_api.console.charts import NARROW, WIDE, BarChart, bar_chart
from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import FieldInvalid, Post, PostDep
from credit_api.console.queries import daily_kwh, span_of
from credit_api.http.routing import Router
from credit_api.measuring.asking import claimed
from credit_api.over_the_counter.dealing import own_listings
from financing.base.authority import HOLDERS
from financing.base.commands import Id
from financing.base.errors import NotPermitted
from financing.base.quantities import Money, business_date
from financing.base.storage.paging import Window
from financing.ledger.accounts import cash
from financing.lending.collateral.standing import loan_coverages
from financing.lending.unit import UnitOfWork
from financing.registry.credits.queries import amounts, holdings
from financing.registry.metering.node.port import Span
from financing.registry.methodology.commands import pinned
from financing.registry.verification.commands import GREEN, SubmitPeriod

router = Router(include_in_schema=False)
CALLS, DECISIONS = 20, 8
EXACT = re.compile(r"\d{1,15}(\.\d{1,12})?")
SEES_EVERY_PROJECT = ("registry", "verifier")


@router.get("/console/assets")
def assets(page: PageDep) -> Response:
    """The holder's own page."""
    return assets_page(page)


def assets_page(page: Page) -> Response:
    me = page.principal(*HOLDERS).organisation_id
    at = page.parts.clock()
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        rows, totals = holdings(connection, me, page.window("holdings")), amounts(connection, me)
        taken = unit.loans.taken_by(me, page.window("loans"))
        loans = taken.map(lambda stored: list(loan_coverages(unit, page.parts.parameters, stored, at)))
        calls = unit.calls.open_against(me, Window(CALLS))
        pledges = unit.pledges.given_by(me, page.window("pledges"))
        decisions = unit.decisions.about(me, page.window("decisions", DECISIONS))
        listings, names = own_listings(page, unit)
        projects = unit.projects.all(me, window=page.window("projects"))
        retirements = unit.retirements.all(me, window=page.window("retirements"))
        money = unit.ledger.balance(cash(me))
    return page.render(
        "assets.html",
        rows=rows,
        loans=loans,
        calls=calls,
        pledges=pledges,
        decisions=decisions,
        listings=listings,
        names=names,
        projects=projects,
        retirements=retirements,
        cash=Money(money.available),
        totals=totals,
        at=at,
    )


@router.get("/console/projects/{project_id}")
def project(page: PageDep, project_id: Id, days: Annotated[Literal[30, 90, 365], Query()] = 90) -> Response:
    """A plant: daily generation, claims, and the form for a new claim."""
    return project_page(page, project_id, days)


def project_page(page: Page, project_id: str, days: int = 90) -> Response:
    principal = page.principal()
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        plant = unit.projects.get(project_id)
        if plant.owner != principal.organisation_id and principal.kind not in SEES_EVERY_PROJECT:
            raise NotPermitted("this project is another organisation's", project_id=project_id)
        meters = [(meter, span_of(page.parts.nodes, meter)) for meter in unit.projects.meters(project_id)]
        claims = unit.periods.of_project(project_id, window=page.window("claims"))
        claimed_to = unit.periods.last_end(project_id)
        daily = daily_kwh(page.parts.nodes, [meter for meter, _ in meters], days)
        methodology = pinned(unit, page.context(), plant)
    starts, ends = _unclaimed(claimed_to, [span for _, span in meters if span is not None])
    return page.render(
        "project.html",
        project=plant,
        meters=meters,
        claims=claims,
        methodology=methodology,
        steps=methodology.steps(methodology.variant(dict(plant.choices))),
        declared=[
            (name, each) for name, each in methodology.file.inputs.items() if each.kind == "declared" and name != GREEN
        ],
        days=days,
        drawings=daily_charts(daily),
        total=sum(value for _, value in daily),
        mine=plant.owner == principal.organisation_id,
        starts=starts,
        ends=ends,
    )


def daily_charts(daily: list[tuple[datetime, float]]) -> tuple[BarChart, ...]:
    """Daily generation, wide and narrow; the narrow one shows the latest part that fits."""
    if not daily:
        return ()
    return tuple(
        bar_chart(frame, daily[-most:], lambda value: f"{value:,.0f}", lambda value: f"{value:,.1f} kWh")
        for frame, most in ((WIDE, 366), (NARROW, 90))
    )


def _unclaimed(claimed_to: datetime | None, spans: list[Span]) -> tuple[date | None, date | None]:
    """The calendar days from the end of the last claim (or the first reading) to the last reading."""
    firsts = [span.first for span in spans if span.first is not None]
    lasts = [span.last for span in spans if span.last is not None]
    if not firsts:
        return None, None
    start = min(firsts) if claimed_to is None else max(min(firsts), claimed_to)
    end = max(lasts)
    if start >= end:
        return None, None
    last = business_date(end) - timedelta(days=1)
    first = business_date(start)
    # A vintage is one calendar year, so a claim ends with the year it starts in.
    return first, min(last, date(first.year, 12, 31))


@router.post("/console/projects/{project_id}/periods")
def submit(post: PostDep, project_id: Id) -> Response:
    """Claim a period: readings are totalled, checked and turned into a reduction."""
    return post.commit(
        lambda: claimed(
            post.page.parts,
            post.page.context(),
            post.read(
                SubmitPeriod,
                project_id=project_id,
                starts_at=post.start_of("starts_on"),
                ends_at=post.end_of("ends_on"),
                declared=_declared(post),
            ),
        ),
        to=f"/console/projects/{project_id}#claims",
        flash="period_submitted",
        again=lambda page: project_page(page, project_id),
    )


def _declared(post: Post) -> dict[str, dict[str, str]]:
    """What was filled in for the methodology's declared inputs: exact value and evidence by name."""
    filled: dict[str, dict[str, str]] = {}
    for field in sorted(post.fields):
        name = field.removeprefix("declared.")
        if name == field or not post.text(field, required=False):
            continue
        value = post.text(field).replace(",", "")
        if EXACT.fullmatch(value) is None:
            raise FieldInvalid(f"{field}: not a number with at most twelve decimals", field)
        filled[name] = {"value": value, "evidence": post.text(f"evidence.{name}", required=False)}
    return filled
