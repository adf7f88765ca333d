"""The verifier's findings and their answers, and the registry's assignment of a period to a certifier."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from credit_api.console.posting import Done, FieldInvalid, Post, PostDep, apply
from credit_api.http.fields import Id
from credit_api.measuring.verification_console import claim_page
from financing.base.context import Context
from financing.lending.unit import UnitOfWork
from financing.registry.verification.findings import Severity
from financing.registry.verification.verifying import (
    AssignVerifier,
    RaiseFinding,
    answer_finding,
    assign_verifier,
    close_finding,
    raise_finding,
)

router = APIRouter(include_in_schema=False)


@router.post("/console/claims/{period_id}/assignment")
def assign(post: PostDep, period_id: Id) -> Response:
    """Give a period to a certifier, with the day it is due."""

    def run(unit: UnitOfWork, context: Context) -> Done:
        assign_verifier(unit, context, AssignVerifier(period_id, post.text("verifier_id"), post.day("due_on")))
        return Done(to=f"/console/claims/{period_id}", flash="assigned")

    return apply(post, run, lambda page: claim_page(page, period_id))


@router.post("/console/claims/{period_id}/findings")
def find(post: PostDep, period_id: Id) -> Response:
    """Raise a finding that the owner has to answer."""

    def run(unit: UnitOfWork, context: Context) -> Done:
        raise_finding(unit, context, RaiseFinding(period_id, _severity(post), post.text("text")))
        return Done(to=f"/console/claims/{period_id}#findings", flash="finding_raised")

    return apply(post, run, lambda page: claim_page(page, period_id))


def _severity(post: Post) -> Severity:
    given = post.text("severity")
    if given not in {"clarification", "corrective_action"}:
        raise FieldInvalid("severity: unknown choice", "severity")
    return "clarification" if given == "clarification" else "corrective_action"


@router.post("/console/claims/{period_id}/findings/{finding_id}/answer")
def answer(post: PostDep, period_id: Id, finding_id: Id) -> Response:
    """The owner's answer to a finding."""

    def run(unit: UnitOfWork, context: Context) -> Done:
        answer_finding(unit, context, finding_id, post.text("text"))
        return Done(to=f"/console/claims/{period_id}#findings", flash="finding_answered")

    return apply(post, run, lambda page: claim_page(page, period_id))


@router.post("/console/claims/{period_id}/findings/{finding_id}/closure")
def close(post: PostDep, period_id: Id, finding_id: Id) -> Response:
    """The verifier closes a finding that was answered."""

    def run(unit: UnitOfWork, context: Context) -> Done:
        close_finding(unit, context, finding_id, post.text("text", required=False))
        return Done(to=f"/console/claims/{period_id}#findings", flash="finding_closed")

    return apply(post, run, lambda page: claim_page(page, period_id))
