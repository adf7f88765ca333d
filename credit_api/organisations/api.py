"""Participants: the registry admits them and hands out their API keys."""

from __future__ import annotations

from typing import Literal, Self

from fastapi import APIRouter, Response
from pydantic import Field

from credit_api.http.auth.keys import issue
from credit_api.http.callers import CallDep, PartsDep, PrincipalDep, require_kind
from credit_api.http.fields import Id, RequestModel, ResponseModel, Text
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from financing.base.commands import Command, issued_by
from financing.base.context import Context
from financing.ledger.organisations import Organisation
from financing.lending.unit import UnitOfWork

router = APIRouter(prefix="/v1", tags=["organisations"], responses=PROBLEMS)


class AdmitOrganisation(Command):
    organisation_id: Id
    kind: Literal["bank", "grid", "developer", "verifier", "buyer"]
    name_zh: Text
    name_en: Text
    subject_id: Id | None = Field(default=None, description="the id under which banks know a firm as a customer")


class OrganisationOut(ResponseModel):
    organisation_id: str
    kind: str
    name_zh: str
    name_en: str

    @classmethod
    def of(cls, organisation: Organisation) -> Self:
        return cls(
            organisation_id=organisation.id,
            kind=organisation.kind,
            name_zh=organisation.name_zh,
            name_en=organisation.name_en,
        )


class KeyIn(RequestModel):
    label: Text


class KeyOut(ResponseModel):
    """The key's text, shown this once; only its SHA-256 is kept."""

    organisation_id: str
    label: str
    api_key: str


@issued_by("registry")
def admit_organisation(unit: UnitOfWork, context: Context, command: AdmitOrganisation) -> Organisation:
    """Admit a participant. Raises `AlreadyExists`."""
    new = Organisation(command.organisation_id, command.kind, command.name_zh, command.name_en, command.subject_id)
    unit.organisations.add(new, context.at)
    return new


@router.post("/organisations", status_code=201, response_model=OrganisationOut)
async def admit(body: AdmitOrganisation, call: CallDep) -> Response:
    """Admit a participant, as the registry."""
    return await call.commit(admit_organisation.given(body), answer=OrganisationOut.of)


@router.get("/organisations")
def list_organisations(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[OrganisationOut]:
    """Every participant; which customer of a bank it is stays out."""
    with parts.reading() as connection:
        organisations = UnitOfWork(connection).organisations.all(window=paging.window)
    return paging.answers(organisations, OrganisationOut.of)


@router.post("/organisations/{organisation_id}/keys", status_code=201)
def add_key(organisation_id: Id, body: KeyIn, parts: PartsDep, principal: PrincipalDep) -> KeyOut:
    """Hand out a new API key for a participant, as the registry. Every call makes another key: it is never replayed."""
    require_kind(principal, "registry")

    def run(unit: UnitOfWork) -> str:
        unit.organisations.get(organisation_id)
        return issue(unit.connection, organisation_id, body.label, parts.clock())

    return KeyOut(organisation_id=organisation_id, label=body.label, api_key=parts.writer.execute(run))
