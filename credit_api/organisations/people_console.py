"""People of an organisation: joining by an invitation, who acts, who is signed in, what waits for a second person."""

from __future__ import annotations

from typing import Annotated

import segno
from fastapi import Query
from fastapi.responses import Response

from credit_api.audit.refusals import address_of
from credit_api.console.formats import fact
from credit_api.console.navigation import START
from credit_api.console.pages import Page, PageDep, redirect
from credit_api.console.posting import PROPOSALS, Post, PostDep, again_with
from credit_api.console.security import keep_cookie
from credit_api.http.auth.keys import keys_of
from credit_api.http.auth.principal import Principal
from credit_api.http.auth.sessions import COOKIE, LIFETIME, sessions_of
from credit_api.http.pipeline import REFUSALS
from credit_api.http.routing import Router
from credit_api.organisations.machines import machines_of, revoke_machine
from credit_api.organisations.people import (
    InvitePerson,
    Opened,
    code_of,
    end_person,
    invitations_by,
    invite_person,
    recover_person,
    withdraw_invitation,
)
from credit_api.organisations.people_api import Acceptance, begun, entered, revoke_key, session_ended, shown
from credit_api.organisations.proposals import confirm_proposal, refuse_proposal
from financing.base.authority import Role
from financing.base.commands import Id
from financing.ledger.people import Person, Proposal
from financing.ledger.signing import (
    KEY_DOMAIN,
    RegisterSigningKey,
    RevokeSigningKey,
    register_signing_key,
    revoke_signing_key,
)
from financing.lending.unit import UnitOfWork

router = Router(include_in_schema=False)
PEOPLE = "/console/people"


@router.get("/join")
def join(page: PageDep, invitation: Annotated[str, Query(max_length=100)] = "") -> Response:
    """Accept an invitation: the code, then a login, a password and an authenticator."""
    return join_page(page, invitation)


def join_page(page: Page, code: str) -> Response:
    found = None
    if code and page.shown is None:
        try:
            found = _opened(page, code)
        except REFUSALS as refusal:
            return again_with(
                Post(page, {"form": ["open"], "invitation": [code]}), refusal, lambda at: join_page(at, "")
            )
    elif code:
        found = _opened(page, code)
    picture = _picture(found, page.value("join", "login") or "tanxin") if found else ""
    return page.render("join.html", code=code, found=found, picture=picture)


@router.post("/join")
def accept(post: PostDep) -> Response:
    """Become a person of the organisation, and be signed in."""
    page, code = post.page, post.text("invitation")
    try:
        with page.parts.rates.guessing(address_of(page.request)):
            person, _ = entered(page.parts, post.read(Acceptance))
        secret = _signed_in(page, person)
    except REFUSALS as refusal:
        return again_with(post, refusal, lambda again: _join_again(again, code))
    response = redirect(page.request, START[_kind(page, person)], "joined")
    keep_cookie(page.request, response, COOKIE, secret, seconds=int(LIFETIME.total_seconds()))
    return response


@router.get(PEOPLE)
def people(page: PageDep) -> Response:
    """Who acts for the organisation, who is signed in, and its machines and keys."""
    return people_page(page)


def people_page(page: Page) -> Response:
    principal, at = page.principal(), page.parts.clock()
    administrator = principal.has(Role.ADMINISTRATOR)
    with page.parts.reading() as connection:
        unit, owner = UnitOfWork(connection), principal.organisation_id
        return page.render(
            "people.html",
            me=principal,
            administrator=administrator,
            people=unit.people.of(owner, page.window("people")),
            sessions=sessions_of(
                connection, owner, at, page.window("sessions"), person=None if administrator else principal.person
            ),
            invitations=[
                (each, code_of(page.parts.sealer, each.invitation_id) if each.organisation_id == owner else "")
                for each in invitations_by(connection, owner)
                if each.used_at is None and each.withdrawn_at is None and each.expires_at > at
            ]
            if administrator
            else [],
            machines=machines_of(connection, owner, page.window("machines")),
            keys=keys_of(connection, owner, page.window("keys")),
            signing_keys=unit.signing_keys.of(owner, page.window("signing")),
            key_domain=KEY_DOMAIN,
            roles=list(Role),
            at=at,
        )


@router.post(f"{PEOPLE}/invitations")
def invite(post: PostDep) -> Response:
    """Invite somebody; an administrator only with a second person's word."""
    return post.commit(
        lambda: invite_person.given(
            InvitePerson(roles=sorted(post.choices("roles", Role))) if post.many("roles") else post.read(InvitePerson),
            post.page.parts.sealer,
        ),
        to=f"{PEOPLE}#invitations",
        flash="invited",
        again=people_page,
    )


@router.post(f"{PEOPLE}/invitations/{{invitation_id}}/withdrawal")
def withdraw(post: PostDep, invitation_id: Id) -> Response:
    return post.commit(
        lambda: withdraw_invitation.given(invitation_id), to=PEOPLE, flash="invitation_withdrawn", again=people_page
    )


@router.post(f"{PEOPLE}/{{person_id}}/recovery")
def recover(post: PostDep, person_id: Id) -> Response:
    """Let a person choose new credentials."""
    return post.commit(
        lambda: recover_person.given(person_id, post.page.parts.sealer),
        to=f"{PEOPLE}#invitations",
        flash="invited",
        again=people_page,
    )


@router.post(f"{PEOPLE}/{{person_id}}/departure")
def depart(post: PostDep, person_id: Id) -> Response:
    """A person leaves; its sessions and keys end."""
    return post.commit(lambda: end_person.given(person_id), to=PEOPLE, flash="person_left", again=people_page)


@router.post(f"{PEOPLE}/sessions/{{session_id}}/end")
def end(post: PostDep, session_id: Id) -> Response:
    """End a session: anybody their own, an administrator everybody's."""
    page, principal = post.page, post.page.principal()
    try:
        session_ended(page.parts, principal, session_id)
    except REFUSALS as refusal:
        return again_with(post, refusal, people_page)
    return redirect(page.request, PEOPLE, "session_ended")


@router.post(f"{PEOPLE}/machines/{{machine_id}}/revocation")
def end_machine(post: PostDep, machine_id: Id) -> Response:
    return post.commit(lambda: revoke_machine.given(machine_id), to=PEOPLE, flash="machine_revoked", again=people_page)


@router.post(f"{PEOPLE}/signing-keys")
def add_signing_key(post: PostDep) -> Response:
    """Register a key of the organisation's own: it signs from then on, and nothing else does."""
    return post.commit(
        lambda: register_signing_key.given(post.read(RegisterSigningKey)),
        to=f"{PEOPLE}#signing",
        flash="signing_key_registered",
        again=people_page,
    )


@router.post(f"{PEOPLE}/signing-keys/{{public_key}}/revocation")
def end_signing_key(post: PostDep, public_key: Id) -> Response:
    """Let a key sign nothing more."""
    return post.commit(
        lambda: revoke_signing_key.given(public_key, post.read(RevokeSigningKey)),
        to=f"{PEOPLE}#signing",
        flash="signing_key_revoked",
        again=people_page,
    )


@router.post(f"{PEOPLE}/keys/{{key_id}}/revocation")
def end_key(post: PostDep, key_id: Id) -> Response:
    return post.commit(lambda: revoke_key.given(key_id), to=PEOPLE, flash="key_revoked", again=people_page)


@router.get(PROPOSALS)
def proposals(page: PageDep) -> Response:
    """What takes two people: waiting, and decided."""
    return proposals_page(page)


def proposals_page(page: Page) -> Response:
    principal = page.principal()
    with page.parts.reading() as connection:
        unit, owner = UnitOfWork(connection), principal.organisation_id
        return page.render(
            "proposals.html",
            me=principal,
            checker=principal.has(Role.CHECKER),
            facts_of=_facts,
            waiting=unit.proposals.of(owner, page.window("waiting"), waiting=True),
            decided=[each for each in unit.proposals.of(owner, page.window("decided")) if each.outcome is not None],
            names={each.person_id: each.name for each in unit.people.of(owner)},
        )


@router.post(f"{PROPOSALS}/{{proposal_id}}/confirmation")
def confirm(post: PostDep, proposal_id: Id) -> Response:
    """Confirm what another person made; it is carried out at once."""
    return post.commit(
        lambda: confirm_proposal.given(proposal_id, post.page.parts.sealer),
        to=PROPOSALS,
        flash="proposal_confirmed",
        again=proposals_page,
    )


@router.post(f"{PROPOSALS}/{{proposal_id}}/refusal")
def refuse(post: PostDep, proposal_id: Id) -> Response:
    return post.commit(
        lambda: refuse_proposal.given(proposal_id), to=PROPOSALS, flash="proposal_refused", again=proposals_page
    )


def _facts(proposal: Proposal) -> list[tuple[str, str]]:
    """A proposal's arguments in their units, those of its body beside the others."""
    given = [
        pair
        for name, value in proposal.arguments.items()
        for pair in (value.items() if isinstance(value, dict) else ((name, value),))
    ]
    return [(name, fact(name, value)) for name, value in given if value is not None]


def _opened(page: Page, code: str) -> Opened:
    return shown(page.parts, address_of(page.request), code, page.value("join", "enrolment"))


def _join_again(page: Page, code: str) -> Response:
    """The page once more, with the refusal, and the authenticator's secret if the invitation is good still."""
    try:
        return join_page(page, code)
    except REFUSALS:
        return page.render("join.html", code="", found=None, picture="")


def _picture(found: Opened, login: str) -> str:
    """The authenticator's secret as a QR code (inline SVG)."""
    drawn = segno.make(found.uri(login), micro=False).svg_inline(scale=4, border=2, light="#fff", dark="#000")
    # The secret stands beside it as text: a reader of screens needs no second one.
    return drawn.replace("<svg ", '<svg aria-hidden="true" ', 1)


def _kind(page: Page, person: Person) -> str:
    organisation = page.organisation(person.organisation_id)
    assert organisation is not None
    return organisation.kind


def _signed_in(page: Page, person: Person) -> str:
    """The secret of a session of the person who has just joined."""
    principal = Principal(person.organisation_id, _kind(page, person), "", "", person.person_id, person.roles)
    at = page.parts.clock()
    return page.parts.writer.execute(lambda unit: begun(page.parts, unit, principal, at))
