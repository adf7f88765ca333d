"""People: invited by an administrator, signed in with a password and a one-time code, helped back in, and gone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any

from cryptography.fernet import InvalidToken
from pydantic import Field
from sqlalchemy import Connection, Row, insert, select, update

from credit_api.app.errors import Unauthenticated
from credit_api.http.auth.keys import revoke_all
from credit_api.http.auth.passwords import Sealer, is_password, new_totp_secret, totp_step, totp_uri
from credit_api.http.auth.principal import Principal, as_person, digest, people, person_t
from credit_api.http.auth.sessions import end_all, machine_t
from credit_api.http.tables import CredentialsRow, InvitationRow
from financing.base.authority import EVERY_ROLE, Role
from financing.base.commands import Command, use_case
from financing.base.context import Context
from financing.base.errors import AlreadyExists, InvalidState, NotFound, NotPermitted
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.store import value_of
from financing.ledger.people import Person, from_words, in_words
from financing.lending.unit import UnitOfWork

credentials_t = table_of(CredentialsRow)
invitation_t = table_of(InvitationRow)
OPEN_FOR = timedelta(hours=72)
CODE = "tinv"

Login = Annotated[str, Field(min_length=3, max_length=64, pattern=r"^[a-z0-9][a-z0-9@._-]+$")]
Password = Annotated[str, Field(min_length=12, max_length=200)]
OneTimeCode = Annotated[str, Field(pattern=r"^\d{6}$")]
Roles = Annotated[list[Role], Field(min_length=1, max_length=len(Role))]


class InvitePerson(Command):
    roles: Roles


class SignIn(Command):
    login: Login
    password: Annotated[str, Field(min_length=1, max_length=200)]
    totp: OneTimeCode


@dataclass(frozen=True, slots=True)
class Invitation:
    """Makes a person of an organisation, or (`person_id`) gives one new credentials, once and until `expires_at`."""

    invitation_id: str
    organisation_id: str
    person_id: str | None
    roles: frozenset[Role]
    invited_by: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    withdrawn_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What an invited person chose, its password as a hash, and the code that its authenticator shows."""

    name: str
    login: str
    password_hash: str
    totp: str
    enrolment: str


@dataclass(frozen=True, slots=True)
class Opened:
    """An invitation as whoever holds its code sees it, with a secret for an authenticator (base32) that nobody was
    shown before, and `enrolment`, the same secret sealed, by which acceptance knows it again."""

    invitation: Invitation
    totp_secret: str
    enrolment: str

    def uri(self, login: str) -> str:
        return totp_uri(self.totp_secret, login)


# Roles whose holder can be one of the two that a command takes.
OF_TWO = (Role.ADMINISTRATOR, Role.CHECKER, Role.MAKER)


def code_of(sealer: Sealer, invitation_id: str) -> str:
    """The code of an invitation: told by the home's key and stored nowhere."""
    return f"{CODE}_{sealer.code_for(f'invitation {invitation_id}')}"


def invite(
    unit: UnitOfWork,
    context: Context,
    sealer: Sealer,
    organisation_id: str,
    roles: frozenset[Role],
    person_id: str | None = None,
) -> Invitation:
    """Write an invitation down, in place of those that nobody has used for the same person."""
    made = Invitation(
        context.new_id("inv"),
        organisation_id,
        person_id,
        roles,
        context.actor.id,
        context.at,
        context.at + OPEN_FOR,
    )
    if person_id is not None:
        _withdraw(unit.connection, context.at, invitation_t.c.person_id == person_id)
    unit.connection.execute(
        insert(invitation_t).values(
            sha256=digest(code_of(sealer, made.invitation_id)),
            id=made.invitation_id,
            organisation_id=organisation_id,
            person_id=person_id,
            roles=in_words(roles),
            invited_by=made.invited_by,
            created_at=made.created_at,
            expires_at=made.expires_at,
        )
    )
    return made


@use_case
def invite_first(unit: UnitOfWork, context: Context, organisation_id: str, sealer: Sealer) -> Invitation:
    """Invite the first administrator of an organisation that the actor admitted.

    Raises `NotPermitted` for one that another admitted, and `InvalidState` as soon as anybody acts for it: from then on
    it invites its people itself.
    """
    organisation = unit.organisations.get(organisation_id)
    if organisation.admitted_by != context.actor.id:
        raise NotPermitted("another organisation admitted this one", organisation_id=organisation_id)
    if unit.people.count(organisation_id):
        raise InvalidState("this organisation has people, who invite others", organisation_id=organisation_id)
    _withdraw(unit.connection, context.at, invitation_t.c.organisation_id == organisation_id)
    return invite(unit, context, sealer, organisation_id, EVERY_ROLE)


@use_case
def invite_person(unit: UnitOfWork, context: Context, command: InvitePerson, sealer: Sealer) -> Invitation:
    """Invite somebody to act for the actor's organisation; an administrator, and a maker or a checker where there is
    more than one person, only with a second person's word: nobody makes a second person of its own."""
    roles = frozenset(command.roles)
    named = next((role for role in OF_TWO if role in roles), None)
    if named is not None and (named is Role.ADMINISTRATOR or unit.people.count(context.actor.id) > 1):
        context.require_second_person(named, f"an invitation that makes a person {named}")
    return invite(unit, context, sealer, context.actor.id, roles)


@use_case
def recover_person(unit: UnitOfWork, context: Context, person_id: str, sealer: Sealer) -> Invitation:
    """Let a person of the actor's organisation choose new credentials; the old ones and its sessions end when it does.

    Of who makes, checks or administers it takes a second person: alone nobody becomes one of those. Raises `NotFound`,
    `InvalidState` for a person who left.
    """
    person = unit.people.get(person_id, context.actor.id)
    if person.ended_at is not None:
        raise InvalidState("this person has left", person_id=person_id)
    if person.roles & set(OF_TWO):
        context.require_second_person(person_id, "new credentials for an administrator, a checker or a maker")
    return invite(unit, context, sealer, context.actor.id, person.roles, person_id)


@use_case
def withdraw_invitation(unit: UnitOfWork, context: Context, invitation_id: str) -> Invitation:
    """Take an invitation back that nobody has used. Raises `NotFound`, `InvalidState`."""
    found = invitation(unit.connection, invitation_id, context.actor.id)
    if found.used_at is not None:
        raise InvalidState("the invitation was used", invitation_id=invitation_id)
    _withdraw(unit.connection, context.at, invitation_t.c.id == invitation_id)
    return replace(found, withdrawn_at=found.withdrawn_at or context.at)


@use_case
def end_person(unit: UnitOfWork, context: Context, person_id: str) -> Person:
    """A person leaves the actor's organisation: its sessions and keys end at once, its machines with them, and
    invitations that nobody has used are withdrawn, whoever gave them.

    Raises `NotFound`, `InvalidState` for one who left before, and for the last administrator: nobody could invite then.
    """
    person = unit.people.get(person_id, context.actor.id)
    last = unit.people.count(context.actor.id, Role.ADMINISTRATOR) == 1
    if Role.ADMINISTRATOR in person.roles and person.ended_at is None and last:
        raise InvalidState("the last administrator stays until there is another", person_id=person_id)
    unit.people.end(person, context.at)
    end_all(unit.connection, context.at, person=person_id)
    _withdraw(unit.connection, context.at, invitation_t.c.invited_by == context.actor.id)
    made = update(machine_t).where(machine_t.c.created_by == person_id, machine_t.c.revoked_at.is_(None))
    unit.connection.execute(made.values(revoked_at=context.at))
    return replace(person, ended_at=context.at)


def opened(connection: Connection, sealer: Sealer, code: str, at: datetime, enrolment: str = "") -> Opened:
    """What a code opens, with the secret of an `enrolment` begun before, or a new one: who looked first does not know
    it. Raises `Unauthenticated` for a code that is unknown, used, withdrawn or too old."""
    found = _open_invitation(connection, code, at)
    secret = _enrolled(sealer, found, enrolment) if enrolment else new_totp_secret()
    return Opened(found, secret, enrolment or sealer.seal(f"{found.invitation_id} {secret}"))


def _enrolled(sealer: Sealer, found: Invitation, enrolment: str) -> str:
    """The secret that an enrolment holds. Raises `Unauthenticated` for another invitation's or a forged one."""
    try:
        invitation_id, _, secret = sealer.unseal(enrolment).partition(" ")
    except InvalidToken:
        invitation_id, secret = "", ""
    if not secret or invitation_id != found.invitation_id:
        raise Unauthenticated("this enrolment is not this invitation's: open the invitation again")
    return secret


def _open_invitation(connection: Connection, code: str, at: datetime) -> Invitation:
    row = connection.execute(select(invitation_t).where(invitation_t.c.sha256 == digest(code))).first()
    if row is None or row.used_at is not None or row.withdrawn_at is not None or row.expires_at <= at:
        raise Unauthenticated("this invitation is unknown, was used or withdrawn, or is too old")
    return _invitation(row)


def accept(unit: UnitOfWork, sealer: Sealer, code: str, asked: Chosen, at: datetime, new_id: str) -> Person:
    """Make the person an invitation is for, with the credentials it chose.

    Raises `Unauthenticated` for a wrong invitation or code, `AlreadyExists` for a login that is taken.
    """
    found = opened(unit.connection, sealer, code, at, asked.enrolment)
    step = totp_step(found.totp_secret, asked.totp, at)
    if step is None:
        raise Unauthenticated("the one-time code is wrong: does the authenticator have this invitation's secret?")
    holder = unit.connection.execute(select(credentials_t).where(credentials_t.c.login == asked.login)).first()
    if holder is not None and holder.person_id != found.invitation.person_id:
        raise AlreadyExists("this login is taken", field="login")
    person = enter(unit, found.invitation, asked.name, at, new_id)
    chosen = {
        "login": asked.login,
        "password_hash": asked.password_hash,
        "totp_sealed": sealer.seal(found.totp_secret),
        "totp_step": step,
        "changed_at": at,
    }
    known = update(credentials_t).where(credentials_t.c.person_id == person.person_id).values(**chosen)
    if not unit.connection.execute(known).rowcount:
        unit.connection.execute(insert(credentials_t).values(person_id=person.person_id, **chosen))
    return person


def enter(unit: UnitOfWork, used: Invitation, name: str, at: datetime, new_id: str) -> Person:
    """Use an invitation up: the person it makes, or the one it helps back in, whose sessions and keys end."""
    done = unit.connection.execute(
        update(invitation_t)
        .where(invitation_t.c.id == used.invitation_id, invitation_t.c.used_at.is_(None))
        .values(used_at=at)
    )
    if not done.rowcount:
        raise Unauthenticated("this invitation was used")
    if used.person_id is not None:
        end_all(unit.connection, at, person=used.person_id)
        revoke_all(unit.connection, at, person=used.person_id)
        person = unit.people.get(used.person_id, used.organisation_id)
        if person.ended_at is not None:
            raise Unauthenticated("this person has left")
        return person
    person = Person(new_id, used.organisation_id, name, used.roles, at)
    unit.people.add(person)
    return person


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Whose password and code were right; `step` is the code's, which is used up."""

    principal: Principal
    step: int


def signed_in(connection: Connection, sealer: Sealer, asked: SignIn, at: datetime) -> SignedIn:
    """Who signs in. Raises `Unauthenticated`, in the same words and after the same work whatever was wrong."""
    query = (
        people()
        .add_columns(credentials_t.c.password_hash, credentials_t.c.totp_sealed, credentials_t.c.totp_step)
        .join(credentials_t, credentials_t.c.person_id == person_t.c.id)
        .where(credentials_t.c.login == asked.login)
    )
    row = connection.execute(query).first()
    right = is_password(None if row is None else row.password_hash, asked.password)
    step = None
    if row is not None:
        step = totp_step(sealer.unseal(row.totp_sealed), asked.totp, at, after=row.totp_step)
    if row is None or not right or step is None:
        raise Unauthenticated("login, password or one-time code is wrong; a code works once")
    return SignedIn(as_person(row, "session"), step)


def person_of(connection: Connection, login: str) -> Principal | None:
    """Whose login this is; None if nobody's."""
    row = connection.execute(people().join(credentials_t).where(credentials_t.c.login == login)).first()
    return None if row is None else as_person(row, "password")


def use_up(connection: Connection, person_id: str, step: int) -> None:
    """A one-time code works once, also for two who send it at the same time. Raises `Unauthenticated`."""
    done = connection.execute(
        update(credentials_t)
        .where(credentials_t.c.person_id == person_id, credentials_t.c.totp_step < step)
        .values(totp_step=step)
    )
    if not done.rowcount:
        raise Unauthenticated("login, password or one-time code is wrong; a code works once")


def invitation(connection: Connection, invitation_id: str, invited_by: str) -> Invitation:
    """An invitation that an organisation gave. Raises `NotFound`, for another's too."""
    query = select(invitation_t).where(invitation_t.c.id == invitation_id, invitation_t.c.invited_by == invited_by)
    row = connection.execute(query).first()
    if row is None:
        raise NotFound("no such invitation", invitation_id=invitation_id)
    return _invitation(row)


def invitations_by(connection: Connection, organisation_id: str, window: Window = ALL) -> Page[Invitation]:
    """What an organisation has invited, newest first."""
    query = select(invitation_t).where(invitation_t.c.invited_by == organisation_id)
    order = (Key(invitation_t.c.created_at, descending=True), Key(invitation_t.c.id, descending=True))
    return page_of(connection, query, order, window, _invitation)


def _withdraw(connection: Connection, at: datetime, which: Any) -> None:
    connection.execute(
        update(invitation_t)
        .where(which, invitation_t.c.used_at.is_(None), invitation_t.c.withdrawn_at.is_(None))
        .values(withdrawn_at=at)
    )


def _invitation(row: Row[Any]) -> Invitation:
    return value_of(Invitation, row, invitation_id=row.id, roles=from_words(row.roles))
