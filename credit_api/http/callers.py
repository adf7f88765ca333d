"""Who calls: the organisation behind an API key, for reading (`PrincipalDep`) and for commands (`CallDep`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Header, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from credit_api.app.errors import Forbidden, Unauthenticated
from credit_api.app.wiring import Parts
from credit_api.audit.model import AuditEvent, concerned, thing
from credit_api.http.auth.known_keys import mark_used
from credit_api.http.auth.principal import Principal, digest
from credit_api.http.authority import require_issuer, require_reader
from credit_api.http.pipeline import Issuer, Keyed, Proposing, fingerprint
from financing.base.authority import REGULATOR, Role
from financing.base.commands import Given
from financing.base.context import Context
from financing.base.errors import IdempotencyKeyMissing
from financing.base.storage.idempotency import Answer
from financing.lending.unit import UnitOfWork

R = TypeVar("R")
ACCEPTED = 202
bearer = HTTPBearer(
    auto_error=False,
    description="`Authorization: Bearer …`: a machine's token (`POST /oauth/token`), a person's (`POST /v1/sessions`),"
    " or in a sandbox an API key (`txk_test_…`).",
)


class Json(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


def parts_of(request: Request) -> Parts:
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts


async def _parts(request: Request) -> Parts:
    return parts_of(request)


PartsDep = Annotated[Parts, Depends(_parts)]


async def calling(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> Issuer:
    """Who calls. Raises `Unauthenticated` for a missing, unknown or revoked key.

    A key that this process knows is not looked up again here; a command looks at it in its own transaction.
    """
    if credentials is None:
        raise Unauthenticated("a token is needed: Authorization: Bearer <token>")
    parts = parts_of(request)
    sha256, at = digest(credentials.credentials), parts.clock()
    principal = parts.known_keys.find(sha256, at)
    if principal is None:
        principal = await run_in_threadpool(_learn, parts, credentials.credentials)
    if parts.known_keys.is_due(sha256, at):
        parts.writer.submit(lambda unit: mark_used(unit.connection, sha256, at))
    request.state.principal = principal
    return Issuer(parts, principal, sha256)


def _learn(parts: Parts, key: str) -> Principal:
    with parts.reading() as connection:
        return parts.known_keys.learn(connection, key, parts.clock())


IssuerDep = Annotated[Issuer, Depends(calling)]


def authenticated(
    issuer: IssuerDep,
    request: Request,
    read_as: Annotated[
        str | None,
        Header(
            alias="Tanxin-Read-As",
            max_length=64,
            description="for a regulator: the organisation whose eyes it reads with",
        ),
    ] = None,
) -> Principal:
    """Who reads, whose key or token is looked at anew; a regulator reads what any organisation may.

    Raises `Unauthenticated`, `Forbidden` for another kind, `NotFound` for an organisation that is not there.
    """
    assert issuer.sha256 is not None
    with issuer.parts.reading() as connection:
        principal = issuer.parts.known_keys.require_live(connection, issuer.sha256, issuer.parts.clock())
        if read_as is not None:
            if principal.kind != REGULATOR or request.method != "GET":
                raise Forbidden(
                    "only a regulator reads as another organisation, and it only reads", kind=principal.kind
                )
            seen = UnitOfWork(connection).organisations.get(read_as)
            at = issuer.parts.clock()
            issuer.parts.audit.note(AuditEvent.of(principal, at, "read_as", "read", concerns=seen.id))
            principal = replace(
                principal,
                organisation_id=seen.id,
                kind=seen.kind,
                name_zh=seen.name_zh,
                name_en=seen.name_en,
                roles=frozenset({Role.VIEWER, Role.AUDITOR}),
            )
    require_reader(principal, request.scope["route"].path)
    return principal


PrincipalDep = Annotated[Principal, Depends(authenticated)]


async def keyed(
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            max_length=200,
            description="Any text that is new for every command; repeat it to get the same answer again.",
        ),
    ] = None,
) -> str:
    """The request's idempotency key. Raises `IdempotencyKeyMissing`."""
    if key is None or not key.strip():
        raise IdempotencyKeyMissing("a command needs an Idempotency-Key header")
    return key


@dataclass(frozen=True, slots=True)
class Call:
    """One command over JSON: who issues it, and what makes it answered once."""

    issuer: Issuer
    key: str
    request: Request

    @property
    def parts(self) -> Parts:
        return self.issuer.parts

    @property
    def principal(self) -> Principal:
        return self.issuer.principal

    async def commit(
        self,
        given: Given[UnitOfWork, R],
        *,
        answer: Callable[[R], BaseModel],
        status: int = 201,
        instrument: str | None = None,
    ) -> Response:
        """Commit a command once, and answer with what `answer` makes of its result."""
        asked = self._asked(given.name, given.body, status)
        proposing = Proposing(given.arguments, lambda proposal: proposal, ACCEPTED)
        return as_response(
            await self.issuer.commit(
                asked,
                lambda unit, context: answer(given.run(unit, context)),
                instrument=instrument,
                proposing=proposing,
            )
        )

    async def commit_effect(
        self,
        name: str,
        effect: Callable[[Context], R],
        *,
        answer: Callable[[R], BaseModel],
        body: BaseModel | None = None,
        status: int = 201,
    ) -> Response:
        """As `commit`, for an effect outside the books that may be repeated without harm (consents at the nodes)."""
        asked = self._asked(name, body, status)
        return as_response(await self.issuer.commit_effect(asked, lambda context: answer(effect(context))))

    def _asked(self, name: str, body: BaseModel | None, status: int) -> Keyed:
        plain = None if body is None else body.model_dump(mode="json")
        address = self.request.path_params
        print_ = fingerprint(self.request.method, self.request.url.path, plain)
        return Keyed(self.key, print_, status, name, concerned(address, body), thing(address, body))


async def permitted(issuer: IssuerDep, request: Request) -> Issuer:
    """Who may issue the route's command, by the table of authority. Raises `Forbidden`, before a body is looked at."""
    require_issuer(issuer.principal, request.scope["route"].path)
    return issuer


PermittedDep = Annotated[Issuer, Depends(permitted)]


async def called(issuer: PermittedDep, key: Annotated[str, Depends(keyed)], request: Request) -> Call:
    return Call(issuer, key, request)


CallDep = Annotated[Call, Depends(called)]


def as_response(answer: Answer) -> Response:
    """A command's answer over JSON; one of before says so."""
    headers = {"Idempotency-Replayed": "true"} if answer.replayed else {}
    return Json(answer.body, status_code=answer.status, headers=headers)
