"""Registering a project on any approved methodology, through a form that the methodology's file shapes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import Done, FieldInvalid, Post, PostDep, apply
from financing.base.context import Context
from financing.base.quantities import Period, business_date
from financing.lending.unit import UnitOfWork
from financing.registry.methodology.commands import status_of
from financing.registry.methodology.definition import Methodology, compiled
from financing.registry.projects.commands import NewMeter, RegisterProject, register_project
from financing.registry.projects.model import Declarations, Location

router = APIRouter(include_in_schema=False)
METERS_MAX = 100


@router.get("/console/register")
def register(page: PageDep, methodology: Annotated[str, Query(max_length=20)] = "") -> Response:
    """Choose a methodology, then fill in what it asks for."""
    return register_page(page, methodology)


def register_page(page: Page, tag: str) -> Response:
    page.principal("developer")
    on = business_date(page.parts.clock())
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        found = [compiled(file) for file in page.parts.parameters.methodologies]
        approved = [each for each in found if status_of(unit, each, on) == "approved"]
        grids = [each for each in unit.organisations.all() if each.kind == "grid"]
    chosen = next((each for each in approved if each.tag == tag), None)
    return page.render("register.html", approved=approved, chosen=chosen, grids=grids)


@router.post("/console/register")
def submit(post: PostDep) -> Response:
    """Register the project for the acting developer."""
    tag = post.fields.get("methodology", [""])[0]

    def run(unit: UnitOfWork, context: Context) -> Done:
        files = [compiled(file) for file in context.parameters.methodologies]
        methodology = next((each for each in files if each.tag == tag), None)
        if methodology is None:
            raise FieldInvalid("methodology: unknown choice", "methodology")
        project = register_project(unit, context, _command(post, methodology))
        return Done(to=f"/console/projects/{project.project_id}", flash="project_registered")

    return apply(post, run, lambda page: register_page(page, tag))


def _command(post: Post, methodology: Methodology) -> RegisterProject:
    return RegisterProject(
        code=post.text("code"),
        name=post.text("name"),
        methodology=methodology.file.code,
        methodology_version=methodology.file.version,
        capacity_w=post.whole("capacity_kw", 1, 10**9) * 1000 if methodology.file.roles else None,
        grid_connected_on=post.day("started_on"),
        crediting_period=Period(post.start_of("crediting_from"), post.end_of("crediting_until")),
        location=Location(post.text("region"), _degrees(post, "latitude", 90), _degrees(post, "longitude", 180)),
        meters=_meters(post, methodology),
        declarations=Declarations(
            post.checked("owns_the_reduction"),
            post.checked("not_registered_elsewhere"),
            post.checked("outside_ets_boundary"),
        ),
        choices=tuple((name, post.text(f"choice.{name}")) for name in methodology.file.choices),
    )


def _meters(post: Post, methodology: Methodology) -> tuple[NewMeter, ...]:
    """Meter ids of one part and grid company, with commas between; whole fleets come over the API."""
    found: list[NewMeter] = []
    for role in methodology.file.roles:
        interval = post.whole(f"interval.{role}", 1, 43_200)
        grid = post.text(f"grid.{role}")
        names = [each.strip() for each in post.text(f"meters.{role}").split(",") if each.strip()]
        found += [NewMeter(name, grid, interval, role) for name in names]
    if len(found) > METERS_MAX:
        raise FieldInvalid(f"meters: at most {METERS_MAX}", "meters")
    return tuple(found)


def _degrees(post: Post, name: str, most: int) -> float:
    """A position as typed; it tells day from night and enters no formula."""
    try:
        value = float(post.text(name))
    except ValueError:
        raise FieldInvalid(f"{name}: not a number", name) from None
    if not -most <= value <= most:
        raise FieldInvalid(f"{name}: between -{most} and {most} degrees", name)
    return value
