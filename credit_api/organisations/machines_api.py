"""Machines over JSON, and the token endpoint of OAuth 2.0."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Form, Request, Response
from pydantic import BaseModel, BeforeValidator, Field
from starlette.concurrency import run_in_threadpool

from credit_api.app.errors import OauthRefused
from credit_api.app.wiring import Parts
from credit_api.audit.model import AuditEvent
from credit_api.audit.refusals import address_of
from credit_api.http.auth.principal import Principal
from credit_api.http.callers import CallDep, Json, PartsDep, PrincipalDep
from credit_api.http.fields import Id, ResponseModel
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from credit_api.organisations.machines import (
    ALGORITHMS,
    ASSERTION_TYPE,
    AddMachineKey,
    RegisterMachine,
    Token,
    add_machine_key,
    asserted,
    give_token,
    machine_of,
    machines_of,
    register_machine,
    revoke_machine,
    revoke_machine_key,
)
from credit_api.organisations.people_api import NO_STORE
from financing.base.authority import Work
from financing.lending.unit import UnitOfWork

router = Router(prefix="/v1", tags=["machines"], responses=PROBLEMS)
oauth = Router(tags=["machines"])
OAUTH = "/oauth/token"
BEARER: Literal["Bearer"] = "Bearer"
Works = Annotated[list[Work], BeforeValidator(sorted)]
Kid = Annotated[str, Field(min_length=1, max_length=200)]


class MachineKeyOut(ResponseModel):
    kid: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


class MachineOut(ResponseModel):
    """A program of the organisation; `machine_id` is its `client_id`, `works` the scopes it may ask for."""

    machine_id: str
    organisation_id: str
    label: str
    works: Works
    created_by: str
    created_at: datetime
    revoked_at: datetime | None
    keys: list[MachineKeyOut]


class JwksOut(BaseModel):
    keys: list[dict[str, Any]]


class OauthToken(BaseModel):
    """RFC 6749, section 5.1."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    scope: str


class OauthProblem(BaseModel):
    """RFC 6749, section 5.2."""

    error: str
    error_description: str


@router.post("/machines", status_code=201, response_model=MachineOut)
async def add_machine(body: RegisterMachine, call: CallDep) -> Response:
    """Register a program with the public half of a key that it made and keeps, and the work that it may do."""
    return await call.commit(register_machine.given(body), answer=MachineOut.of)


@router.get("/machines")
def list_machines(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[MachineOut]:
    """The calling organisation's programs with their keys and when each was last used, newest first."""
    with parts.reading() as connection:
        page = machines_of(connection, principal.organisation_id, paging.window)
    return paging.answers(page, MachineOut.of)


@router.get("/machines/{machine_id}/jwks")
def show_jwks(machine_id: Id, parts: PartsDep, principal: PrincipalDep) -> JwksOut:
    """A machine's public keys that hold now, as a JWK set."""
    at = parts.clock()
    with parts.reading() as connection:
        machine = machine_of(connection, machine_id, principal.organisation_id)
    live = machine.keys if machine.revoked_at is None else ()
    return JwksOut(keys=[dict(each.jwk) for each in live if each.revoked_at is None and each.expires_at > at])


@router.post("/machines/{machine_id}/keys", status_code=201, response_model=MachineOut)
async def add_key(machine_id: Id, body: AddMachineKey, call: CallDep) -> Response:
    """Add a key beside those that hold, so that a program changes over without a gap."""
    return await call.commit(add_machine_key.given(machine_id, body), answer=MachineOut.of)


@router.post("/machines/{machine_id}/keys/{kid}/revocation", response_model=MachineOut)
async def end_key(machine_id: Id, kid: Kid, call: CallDep) -> Response:
    """Make a key useless at once, with every token that was given for it."""
    return await call.commit(revoke_machine_key.given(machine_id, kid), answer=MachineOut.of, status=200)


@router.post("/machines/{machine_id}/revocation", response_model=MachineOut)
async def end_machine(machine_id: Id, call: CallDep) -> Response:
    """End a program: its keys and tokens are useless at once."""
    return await call.commit(revoke_machine.given(machine_id), answer=MachineOut.of, status=200)


@oauth.post(
    OAUTH,
    response_model=OauthToken,
    responses={400: {"model": OauthProblem, "description": "not granted (RFC 6749, section 5.2)"}},
)
async def token(
    parts: PartsDep,
    request: Request,
    grant_type: Annotated[str, Form(max_length=100)],
    client_assertion_type: Annotated[str, Form(max_length=200)],
    client_assertion: Annotated[str, Form(max_length=8000)],
    scope: Annotated[str, Form(max_length=400)] = "",
) -> Response:
    """A short token for a machine: client credentials with a signed assertion (RFC 7523)."""
    if grant_type != "client_credentials":
        return _not_granted(OauthRefused("only client credentials are granted", error="unsupported_grant_type"))
    if client_assertion_type != ASSERTION_TYPE:
        return _not_granted(OauthRefused(f"client_assertion_type is {ASSERTION_TYPE}", error="invalid_request"))
    try:
        with parts.rates.guessing(address_of(request)):
            given = await run_in_threadpool(granted, parts, client_assertion, scope)
    except OauthRefused as refusal:
        return _not_granted(refusal)
    lifetime, words = int(given.lifetime.total_seconds()), " ".join(sorted(given.works))
    answer = OauthToken(access_token=given.access_token, token_type=BEARER, expires_in=lifetime, scope=words)
    return Json(answer.model_dump(), headers=NO_STORE)


@oauth.get("/.well-known/oauth-authorization-server")
def metadata(parts: PartsDep) -> dict[str, Any]:
    """Where and how a machine gets a token (RFC 8414)."""
    return {
        "issuer": parts.settings.address,
        "token_endpoint": parts.settings.address + OAUTH,
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "scopes_supported": sorted(Work),
    }


def granted(parts: Parts, assertion: str, scope: str) -> Token:
    """Check an assertion and give a token for it. Raises `OauthRefused`."""
    at, address = parts.clock(), parts.settings.address
    with parts.reading() as connection:
        found = asserted(connection, assertion, (address, address + OAUTH), at)

    def run(unit: UnitOfWork) -> Token:
        given = give_token(unit, found, scope, at)
        who = Principal(found.machine.organisation_id, "", "", "", found.machine.machine_id, credential="assertion")
        parts.audit.record(unit, AuditEvent.of(who, at, "give_token", "committed", object_id=found.machine.machine_id))
        return given

    return parts.writer.execute(run)


def _not_granted(refusal: OauthRefused) -> Response:
    problem = OauthProblem(error=str(refusal.context.get("error", "invalid_client")), error_description=refusal.detail)
    return Json(problem.model_dump(), status_code=400, headers=NO_STORE)
