"""Registering a project on any approved methodology, through a form that the methodology's file shapes."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import FieldInvalid, Post, PostDep
from credit_api.http.routing import Router
from financing.base.quantities import business_date
from financing.lending.unit import UnitOfWork
from financing.registry.methodology.commands import status_of
from financing.registry.methodology.definition import Methodology, compiled
from financing.registry.projects.commands import RegisterProject, register_project

router = Router(include_in_schema=False)


@router.get("/console/register")
def register(page: PageDep, methodology: Annotated[str, Query(max_length=20)] = "") -> Response:
    """Choose a methodology, then fill in what it asks for."""
    return register_page(page, methodology)


def register_page(page: Page, tag: str) -> Response:
    page.principal("developer")
    on = business_date(page.parts.clock())
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        versions = [compiled(file) for file in page.parts.parameters.methodologies]
        approved = [each for each in versions if status_of(unit, each, on) == "approved"]
        grids = unit.organisations.all("grid")
    chosen = next((each for each in approved if each.tag == tag), None)
    regions = [each for each in page.parts.parameters.regions.records if each.holds_on(on)]
    return page.render("register.html", approved=approved, chosen=chosen, grids=grids, regions=regions)


@router.post("/console/register")
def submit(post: PostDep) -> Response:
    """Register the project for the acting developer."""
    tag = post.fields.get("methodology", [""])[0]
    return post.commit(
        lambda: register_project.given(_registration(post, tag)),
        to=lambda project: f"/console/projects/{project.project_id}",
        flash="project_registered",
        again=lambda page: register_page(page, tag),
    )


def _registration(post: Post, tag: str) -> RegisterProject:
    """The form of one methodology: its file says which choices it asks for and which parts have meters."""
    files = [compiled(file) for file in post.page.parts.parameters.methodologies]
    methodology = next((each for each in files if each.tag == tag), None)
    if methodology is None:
        raise FieldInvalid("methodology: unknown choice", "methodology")
    unmetered = {} if methodology.file.roles else {"capacity_w": None}
    return post.read(
        RegisterProject,
        methodology=methodology.file.code,
        methodology_version=methodology.file.version,
        choices={name: post.text(f"choice.{name}") for name in methodology.file.choices},
        crediting_from=post.start_of("crediting_from"),
        crediting_until=post.end_of("crediting_until"),
        meters=_meters(post, methodology),
        **unmetered,
    )


def _meters(post: Post, methodology: Methodology) -> list[dict[str, object]]:
    """Meter ids of one part and grid company, with commas between; whole fleets come over the API."""
    meters: list[dict[str, object]] = []
    for role in methodology.file.roles:
        interval = post.whole(f"interval.{role}", 1, 43_200)
        shared = {"measured_by": post.text(f"grid.{role}"), "interval_minutes": interval, "role": role}
        names = [each.strip() for each in post.text(f"meters.{role}").split(",") if each.strip()]
        meters += [{"meter_id": name} | shared for name in names]
    return meters
