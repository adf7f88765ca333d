"""The verifier's work list and statement, and the registry's issuing of accepted periods."""

from __future__ import annotations

from fastapi.responses import Response

from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import PostDep
from credit_api.http.routing import Router
from financing.base.commands import Id
from financing.lending.unit import UnitOfWork
from financing.registry.credits.commands import IssueCredits, issue_credits
from financing.registry.verification.auditing import corrected_since
from financing.registry.verification.commands import StatePeriod, state_period
from financing.registry.verification.monitoring import MonitoringState
from financing.registry.verification.queries import work_list as work_list_of

router = Router(include_in_schema=False)
SEES_CLAIMS = ("verifier", "registry")


@router.get("/console/verification")
def work_list(page: PageDep) -> Response:
    """Claims that wait for a statement, and those already stated on."""
    principal = page.principal("verifier")
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        items = work_list_of(unit, principal.organisation_id, page.window("waiting"))
        stated = unit.periods.stated(window=page.window("stated"))
        claims = [item.claim for item in items] + list(stated)
        projects = unit.projects.named(claim.project_id for claim in claims)
    return page.render(
        "verification.html",
        items=items,
        stated=stated,
        projects=projects,
    )


@router.get("/console/claims/{period_id}")
def claim(page: PageDep, period_id: Id) -> Response:
    """One claim with its workings and findings, for its owner, the verifier and the registry."""
    return claim_page(page, period_id)


def claim_page(page: Page, period_id: str) -> Response:
    principal = page.principal()
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        asked = unit.periods.get(period_id)
        if principal.kind not in SEES_CLAIMS:
            page.context().require_party(asked.owner)
        project = unit.projects.get(asked.project_id)
        raised = unit.verification.findings(period_id)
        assignment = unit.verification.assignment(period_id)
        verifiers = unit.organisations.all("verifier")
        corrected = corrected_since(unit, page.parts.nodes, asked)
    return page.render(
        "claim.html",
        claim=asked,
        project=project,
        verifiable=asked.verifiable(),
        raised=raised,
        assignment=assignment,
        verifiers=verifiers,
        corrected=corrected,
    )


@router.post("/console/claims/{period_id}/statement")
def state(post: PostDep, period_id: Id) -> Response:
    """State on the figures that the form repeats; a statement on other figures does not bind."""
    return post.commit(
        lambda: state_period.given(period_id, post.read(StatePeriod)),
        to="/console/verification",
        flash="stated",
        again=lambda page: claim_page(page, period_id),
    )


@router.get("/console/registry")
def registry(page: PageDep) -> Response:
    """Accepted periods that wait for issuance, and everything issued."""
    return registry_page(page)


def registry_page(page: Page) -> Response:
    page.principal("registry")
    with page.parts.reading() as connection:
        unit = UnitOfWork(connection)
        accepted = unit.periods.all(state=MonitoringState.ACCEPTED.value, window=page.window("accepted"))
        waiting, generation = unit.periods.sums(MonitoringState.ACCEPTED.value)
        issuances = unit.issuances.all(newest_first=True, window=page.window("issuances"))
        issued_count, issued = unit.issuances.issued()
        retirements, retired = unit.retirements.all(window=page.window("retirements")), unit.retirements.retired()
        projects = unit.projects.named(claim.project_id for claim in accepted)
    return page.render(
        "registry.html",
        accepted=accepted,
        waiting=waiting,
        issuances=issuances,
        issued_count=issued_count,
        retirements=retirements,
        projects=projects,
        issued=issued,
        retired=retired,
        generation=generation,
    )


@router.post("/console/registry/issuances")
def issue(post: PostDep) -> Response:
    """Issue the credits of an accepted period to the project's owner."""
    return post.commit(
        lambda: issue_credits.given(post.read(IssueCredits)),
        to="/console/registry",
        flash="issued",
        again=registry_page,
    )
