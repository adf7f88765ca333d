"""Who calls: the organisation behind an API key, for reading (`PrincipalDep`) and for commands (`CallDep`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Header, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from credit_api.app.errors import Forbidden, Unauthenticated
from credit_api.app.wiring import Parts
from credit_api.http.auth.keys import Principal, digest
from credit_api.http.pipeline import Issuer, Keyed, fingerprint
from financing.base.commands import Given
from financing.base.context import Context
from financing.base.errors import IdempotencyKeyMissing
from financing.base.storage.idempotency import Answer
from financing.lending.unit import UnitOfWork

R = TypeVar("R")
bearer = HTTPBearer(auto_error=False, description="API key of one organisation: `Authorization: Bearer txk_…`")


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
        raise Unauthenticated("an API key is needed: Authorization: Bearer <key>")
    parts = parts_of(request)
    sha256 = digest(credentials.credentials)
    principal = parts.known_keys.find(sha256)
    if principal is None:
        principal = await run_in_threadpool(_learn, parts, credentials.credentials)
    request.state.organisation_id = principal.organisation_id
    return Issuer(parts, principal, sha256)


def _learn(parts: Parts, key: str) -> Principal:
    with parts.reading() as connection:
        return parts.known_keys.learn(connection, key)


IssuerDep = Annotated[Issuer, Depends(calling)]


def authenticated(issuer: IssuerDep) -> Principal:
    """The organisation that reads, whose key is looked at anew. Raises `Unauthenticated`."""
    assert issuer.sha256 is not None
    with issuer.parts.reading() as connection:
        issuer.parts.known_keys.require_live(connection, issuer.sha256)
    return issuer.principal


PrincipalDep = Annotated[Principal, Depends(authenticated)]


def require_kind(principal: Principal, *kinds: str) -> None:
    """Raise `Forbidden` unless the caller is an organisation of one of these kinds."""
    if principal.kind not in kinds:
        raise Forbidden(f"this route is for a {' or '.join(kinds)}", kind=principal.kind)


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
        return as_response(
            await self.issuer.commit(
                asked, lambda unit, context: answer(given.run(unit, context)), instrument=instrument
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
        return Keyed(self.key, fingerprint(self.request.method, self.request.url.path, plain), status, name)


def called(issuer: IssuerDep, key: Annotated[str, Depends(keyed)], request: Request) -> Call:
    return Call(issuer, key, request)


CallDep = Annotated[Call, Depends(called)]


def as_response(answer: Answer) -> Response:
    """A command's answer over JSON; one of before says so."""
    headers = {"Idempotency-Replayed": "true"} if answer.replayed else {}
    return Json(answer.body, status_code=answer.status, headers=headers)
