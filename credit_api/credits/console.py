"""What a holder has: credits by issuance, loans, pledges, listings, retirements; plants and their readings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from credit_api.console.charts import NARROW, WIDE, BarChart, bar_chart
from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import FieldInvalid, Post, PostDep
from credit_api.console.queries import daily_kwh
from credit_api.http.fields import Id
from credit_api.over_the_counter.dealing import asset_names, listings_of
from financing.base.context import HOLDERS
from financing.base.errors import NotPermitted
from financing.base.quantities import (
    Carbon,
    Money,
    Period,
    business_date,
)
from financing.ledger.accounts import AccountKind, cash
from financing.lending.collateral.standing import loan_coverages
from financing.lending.unit import UnitOfWork
from financing.registry.credits.model import Issuance
from financing.registry.metering.node.port import Span
from financing.registry.methodology.commands import pinned
from financing.registry.verification.commands import GREEN, SubmitPeriod, submit_period

router = APIRouter(include_in_schema=False)
NOTHING = Carbon(0)
EXACT = re.compile(r"\d{1,15}(\.\d{1,12})?")
SEES_EVERY_PROJECT = ("registry", "verifier")


@dataclass(slots=True)
class Holding:
    """One issuance as an owner has it, in all states. What is set aside is held, or in escrow for a sale."""

    issuance: Issuance
    held: Carbon = NOTHING
    set_aside: Carbon = NOTHING
    pledged: Carbon = NOTHING
    retired: Carbon = NOTHING

    @property
    def available(self) -> Carbon:
        return self.held - self.set_aside


def holdings_of(unit: UnitOfWork, owner_id: str) -> list[Holding]:
    """Everything an owner has or had of any issuance, newest issuance first."""
    issued = {each.issuance_id: each for each in unit.issuances.all()}
    rows: dict[str, Holding] = {}
    kinds = (AccountKind.HOLDING, AccountKind.ESCROW, AccountKind.PLEDGED, AccountKind.RETIRED)
    for balance in unit.ledger.balances(owner_id=owner_id, kinds=kinds):
        if balance.key.asset.is_money or balance.key.asset.is_package:
            continue
        row = rows.setdefault(balance.key.asset.issuance_id, Holding(issued[balance.key.asset.issuance_id]))
        amount = Carbon(balance.posted)
        if balance.key.kind is AccountKind.HOLDING:
            row.held, row.set_aside = row.held + amount, row.set_aside + Carbon(balance.held)
        elif balance.key.kind is AccountKind.ESCROW:
            row.held, row.set_aside = row.held + amount, row.set_aside + amount
        elif balance.key.kind is AccountKind.PLEDGED:
            row.pledged += amount
        else:
            row.retired += amount
    return sorted(rows.values(), key=lambda row: (row.issuance.issued_at, row.issuance.issuance_id), reverse=True)


@router.get("/console/assets")
def assets(page: PageDep) -> Response:
    """The holder's own page."""
    return assets_page(page)


def assets_page(page: Page) -> Response:
    me = page.principal(*HOLDERS).organisation_id
    at = page.parts.clock()
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        rows = holdings_of(unit, me)
        loans = [
            standing
            for standing in loan_coverages(unit, page.parts.parameters, unit.loans.of(organisation_id=me), at)
            if standing.stored.loan.borrower == me
        ]
        pledges = [stored for stored in unit.pledges.of(me) if stored.pledge.pledgor == me]
        decisions = [record for record in unit.decisions.of(me) if record.borrower_id == me]
        listings, names = listings_of(unit, me), asset_names(unit)
        projects = unit.projects.all(me)
        retirements = unit.retirements.all(me)
        money = unit.ledger.balance(cash(me))
    return page.render(
        "assets.html",
        rows=rows,
        loans=loans,
        pledges=pledges,
        decisions=decisions,
        listings=listings,
        names=names,
        projects=projects,
        retirements=list(reversed(retirements)),
        cash=Money(money.available),
        totals={
            name: sum((getattr(row, name) for row in rows), Carbon(0))
            for name in ("available", "set_aside", "pledged", "retired")
        },
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
        meters = [
            (meter, page.parts.nodes.of(meter.measured_by).span(meter.meter_id))
            for meter in unit.projects.meters(project_id)
        ]
        claims = [claim for claim in unit.periods.all(owner_id=plant.owner) if claim.project_id == project_id]
        daily = daily_kwh(page.parts.nodes, [meter for meter, _ in meters], days)
        methodology = pinned(unit, page.context(), plant)
    starts, ends = _unclaimed([claim.period for claim in claims], [span for _, span in meters])
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


def _unclaimed(claimed: list[Period], spans: list[Span]) -> tuple[date | None, date | None]:
    """The calendar days from the end of the last claim (or the first reading) to the last reading."""
    firsts = [span.first for span in spans if span.first is not None]
    lasts = [span.last for span in spans if span.last is not None]
    if not firsts:
        return None, None
    start = max([min(firsts), *(period.end for period in claimed)])
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
        lambda: submit_period.given(
            post.read(
                SubmitPeriod,
                project_id=project_id,
                starts_at=post.start_of("starts_on"),
                ends_at=post.end_of("ends_on"),
                declared=_declared(post),
            )
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
