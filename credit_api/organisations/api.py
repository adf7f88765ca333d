"""Participants: who takes part, who admitted whom, and which customer a firm has proved to be."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import Response

from credit_api.app.errors import Forbidden
from credit_api.http.auth.passwords import Sealer
from credit_api.http.callers import CallDep, PartsDep, PrincipalDep
from credit_api.http.fields import Id, ResponseModel, Text
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from credit_api.organisations.people import Invitation, invite, invite_first
from credit_api.organisations.people_api import InvitationOut
from credit_api.organisations.subject_binding import BindSubject, bind_subject, challenge_for
from financing.base.authority import EVERY_ROLE
from financing.base.commands import Command, use_case
from financing.base.context import Context
from financing.ledger.organisations import Organisation
from financing.lending.unit import UnitOfWork

router = Router(prefix="/v1", tags=["organisations"], responses=PROBLEMS)
# Whom only an exchange admits: they oversee, decide what exists and what it costs, or hold customers' data at a node.
FOR_EXCHANGE = ("registry", "exchange", "regulator", "bank", "grid")


class AdmitOrganisation(Command):
    organisation_id: Id
    kind: Literal["bank", "grid", "developer", "verifier", "buyer", "registry", "exchange", "regulator"]
    name_zh: Text
    name_en: Text


class OrganisationOut(ResponseModel):
    organisation_id: str
    kind: str
    name_zh: str
    name_en: str

    @classmethod
    def of(cls, organisation: Organisation) -> OrganisationOut:
        return cls.joined(organisation, organisation_id=organisation.id)


class AdmittedOut(OrganisationOut):
    """The organisation, and the invitation of its first administrator: its code is read at `/v1/invitations`."""

    invitation_id: str


class ChallengeOut(ResponseModel):
    """What the subject signs, with its key, to say that the calling firm is its own; it holds until `expires_at`."""

    subject_id: str
    organisation_id: str
    challenge: str
    expires_at: datetime


class BoundOut(ResponseModel):
    organisation_id: str
    subject_id: str


@use_case
def admit_organisation(
    unit: UnitOfWork, context: Context, command: AdmitOrganisation, sealer: Sealer
) -> tuple[Organisation, Invitation]:
    """Admit a participant and invite its first administrator. Raises `AlreadyExists`, and `Forbidden` for a registry
    that would admit another than a developer, a buyer or a verifier."""
    if command.kind in FOR_EXCHANGE and context.actor.kind != "exchange":
        raise Forbidden("only an exchange admits these", kind=command.kind)
    new = Organisation(
        command.organisation_id, command.kind, command.name_zh, command.name_en, admitted_by=context.actor.id
    )
    unit.organisations.add(new, context.at)
    return new, invite(unit, context, sealer, new.id, EVERY_ROLE)


@router.post("/organisations", status_code=201, response_model=AdmittedOut)
async def admit(body: AdmitOrganisation, call: CallDep) -> Response:
    """Admit a participant, as a registry or the exchange, and invite its first administrator."""
    return await call.commit(
        admit_organisation.given(body, call.parts.sealer),
        answer=lambda done: AdmittedOut.joined(*done, organisation_id=done[0].id),
    )


@router.get("/organisations")
def list_organisations(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[OrganisationOut]:
    """Every participant; which customer of a bank it is stays out."""
    with parts.reading() as connection:
        organisations = UnitOfWork(connection).organisations.all(window=paging.window)
    return paging.answers(organisations, OrganisationOut.of)


@router.post("/organisations/{organisation_id}/invitation", status_code=201, response_model=InvitationOut)
async def invite_again(organisation_id: Id, call: CallDep) -> Response:
    """Invite the first administrator anew, as who admitted the organisation, while nobody acts for it yet."""
    return await call.commit(invite_first.given(organisation_id, call.parts.sealer), answer=InvitationOut.of)


@router.get("/subject/challenge")
def challenge(parts: PartsDep, principal: PrincipalDep, subject_id: Id) -> ChallengeOut:
    """What the subject signs to bind the calling firm to it (docs/api.md has the bytes)."""
    return ChallengeOut.of(challenge_for(parts, principal, subject_id))


@router.post("/subject/binding", status_code=201, response_model=BoundOut)
async def bind(body: BindSubject, call: CallDep) -> Response:
    """Prove that the calling firm is a customer of banks, by the signature of the subject's attested key. Once."""
    return await call.commit(
        bind_subject.given(call.parts, body), answer=lambda bound: BoundOut.joined(bound, organisation_id=bound.id)
    )
