"""People over JSON: invitations, sign-in, sessions, departures; and the sandbox's API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from fastapi import Request, Response
from pydantic import BeforeValidator, Field, model_validator
from starlette.concurrency import run_in_threadpool

from credit_api.app.errors import Forbidden, Unauthenticated
from credit_api.app.wiring import Parts
from credit_api.audit.model import AuditEvent
from credit_api.audit.refusals import address_of
from credit_api.http.auth.keys import ApiKey, issue, key_id, keys_of, revoke
from credit_api.http.auth.passwords import hash_password
from credit_api.http.auth.principal import Principal
from credit_api.http.auth.sessions import TOKEN_LIFETIME, SessionListed, end_session, open_session, sessions_of
from credit_api.http.callers import CallDep, PartsDep, PrincipalDep
from credit_api.http.fields import Id, RequestModel, ResponseModel, Text, read
from credit_api.http.paging import PagingDep
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from credit_api.organisations.people import (
    Chosen,
    InvitePerson,
    Login,
    OneTimeCode,
    Opened,
    Password,
    SignIn,
    accept,
    code_of,
    end_person,
    enter,
    invitation,
    invitations_by,
    invite_person,
    opened,
    person_of,
    recover_person,
    signed_in,
    use_up,
    withdraw_invitation,
)
from financing.base.authority import Role
from financing.base.commands import use_case
from financing.base.context import Context
from financing.base.errors import InvalidState
from financing.ledger.people import Person
from financing.lending.unit import UnitOfWork

router = Router(prefix="/v1", tags=["people"], responses=PROBLEMS)
SortedRoles = Annotated[list[Role], BeforeValidator(sorted)]
BEARER = "Bearer"
NO_STORE = {"Cache-Control": "no-store"}


class InvitationOut(ResponseModel):
    """Makes a person of an organisation, or gives one (`person_id`) new credentials, once. Its code is read apart."""

    invitation_id: str
    organisation_id: str
    person_id: str | None
    roles: SortedRoles
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    withdrawn_at: datetime | None


class CodeOut(ResponseModel):
    """What the invited person needs; whoever has it comes in, so hand it over in person."""

    invitation_id: str
    invitation: str


class OpenInvitation(RequestModel):
    invitation: Text


class OpenedOut(ResponseModel):
    """What an invitation is for, and the secret to put into an authenticator."""

    organisation_id: str = read("invitation.organisation_id")
    roles: SortedRoles = read("invitation.roles")
    expires_at: datetime = read("invitation.expires_at")
    totp_secret: str = Field(description="base32, new each time; acceptance asks for a code of it (RFC 6238)")
    enrolment: str = Field(description="the secret, sealed: acceptance takes it back")


class Acceptance(RequestModel):
    """With login, password, code and enrolment; in a sandbox without them, and then an API key is the answer."""

    invitation: Text
    name: Text
    login: Login | None = None
    password: Password | None = None
    totp: OneTimeCode | None = None
    enrolment: Text | None = None

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        if len({each is None for each in (self.login, self.password, self.totp, self.enrolment)}) > 1:
            raise ValueError("login, password, totp and enrolment go together")
        return self


class PersonOut(ResponseModel):
    person_id: str
    organisation_id: str
    name: str
    roles: SortedRoles
    created_at: datetime
    ended_at: datetime | None


class EnteredOut(PersonOut):
    api_key: str | None = Field(description="in a sandbox, for who chose no password; shown this once")


class TokenOut(ResponseModel):
    """A person's token: `Authorization: Bearer …`, shown this once. It holds for `expires_in` seconds."""

    access_token: str
    token_type: str
    expires_in: int
    organisation_id: str
    person_id: str
    roles: SortedRoles


class KeyIn(RequestModel):
    label: Text


class NewKeyOut(ResponseModel):
    """The key's text, shown this once; only its SHA-256 is kept."""

    label: str
    api_key: str


@use_case
def revoke_key(unit: UnitOfWork, context: Context, key_id: str) -> ApiKey:
    """Make a key of the actor's organisation useless at once. Raises `NotFound`."""
    return revoke(unit.connection, key_id, context.actor.id, context.at)


@router.post("/invitations", status_code=201, response_model=InvitationOut)
async def invite(body: InvitePerson, call: CallDep) -> Response:
    """Invite somebody to act for the calling organisation; an administrator only with a second person's word."""
    return await call.commit(invite_person.given(body, call.parts.sealer), answer=InvitationOut.of)


@router.get("/invitations")
def list_invitations(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[InvitationOut]:
    """Whom the calling organisation has invited, newest first."""
    with parts.reading() as connection:
        page = invitations_by(connection, principal.organisation_id, paging.window)
    return paging.answers(page, InvitationOut.of)


@router.get("/invitations/{invitation_id}/code")
def show_code(invitation_id: Id, parts: PartsDep, principal: PrincipalDep, response: Response) -> CodeOut:
    """The code of an invitation that the calling organisation gave, for its administrators, until it is used."""
    if not principal.has(Role.ADMINISTRATOR):
        raise Forbidden("this takes the role administrator", role=Role.ADMINISTRATOR)
    with parts.reading() as connection:
        found = invitation(connection, invitation_id, principal.organisation_id)
    if found.used_at is not None or found.withdrawn_at is not None:
        raise InvalidState("the invitation was used or withdrawn", invitation_id=invitation_id)
    parts.audit.note(AuditEvent.of(principal, parts.clock(), "read_invitation_code", "read", object_id=invitation_id))
    response.headers.update(NO_STORE)
    return CodeOut(invitation_id=invitation_id, invitation=code_of(parts.sealer, invitation_id))


@router.post("/invitations/{invitation_id}/withdrawal", response_model=InvitationOut)
async def withdraw(invitation_id: Id, call: CallDep) -> Response:
    """Take back an invitation that nobody has used."""
    return await call.commit(withdraw_invitation.given(invitation_id), answer=InvitationOut.of, status=200)


@router.post("/invitations/opening")
def open_invitation(body: OpenInvitation, parts: PartsDep, request: Request) -> OpenedOut:
    """See what an invitation is for before accepting it. For anybody who has its code."""
    return OpenedOut.of(shown(parts, address_of(request), body.invitation))


@router.post("/invitations/acceptance", status_code=201)
async def accept_invitation(body: Acceptance, parts: PartsDep, request: Request) -> EnteredOut:
    """Become a person of an organisation, or choose new credentials. For anybody who has an invitation's code."""
    with parts.rates.guessing(address_of(request)):
        person, key = await run_in_threadpool(entered, parts, body)
    return EnteredOut.joined(person, api_key=key)


@router.get("/people")
def list_people(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[PersonOut]:
    """Who acts and has acted for the calling organisation."""
    with parts.reading() as connection:
        page = UnitOfWork(connection).people.of(principal.organisation_id, paging.window)
    return paging.answers(page, PersonOut.of)


@router.post("/people/{person_id}/recovery", status_code=201, response_model=InvitationOut)
async def recover(person_id: Id, call: CallDep) -> Response:
    """Invite a person to choose new credentials; an administrator's takes a second person."""
    return await call.commit(recover_person.given(person_id, call.parts.sealer), answer=InvitationOut.of)


@router.post("/people/{person_id}/departure", response_model=PersonOut)
async def depart(person_id: Id, call: CallDep) -> Response:
    """A person leaves: its sessions and keys end at once."""
    return await call.commit(end_person.given(person_id), answer=PersonOut.of, status=200)


@router.post("/sessions", status_code=201)
async def sign_in(body: SignIn, parts: PartsDep, request: Request, response: Response) -> TokenOut:
    """Sign in as a person and get a short token. A one-time code works once; wrong ones are slowed."""
    response.headers.update(NO_STORE)
    with parts.rates.guessing(address_of(request), body.login):
        principal, secret = await run_in_threadpool(admitted, parts, body, token=True)
    return TokenOut.joined(
        principal,
        access_token=secret,
        token_type=BEARER,
        expires_in=int(TOKEN_LIFETIME.total_seconds()),
        person_id=principal.person,
    )


@router.get("/sessions")
def list_sessions(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[SessionListed]:
    """Who is signed in now: for an administrator everybody of the organisation, for others themselves."""
    with parts.reading() as connection:
        page = sessions_of(connection, principal.organisation_id, parts.clock(), paging.window, person=_only(principal))
    return paging.answers(page, SessionListed.itself)


@router.post("/sessions/{session_id}/end")
async def end(session_id: Id, parts: PartsDep, principal: PrincipalDep) -> SessionListed:
    """End a session at once: anybody their own, an administrator everybody's."""

    return await run_in_threadpool(session_ended, parts, principal, session_id)


@router.get("/keys")
def list_keys(parts: PartsDep, principal: PrincipalDep, paging: PagingDep) -> list[ApiKey]:
    """The calling organisation's API keys, revoked and expired ones too, with when each was last used."""
    with parts.reading() as connection:
        page = keys_of(connection, principal.organisation_id, paging.window)
    return paging.answers(page, ApiKey.itself)


@router.post("/keys", status_code=201)
def add_key(body: KeyIn, parts: PartsDep, principal: PrincipalDep, response: Response) -> NewKeyOut:
    """Another API key of the calling person, in a sandbox. Every call makes another: it is never replayed."""
    require_sandbox(parts)
    if principal.machine:
        raise Forbidden("a key is a person's")
    response.headers.update(NO_STORE)
    at = parts.clock()

    def run(unit: UnitOfWork) -> str:
        key = issue(unit.connection, principal.person, body.label, at)
        made = AuditEvent.of(principal, at, "issue_key", "committed", object_id=key_id(key))
        parts.audit.record(unit, made)
        return key

    return NewKeyOut(label=body.label, api_key=parts.writer.execute(run))


@router.post("/keys/{key_id}/revocation", response_model=ApiKey)
async def end_key(key_id: Id, call: CallDep) -> Response:
    """Make an API key useless at once, and the sessions that it opened."""
    return await call.commit(revoke_key.given(key_id), answer=ApiKey.itself, status=200)


def shown(parts: Parts, address: str, code: str, enrolment: str = "") -> Opened:
    """What a code opens, on record in the trail: whoever was invited can see that another looked before.

    An `enrolment` goes on with what was opened. Raises `Unauthenticated`, `TooManyRequests` for an `address` that
    guesses.
    """
    with parts.rates.guessing(address), parts.reading() as connection:
        found = opened(connection, parts.sealer, code, parts.clock(), enrolment)
    if not enrolment:
        by = Principal(found.invitation.organisation_id, "", "", "", credential="invitation")
        named = found.invitation.invitation_id
        parts.audit.note(AuditEvent.of(by, parts.clock(), "open_invitation", "read", object_id=named))
    return found


def entered(parts: Parts, asked: Acceptance) -> tuple[Person, str | None]:
    """Accept an invitation; the key of who chose no password, in a sandbox. Raises as `people.accept`."""
    at, new_id = parts.clock(), parts.new_id("per")
    if asked.login is None or asked.password is None or asked.totp is None or asked.enrolment is None:
        require_sandbox(parts)

        def without(unit: UnitOfWork) -> tuple[Person, str]:
            found = opened(unit.connection, parts.sealer, asked.invitation, at)
            person = enter(unit, found.invitation, asked.name, at, new_id)
            _tell_entered(parts, unit, person, found.invitation.invitation_id)
            return person, issue(unit.connection, person.person_id, "invitation", at)

        return parts.writer.execute(without)
    with parts.reading() as connection:
        invitation_id = opened(connection, parts.sealer, asked.invitation, at).invitation.invitation_id
    # Tens of megabytes and of milliseconds: never on the writer's thread, and for no stranger.
    chosen = Chosen(asked.name, asked.login, hash_password(asked.password), asked.totp, asked.enrolment)

    def run(unit: UnitOfWork) -> Person:
        person = accept(unit, parts.sealer, asked.invitation, chosen, at, new_id)
        _tell_entered(parts, unit, person, invitation_id)
        return person

    return parts.writer.execute(run), None


def admitted(parts: Parts, asked: SignIn, *, token: bool) -> tuple[Principal, str]:
    """Sign a person in; who it is, and the secret of its session. Raises `Unauthenticated`.

    What was wrong is on record in the trail of the organisation whose person the login is; nobody waits for that.
    """
    at = parts.clock()
    with parts.reading() as connection:
        try:
            who = signed_in(connection, parts.sealer, asked, at)
        except Unauthenticated as refused:
            whose = person_of(connection, asked.login)
            if whose is not None:
                parts.audit.submit(AuditEvent.of(whose, at, "sign_in", "refused", code=refused.code))
            raise

    def run(unit: UnitOfWork) -> str:
        use_up(unit.connection, who.principal.person, who.step)
        return begun(parts, unit, who.principal, at, token=token)

    return who.principal, parts.writer.execute(run)


def begun(
    parts: Parts, unit: UnitOfWork, principal: Principal, at: datetime, *, key: str | None = None, token: bool = False
) -> str:
    """Start a person's session, on record in the audit trail; its secret."""
    parts.audit.record(unit, AuditEvent.of(principal, at, "sign_in", "committed"))
    return open_session(unit.connection, principal, at, key=key, token=token)


def session_ended(parts: Parts, principal: Principal, session_id: str) -> SessionListed:
    """End a session: anybody their own, an administrator everybody's. Raises `NotFound`."""
    at = parts.clock()

    def run(unit: UnitOfWork) -> SessionListed:
        ended = end_session(unit.connection, session_id, principal.organisation_id, at, person=_only(principal))
        parts.audit.record(unit, AuditEvent.of(principal, at, "end_session", "committed", object_id=session_id))
        return ended

    return parts.writer.execute(run)


def _tell_entered(parts: Parts, unit: UnitOfWork, person: Person, invitation_id: str) -> None:
    principal = Principal(person.organisation_id, "", "", "", person.person_id, credential="invitation")
    at = parts.clock()
    parts.audit.record(unit, AuditEvent.of(principal, at, "accept_invitation", "committed", object_id=invitation_id))


def require_sandbox(parts: Parts) -> None:
    """Raise `Forbidden` outside a sandbox."""
    if not parts.settings.sandbox:
        raise Forbidden("API keys open sandboxes only: people sign in, machines ask for tokens")


def _only(principal: Principal) -> str | None:
    """Whose sessions the caller sees and ends: everybody's (None) or its own."""
    return None if principal.has(Role.ADMINISTRATOR) else principal.person
