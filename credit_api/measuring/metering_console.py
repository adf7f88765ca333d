"""A grid company's meters, and loading what they read."""

from __future__ import annotations

from fastapi.responses import Response

from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import PostDep
from credit_api.console.queries import span_of
from credit_api.http.routing import Router
from financing.base.context import Context
from financing.lending.unit import UnitOfWork
from financing.registry.metering.commands import load_readings
from financing.registry.metering.csv_readings import parse_readings
from financing.registry.metering.node.port import Receipt

router = Router(include_in_schema=False)


@router.get("/console/metering")
def meters(page: PageDep) -> Response:
    """The meters that the grid company reads, with what is on record."""
    return meters_page(page)


def meters_page(page: Page) -> Response:
    me = page.principal("grid").organisation_id
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        measured = unit.projects.measured_by(me, window=page.window("meters")).map(
            lambda rows: [(project, meter, span_of(page.parts.nodes, meter)) for project, meter in rows]
        )
    return page.render("metering.html", measured=measured)


@router.post("/console/metering/readings")
def load(post: PostDep) -> Response:
    """Load pasted readings of one meter. All of them are stored, or nothing; whole files go over the API."""

    def effect(context: Context) -> Receipt:
        pasted = post.document("readings")
        with post.page.parts.reading() as connection:
            unit = UnitOfWork(connection)
            meter = unit.projects.meter(post.text("meter_id"))
            batch = parse_readings(pasted.encode(), meter.meter_id, meter.interval_minutes)
            return load_readings(unit, context, batch)

    return post.commit_effect(
        "load_readings",
        effect,
        to="/console/metering",
        flash=lambda receipt: "readings_known" if receipt.deduplicated else "readings_loaded",
        again=meters_page,
    )
