"""Machines: programs of an organisation that sign assertions with keys of their own and get short tokens for them.

OAuth 2.0 client credentials (RFC 6749, section 4.4) with `private_key_jwt` (RFC 7523): no secret is ever shared. Keys
overlap while they are changed, expire, and are revoked; a token ends with the key that it was given for.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key
from joserfc.jws import extract_compact
from pydantic import Field
from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from credit_api.app.errors import OauthRefused
from credit_api.http.auth.sessions import machine_key_t, machine_t, open_machine_session
from credit_api.http.tables import AssertionRow
from federated.nodes.statements import is_weak, jwk_of
from financing.base.authority import Work
from financing.base.commands import Command, Moment, Text, use_case
from financing.base.context import Context
from financing.base.errors import AlreadyExists, InvalidState, NotFound, PeriodInvalid
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.store import value_of
from financing.lending.unit import UnitOfWork

assertion_t = table_of(AssertionRow)
ALGORITHMS = ["ES256", "PS256", "Ed25519"]
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# How far ahead an assertion may end: it is remembered until then, so that it is taken once.
ASSERTED_FOR = timedelta(minutes=5)
CLOCKS = timedelta(seconds=30)
KEYS_MAX = 5
# Who registers the node of a bank that runs in this service, and has none of its own.
SERVICE = "service"
KEY_LIFETIME_MAX = timedelta(days=400)
PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
RSA_BITS_MIN = 2048
KID = re.compile(r"[A-Za-z0-9_-]{1,64}")

Name = Annotated[str, Field(max_length=64)]
Jwk = Annotated[
    dict[Name, Annotated[str, Field(max_length=2048)] | Annotated[list[Name], Field(max_length=8)]],
    Field(max_length=16, description="a public key as JWK (RFC 7517): EC P-256, Ed25519 or RSA from 2,048 bits"),
]


class AddMachineKey(Command):
    jwk: Jwk
    expires_at: Moment


class RegisterMachine(AddMachineKey):
    label: Text
    works: Annotated[list[Work], Field(min_length=1, max_length=len(Work), description="the scopes it may ask for")]


@dataclass(frozen=True, slots=True)
class MachineKey:
    """A public key of a machine, from when until when it holds, and when it was last used."""

    machine_id: str
    kid: str
    jwk: Mapping[str, Any]
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    machine_id: str
    organisation_id: str
    label: str
    works: frozenset[Work]
    created_by: str
    created_at: datetime
    revoked_at: datetime | None = None
    keys: tuple[MachineKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Token:
    """A machine's token, for how long it holds, and what for."""

    access_token: str
    lifetime: timedelta
    works: frozenset[Work]


@dataclass(frozen=True, slots=True)
class Asserted:
    """What an assertion says, whose signature was found good."""

    machine: Machine
    kid: str
    jti: str
    expires_at: datetime


@use_case
def register_machine(unit: UnitOfWork, context: Context, command: RegisterMachine) -> Machine:
    """Register a program of the actor's organisation with its first public key.

    Raises `PeriodInvalid` (a key holds for 400 days at most), `InvalidState` (no public key that can be used).
    """
    machine = Machine(
        context.new_id("mac"),
        context.actor.id,
        command.label,
        frozenset(command.works),
        context.person,
        context.at,
    )
    values = {
        "id": machine.machine_id,
        "organisation_id": machine.organisation_id,
        "label": machine.label,
        "works": " ".join(sorted(machine.works)),
        "created_by": machine.created_by,
        "created_at": machine.created_at,
    }
    unit.connection.execute(insert(machine_t).values(**values))
    return replace(machine, keys=(_add_key(unit.connection, machine.machine_id, command, context.at),))


@use_case
def add_machine_key(unit: UnitOfWork, context: Context, machine_id: str, command: AddMachineKey) -> Machine:
    """Give a machine another key beside those it has, so that it changes over without a gap.

    Raises `NotFound`, `InvalidState` (revoked; five live keys are the most), `AlreadyExists`, `PeriodInvalid`.
    """
    machine = machine_of(unit.connection, machine_id, context.actor.id)
    if machine.revoked_at is not None:
        raise InvalidState("this machine was revoked", machine_id=machine_id)
    live = [each for each in machine.keys if each.revoked_at is None and each.expires_at > context.at]
    if len(live) >= KEYS_MAX:
        raise InvalidState(f"a machine has at most {KEYS_MAX} keys at once", machine_id=machine_id)
    added = _add_key(unit.connection, machine_id, command, context.at)
    return replace(machine, keys=(*machine.keys, added))


@use_case
def revoke_machine_key(unit: UnitOfWork, context: Context, machine_id: str, kid: str) -> Machine:
    """Make a key useless at once, with the tokens that were given for it. Again changes nothing. Raises `NotFound`."""
    machine = machine_of(unit.connection, machine_id, context.actor.id)
    if all(each.kid != kid for each in machine.keys):
        raise NotFound("no such key", kid=kid)
    unit.connection.execute(
        update(machine_key_t)
        .where(
            machine_key_t.c.machine_id == machine_id, machine_key_t.c.kid == kid, machine_key_t.c.revoked_at.is_(None)
        )
        .values(revoked_at=context.at)
    )
    return machine_of(unit.connection, machine_id, context.actor.id)


@use_case
def revoke_machine(unit: UnitOfWork, context: Context, machine_id: str) -> Machine:
    """End a machine: its keys and tokens are useless at once. Again changes nothing. Raises `NotFound`."""
    machine_of(unit.connection, machine_id, context.actor.id)
    unit.connection.execute(
        update(machine_t)
        .where(machine_t.c.id == machine_id, machine_t.c.revoked_at.is_(None))
        .values(revoked_at=context.at)
    )
    return machine_of(unit.connection, machine_id, context.actor.id)


def machine_of(connection: Connection, machine_id: str, organisation_id: str) -> Machine:
    """A machine of an organisation with its keys. Raises `NotFound`, for another's too."""
    query = select(machine_t).where(machine_t.c.id == machine_id, machine_t.c.organisation_id == organisation_id)
    row = connection.execute(query).first()
    if row is None:
        raise NotFound("no such machine", machine_id=machine_id)
    return _machine(connection, row)


def machines_of(connection: Connection, organisation_id: str, window: Window = ALL) -> Page[Machine]:
    """An organisation's machines, revoked ones too, newest first."""
    query = select(machine_t).where(machine_t.c.organisation_id == organisation_id)
    order = (Key(machine_t.c.created_at, descending=True), Key(machine_t.c.id, descending=True))
    return page_of(connection, query, order, window, lambda row: _machine(connection, row))


def statement_keys(connection: Connection, organisation_id: str, public_key: str) -> list[MachineKey]:
    """Registrations of one public half (Ed25519, hex) by machines of an organisation, for the work of statements.

    What was revoked once, with its machine too or for other work, stays revoked however often it is registered.
    """
    machines = machines_of(connection, organisation_id)
    known = [
        (machine, replace(key, revoked_at=key.revoked_at or machine.revoked_at))
        for machine in machines
        for key in machine.keys
        if ed25519_of(key.jwk) == public_key
    ]
    revoked = next((key.revoked_at for _, key in known if key.revoked_at is not None), None)
    return [replace(key, revoked_at=revoked) for machine, key in known if Work.STATEMENTS in machine.works]


def ed25519_of(jwk: Mapping[str, Any]) -> str | None:
    """The public key (32 bytes as hex) of a JWK; None for one of another kind."""
    if (jwk.get("kty"), jwk.get("crv")) != ("OKP", "Ed25519"):
        return None
    return base64.urlsafe_b64decode(str(jwk["x"]) + "==").hex()


def register_node(
    unit: UnitOfWork, organisation_id: str, public_key: str, new_id: Callable[[str], str], at: datetime
) -> str | None:
    """Register the statement key of a bank's node that runs in this service, as the service keeps signing keys of who
    has not brought its own; the machine's id if that changed anything.

    Nothing is registered for a bank whose people registered a machine for statements, nor beside a machine that they
    revoked, nor a key a second time.
    """
    machines = machines_of(unit.connection, organisation_id)
    stating = [each for each in machines if Work.STATEMENTS in each.works]
    known = any(ed25519_of(key.jwk) == public_key for machine in stating for key in machine.keys)
    if known or any(each.created_by != SERVICE or each.revoked_at is not None for each in stating):
        return None
    given = AddMachineKey(jwk={**jwk_of(public_key)}, expires_at=at + KEY_LIFETIME_MAX)
    if stating:
        machine_id = stating[0].machine_id
    else:
        machine_id = new_id("mac")
        values = {
            "id": machine_id,
            "organisation_id": organisation_id,
            "label": "node in this service",
            "works": Work.STATEMENTS.value,
            "created_by": SERVICE,
            "created_at": at,
        }
        unit.connection.execute(insert(machine_t).values(**values))
    _add_key(unit.connection, machine_id, given, at)
    return machine_id


def asserted(connection: Connection, assertion: str, audiences: Iterable[str], at: datetime) -> Asserted:
    """Check a client assertion: signed by a live key of the machine that it names, for this service, for five minutes
    at most, and with a number of its own. Raises `OauthRefused`."""
    try:
        # Unverified: only to find the key that verifies it.
        unverified = extract_compact(assertion.encode())
        machine_id, kid = str(orjson.loads(unverified.payload)["sub"]), unverified.headers().get("kid")
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise OauthRefused("the client assertion is no signed JWT") from error
    row = connection.execute(select(machine_t).where(machine_t.c.id == machine_id)).first()
    machine = None if row is None else _machine(connection, row)
    live = () if machine is None or machine.revoked_at is not None else machine.keys
    key = next((each for each in live if each.kid == kid), None)
    if machine is None or key is None or key.revoked_at is not None or key.expires_at <= at:
        raise OauthRefused("no live key of this machine has this kid")
    try:
        token = jwt.decode(assertion, import_key(dict(key.jwk)), algorithms=ALGORITHMS)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise OauthRefused("the client assertion is not signed with this key") from error
    return Asserted(machine, key.kid, *_claims(token.claims, machine_id, frozenset(audiences), at))


def give_token(unit: UnitOfWork, given: Asserted, scope: str, at: datetime) -> Token:
    """Turn an assertion into a token, once. Raises `OauthRefused` for one that was used, or a scope beyond the
    machine's."""
    works = given.machine.works if not scope else _scopes(scope, given.machine.works)
    unit.connection.execute(delete(assertion_t).where(assertion_t.c.expires_at <= at - CLOCKS))
    sha256 = hashlib.sha256(f"{given.machine.machine_id} {given.jti}".encode()).hexdigest()
    try:
        unit.connection.execute(insert(assertion_t).values(sha256=sha256, expires_at=given.expires_at))
    except IntegrityError as error:
        raise OauthRefused("this client assertion was used already: its jti is known") from error
    used = update(machine_key_t).where(
        machine_key_t.c.machine_id == given.machine.machine_id, machine_key_t.c.kid == given.kid
    )
    unit.connection.execute(used.values(used_at=at))
    secret, lifetime = open_machine_session(unit.connection, given.machine.machine_id, given.kid, works, at)
    return Token(secret, lifetime, works)


def _scopes(scope: str, works: frozenset[Work]) -> frozenset[Work]:
    asked = frozenset(scope.split())
    if not asked <= works:
        raise OauthRefused("a scope was asked for that this machine does not have", error="invalid_scope")
    return frozenset(Work(each) for each in asked)


def _claims(
    claims: Mapping[str, Any], machine_id: str, audiences: frozenset[str], at: datetime
) -> tuple[str, datetime]:
    """The assertion's number and end, if all that RFC 7523 (section 3) asks for is as it should be."""
    given = claims.get("aud")
    aimed = frozenset(each for each in (given if isinstance(given, list) else [given]) if isinstance(each, str))
    jti, until, since = claims.get("jti"), claims.get("exp"), claims.get("nbf", claims.get("iat"))
    if claims.get("iss") != machine_id or claims.get("sub") != machine_id or not aimed & audiences:
        raise OauthRefused("iss and sub are the machine's id, aud is this service's token endpoint")
    if not isinstance(jti, str) or not 8 <= len(jti) <= 200:
        raise OauthRefused("jti is a text of 8 to 200 characters, new for each assertion")
    numbers = [each for each in (until, since) if each is not None]
    if until is None or any(not isinstance(each, int | float) or not 0 < each < 1 << 33 for each in numbers):
        raise OauthRefused("exp is given, in seconds since 1970; nbf and iat may be")
    ends = datetime.fromtimestamp(until, UTC)
    if not at - CLOCKS < ends <= at + ASSERTED_FOR + CLOCKS:
        raise OauthRefused("the assertion has ended, or ends more than five minutes from now")
    if since is not None and datetime.fromtimestamp(since, UTC) > at + CLOCKS:
        raise OauthRefused("the assertion is of the future")
    return jti, ends


def _add_key(connection: Connection, machine_id: str, given: AddMachineKey, at: datetime) -> MachineKey:
    if not at < given.expires_at <= at + KEY_LIFETIME_MAX:
        raise PeriodInvalid("a key holds for 400 days at most", expires_at=given.expires_at.isoformat())
    kid, public = _public(given.jwk)
    known = select(machine_key_t.c.kid).where(machine_key_t.c.machine_id == machine_id, machine_key_t.c.kid == kid)
    if connection.execute(known).first() is not None:
        raise AlreadyExists("this machine has a key with this kid", kid=kid)
    key = MachineKey(machine_id, kid, public, at, given.expires_at)
    connection.execute(
        insert(machine_key_t).values(
            machine_id=machine_id, kid=kid, jwk=public, created_at=at, expires_at=given.expires_at
        )
    )
    return key


def _public(jwk: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The key's name (its RFC 7638 thumbprint if it has none) and the public key. Raises `InvalidState`."""
    if PRIVATE & jwk.keys():
        raise InvalidState("this is a private key: make another, keep it, and register the public half only")
    try:
        key = import_key(dict(jwk))
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise InvalidState("this is no public key as JWK", field="jwk") from error
    usable = (
        (isinstance(key, ECKey) and jwk.get("crv") == "P-256")
        or (isinstance(key, OKPKey) and jwk.get("crv") == "Ed25519")
        or (isinstance(key, RSAKey) and key.public_key.key_size >= RSA_BITS_MIN)
    )
    if not usable:
        raise InvalidState("a key is EC P-256, Ed25519 or RSA from 2,048 bits", field="jwk")
    public = ed25519_of(jwk)
    if public is not None and is_weak(bytes.fromhex(public)):
        raise InvalidState("under a key of small order anybody signs: make another", field="jwk")
    kid = str(jwk.get("kid") or key.thumbprint())
    # It stands in an address when the key is revoked.
    if not KID.fullmatch(kid):
        raise InvalidState("a kid is 1 to 64 letters, digits, - or _", field="jwk")
    return kid, {**key.as_dict(private=False), "kid": kid}


def _machine(connection: Connection, row: Row[Any]) -> Machine:
    query = select(machine_key_t).where(machine_key_t.c.machine_id == row.id).order_by(machine_key_t.c.created_at)
    keys = tuple(value_of(MachineKey, each) for each in connection.execute(query))
    works = frozenset(Work(word) for word in row.works.split())
    return value_of(Machine, row, machine_id=row.id, works=works, keys=keys)
