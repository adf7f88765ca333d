"""What comes before trust: who calls, how often, how much and how long, before a byte of a body is looked at.

A stranger's 100 MB of JSON was parsed before anybody asked for its key; it stalled everyone, and the memory stayed.
Plain ASGI, the outermost but for the headers of every answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from credit_api.app.errors import ApiError, Unauthenticated, problem
from credit_api.app.settings import Limits
from credit_api.app.wiring import Parts
from credit_api.audit.refusals import address_of
from credit_api.http.auth.principal import Principal, digest
from credit_api.http.bodies import given_again, whole_body

MACHINES = "/v1/"
# Where one comes in: a stranger may send a body there, a small one, and an address that guesses is slowed.
DOORS = frozenset({"/oauth/token", "/v1/sessions", "/v1/invitations/opening", "/v1/invitations/acceptance"})
DOOR_BYTES = 16 * 1024
# Files of readings and of other registries' units are large; nothing else is.
FILES = ("/readings", "/readings.csv", "/cad-trust/units")
# A stream stays open for hours and costs nothing meanwhile.
STREAMS = "/stream"


class Gate:
    """Refuses what is too much, too slow or nobody's; what it lets through has its body in memory, within bounds."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        parts: Parts = scope["app"].state.parts
        try:
            parts.rates.require_room()
            rate = await _let_in(request, parts)
            body = await _read(request, parts.rates.limits) if _takes_body(request) else None
        except ApiError as refusal:
            parts.audit.stranger(address_of(request), refusal.code)
            await _refuse(request, refusal, send)
            return
        except ClientDisconnect:
            return
        with nullcontext() if scope["path"].endswith(STREAMS) else parts.rates.working():
            await self._app(scope, receive if body is None else given_again(body, receive), _telling(rate, send))


async def _let_in(request: Request, parts: Parts) -> Mapping[str, str]:
    """What is left of the caller's rate, as headers. Raises `TooManyRequests` and `Unauthenticated`."""
    address = address_of(request)
    key, path = _bearer(request.headers), request.scope["path"]
    if key is None or not path.startswith(MACHINES):
        if path in DOORS:
            parts.rates.require_guess(address)
        elif _takes_body(request):
            raise Unauthenticated("a token is needed: Authorization: Bearer <token>")
        return parts.rates.of_address(address)
    if parts.known_keys.find(digest(key), parts.clock()) is None:
        parts.rates.require_guess(address)
        try:
            await run_in_threadpool(_learn, parts, key)
        except Unauthenticated:
            parts.rates.count_wrong_key(address)
            raise
    return parts.rates.of_key(digest(key))


async def _read(request: Request, limits: Limits) -> bytes:
    """The whole body. Raises `BodyTooLarge` at the first byte too many, and `TooSlow`."""
    path = request.scope["path"]
    most = DOOR_BYTES if path in DOORS else limits.file_bytes if path.endswith(FILES) else limits.body_bytes
    return await whole_body(request, most, limits.body_seconds)


def _learn(parts: Parts, key: str) -> Principal:
    with parts.reading() as connection:
        return parts.known_keys.learn(connection, key, parts.clock())


def _takes_body(request: Request) -> bool:
    """Whether a machine sends something. The console's forms have bounds of their own, and an answer that is a page."""
    # From the scope: `request.url` puts an address together at every look.
    scope = request.scope
    return scope["method"] in {"POST", "PUT", "PATCH"} and bool(
        scope["path"].startswith(MACHINES) or scope["path"] in DOORS
    )


def _bearer(headers: Headers) -> str | None:
    scheme, _, key = headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" and key.strip() else None


def _telling(rate: Mapping[str, str], send: Send) -> Send:
    async def tell(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(rate)
        await send(message)

    return tell


async def _refuse(request: Request, refusal: ApiError, send: Send) -> None:
    """Answer without reading on; the connection ends, so that what is still to come is not waited for."""
    answer = problem(request, refusal.code, refusal.detail, refusal.context)
    answer.headers["Connection"] = "close"
    wait = refusal.context.get("retry_after_s")
    if isinstance(wait, int):
        answer.headers["Retry-After"] = str(wait)
    await answer(request.scope, request.receive, send)
