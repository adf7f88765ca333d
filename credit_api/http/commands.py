"""How a request becomes one committed command with an idempotent answer."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from credit_api.app.errors import Forbidden, Unauthenticated
from credit_api.app.wiring import Parts
from credit_api.http.auth.keys import Principal, authenticate
from financing.base.context import Context
from financing.base.errors import IdempotencyKeyMissing
from financing.base.storage.idempotency import Answer
from financing.lending.unit import UnitOfWork

bearer = HTTPBearer(auto_error=False, description="API key of one organisation: `Authorization: Bearer txk_…`")


def parts_of(request: Request) -> Parts:
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts


PartsDep = Annotated[Parts, Depends(parts_of)]


def authenticated(
    request: Request, parts: PartsDep, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> Principal:
    """The organisation that calls. Raises `Unauthenticated` for a missing, unknown or revoked key."""
    if credentials is None:
        raise Unauthenticated("an API key is needed: Authorization: Bearer <key>")
    with parts.reading() as connection:
        principal = authenticate(connection, credentials.credentials)
    if principal is None:
        raise Unauthenticated("this API key is unknown or revoked")
    request.state.organisation_id = principal.organisation_id
    return principal


PrincipalDep = Annotated[Principal, Depends(authenticated)]


def require_kind(principal: Principal, *kinds: str) -> None:
    """Raise `Forbidden` unless the caller is an organisation of one of these kinds."""
    if principal.kind not in kinds:
        raise Forbidden(f"this route is for a {' or '.join(kinds)}", kind=principal.kind)


def idempotency_key(
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


IdempotencyDep = Annotated[str, Depends(idempotency_key)]


def fingerprint(method: str, path: str, body: Any) -> str:
    """SHA-256 over what makes two requests the same: method, path and canonical body."""
    text = json.dumps([method, path, body], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def answer_once(
    unit: UnitOfWork,
    context: Context,
    key: str,
    print_: str,
    status: int,
    run: Callable[[UnitOfWork, Context], BaseModel],
) -> Answer:
    """Run a command unless this key was answered already; remember the answer in the same commit."""
    known = unit.idempotency.recall(context.actor.id, key, print_)
    if known is not None:
        return known
    answer = Answer(status, run(unit, context).model_dump(mode="json"))
    unit.idempotency.remember(context.actor.id, key, print_, answer, at=context.at)
    return answer


async def commit(
    parts: Parts,
    principal: Principal,
    key: str,
    request: Request,
    body: BaseModel | None,
    run: Callable[[UnitOfWork, Context], BaseModel],
    *,
    status: int = 201,
) -> Response:
    """Queue a command on the writer, wait for its commit, and answer with its JSON body."""
    context = parts.context(principal)
    print_ = fingerprint(request.method, request.url.path, body.model_dump(mode="json") if body else None)
    future = parts.writer.submit(lambda unit: answer_once(unit, context, key, print_, status, run))
    answer = await asyncio.wrap_future(future)
    headers = {"Idempotency-Replayed": "true"} if answer.replayed else {}
    return JSONResponse(answer.body, status_code=answer.status, headers=headers)


def commit_after(
    parts: Parts,
    principal: Principal,
    key: str,
    request: Request,
    body: BaseModel | None,
    effect: Callable[[Context], BaseModel],
    *,
    status: int = 201,
) -> Response:
    """As `commit`, for an effect outside the books that may be repeated without harm (consent at the nodes).

    The key is looked up first, so a reused key with another body has no effect; the answer is remembered after it.
    """
    context = parts.context(principal)
    print_ = fingerprint(request.method, request.url.path, body.model_dump(mode="json") if body else None)
    with parts.reading() as connection:
        known = UnitOfWork(connection).idempotency.recall(principal.organisation_id, key, print_)
    if known is None:
        done = effect(context)
        known = parts.writer.execute(lambda unit: answer_once(unit, context, key, print_, status, lambda *_: done))
    headers = {"Idempotency-Replayed": "true"} if known.replayed else {}
    return JSONResponse(known.body, status_code=known.status, headers=headers)


def id_from_key(prefix: str, organisation_id: str, key: str) -> str:
    """An id that the same organisation and idempotency key always give, so a repeated effect is the same effect."""
    return f"{prefix}_{hashlib.sha256(f'{organisation_id} {key}'.encode()).hexdigest()[:20]}"
