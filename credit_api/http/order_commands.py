"""The short path of market commands: no thread is waited for but the writer's, and few statements run.

The key is known or looked up once; the day is brought up to date in a commit of its own, so that a refused order does
not take it back; the command runs with its idempotency record; the streams are told after the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Header, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from credit_api.app.errors import Unauthenticated
from credit_api.app.wiring import Parts
from credit_api.http.auth.keys import Principal, digest
from credit_api.http.commands import (
    answer_once,
    bearer,
    fingerprint,
    parts_of,
)
from financing.base.context import Context
from financing.base.errors import IdempotencyKeyMissing
from financing.lending.unit import UnitOfWork
from financing.market.order_book.commands import advance

T = TypeVar("T")


class Json(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, with which key, on which service."""

    parts: Parts
    principal: Principal
    sha256: str
    request: Request

    def context(self) -> Context:
        return self.parts.context(self.principal)


async def calling(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> Caller:
    """The caller. Raises `Unauthenticated` for a missing, unknown or revoked key."""
    if credentials is None:
        raise Unauthenticated("an API key is needed: Authorization: Bearer <key>")
    parts = parts_of(request)
    sha256 = digest(credentials.credentials)
    principal = parts.known_keys.find(sha256)
    if principal is None:
        principal = await run_in_threadpool(_learn, parts, credentials.credentials)
    request.state.organisation_id = principal.organisation_id
    return Caller(parts, principal, sha256, request)


def _learn(parts: Parts, key: str) -> Principal:
    with parts.reading() as connection:
        return parts.known_keys.learn(connection, key)


CallerDep = Annotated[Caller, Depends(calling)]


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


KeyDep = Annotated[str, Depends(keyed)]


async def commit_market(
    caller: Caller,
    key: str,
    body: BaseModel | None,
    run: Callable[[UnitOfWork, Context], BaseModel],
    *,
    instrument: str | None = None,
    status: int = 201,
) -> Response:
    """Queue a market command, wait for its commit, tell the streams, and answer with its JSON body."""
    parts, context = caller.parts, caller.context()
    if instrument is not None:
        await bring_up(caller, context, instrument)
    request = caller.request
    print_ = fingerprint(request.method, request.url.path, body.model_dump(mode="json") if body else None)

    def command(unit: UnitOfWork) -> Any:
        parts.known_keys.require_live(unit.connection, caller.sha256)
        return answer_once(unit, context, key, print_, status, run)

    answer = await asyncio.wrap_future(parts.writer.submit(command))
    touched = instrument or answer.body.get("instrument")
    if touched:
        parts.feeds.touch(touched)
    headers = {"Idempotency-Replayed": "true"} if answer.replayed else {}
    return Json(answer.body, status_code=answer.status, headers=headers)


async def bring_up(caller: Caller, context: Context, instrument: str) -> None:
    """Commit what time demands of an instrument, before and apart from the command that may be refused."""
    parts = caller.parts
    if parts.books.is_due(instrument, parts.parameters, context.at):
        await asyncio.wrap_future(parts.writer.submit(lambda unit: advance(unit, context, parts.books, instrument)))


async def look(caller: Caller, ask: Callable[[UnitOfWork, Context], T]) -> T:
    """Ask a question that needs the book in memory, in its turn on the writer's thread; nothing is stored."""
    context = caller.context()
    return await asyncio.wrap_future(caller.parts.writer.submit(lambda unit: ask(unit, context)))
