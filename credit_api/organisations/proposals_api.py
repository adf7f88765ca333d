"""Commands that wait for a second person, over JSON."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from credit_api.http.callers import CallDep, PartsDep, PrincipalDep
from credit_api.http.fields import Id
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from credit_api.organisations.proposals import confirm_proposal, refuse_proposal
from financing.ledger.people import Proposal
from financing.lending.unit import UnitOfWork

router = Router(prefix="/v1", tags=["people"], responses=PROBLEMS)


@router.get("/proposals")
def list_proposals(
    parts: PartsDep, principal: PrincipalDep, paging: PagingDep, waiting: Annotated[bool, Query()] = False
) -> list[Proposal]:
    """The calling organisation's commands that take two people, newest first; `waiting`: only undecided ones."""
    with parts.reading() as connection:
        page = UnitOfWork(connection).proposals.of(principal.organisation_id, paging.window, waiting=waiting)
    return paging.answers(page, lambda each: each)


@router.post("/proposals/{proposal_id}/confirmation", response_model=Proposal)
async def confirm(proposal_id: Id, call: CallDep) -> Response:
    """Confirm what another person of the organisation made: it is carried out at once, as of now."""
    return await call.commit(
        confirm_proposal.given(proposal_id, call.parts.sealer),
        answer=lambda done: done.proposal,
        status=200,
    )


@router.post("/proposals/{proposal_id}/refusal", response_model=Proposal)
async def refuse(proposal_id: Id, call: CallDep) -> Response:
    """Refuse what another person of the organisation made; it stays on record and is not carried out."""
    return await call.commit(refuse_proposal.given(proposal_id), answer=lambda proposal: proposal, status=200)
