"""The verifier's findings and their answers, and the registry's assignment of a period to a certifier."""

from __future__ import annotations

from fastapi.responses import Response

from credit_api.console.posting import PostDep
from credit_api.http.routing import Router
from credit_api.measuring.verification_console import claim_page
from financing.base.commands import Id
from financing.registry.verification.verifying import (
    AnswerFinding,
    AssignVerifier,
    CloseFinding,
    RaiseFinding,
    answer_finding,
    assign_verifier,
    close_finding,
    raise_finding,
)

router = Router(include_in_schema=False)


@router.post("/console/claims/{period_id}/assignment")
def assign(post: PostDep, period_id: Id) -> Response:
    """Give a period to a certifier, with the day it is due."""
    return post.commit(
        lambda: assign_verifier.given(period_id, post.read(AssignVerifier)),
        to=f"/console/claims/{period_id}",
        flash="assigned",
        again=lambda page: claim_page(page, period_id),
    )


@router.post("/console/claims/{period_id}/findings")
def find(post: PostDep, period_id: Id) -> Response:
    """Raise a finding that the owner has to answer."""
    return post.commit(
        lambda: raise_finding.given(period_id, post.read(RaiseFinding)),
        to=f"/console/claims/{period_id}#findings",
        flash="finding_raised",
        again=lambda page: claim_page(page, period_id),
    )


@router.post("/console/claims/{period_id}/findings/{finding_id}/answer")
def answer(post: PostDep, period_id: Id, finding_id: Id) -> Response:
    """The owner's answer to a finding."""
    return post.commit(
        lambda: answer_finding.given(finding_id, post.read(AnswerFinding)),
        to=f"/console/claims/{period_id}#findings",
        flash="finding_answered",
        again=lambda page: claim_page(page, period_id),
    )


@router.post("/console/claims/{period_id}/findings/{finding_id}/closure")
def close(post: PostDep, period_id: Id, finding_id: Id) -> Response:
    """The verifier closes a finding that was answered."""
    return post.commit(
        lambda: close_finding.given(finding_id, post.read(CloseFinding)),
        to=f"/console/claims/{period_id}#findings",
        flash="finding_closed",
        again=lambda page: claim_page(page, period_id),
    )
