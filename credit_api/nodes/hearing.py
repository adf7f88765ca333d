"""What both services of a node have in common: a message is read whole, and answered in a thread, or refused.

Routes are Starlette's own: what a framework for public APIs does beside takes longer than a message is read in.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from credit_api.app.errors import STATUS
from federated.channel.certificates import Party
from federated.errors import ChannelRefused, FederatedError, NodeUnavailable

LOG = logging.getLogger("uvicorn.error")
# Several times what a query's largest message has.
MOST_MESSAGE = 1 << 20
# How long a connection stands on which nothing is asked: one that ends just when it is used loses a query.
KEPT_S = 75
# How many questions are answered at once.
AT_ONCE = 40
# Where a request says which route answers it, for who counts messages.
ROUTE = "tanxin.route"
Read = TypeVar("Read", bound=BaseModel)
Answer = BaseModel | Mapping[str, Any] | Response
# Who asks. Raises `ChannelRefused`, `NotPermitted`.
Asker = Callable[[Request], Awaitable[Party]]


def on_message(
    app: Starlette, path: str, kind: type[Read], by: Asker, most: int = MOST_MESSAGE
) -> Callable[[Callable[[Read, Party], Answer]], None]:
    """Have messages of other parties answered: who asks is known before the message is read.

    What answers runs in a thread, and raises `FederatedError`.
    """

    def add(answer: Callable[[Read, Party], Answer]) -> None:
        async def endpoint(request: Request) -> Response:
            party = await by(request)
            asked = await read(request, kind, most)
            return await in_thread(request, lambda: told(answer(asked, party)))

        route(app, path, endpoint)

    return add


def on_question(
    app: Starlette, path: str, kind: type[Read], most: int = MOST_MESSAGE
) -> Callable[[Callable[[Read], Answer]], None]:
    """Have questions of the organisation's own systems answered, as `on_message`: who may open the socket may ask."""

    def add(answer: Callable[[Read], Answer]) -> None:
        async def endpoint(request: Request) -> Response:
            asked = await read(request, kind, most)
            return await in_thread(request, lambda: told(answer(asked)))

        route(app, path, endpoint)

    return add


async def in_thread(request: Request, answer: Callable[[], Response]) -> Response:
    """What is answered, reckoned where it holds up nobody else."""
    threads: ThreadPoolExecutor = request.app.state.threads
    return await asyncio.get_running_loop().run_in_executor(threads, answer)


def route(app: Starlette, path: str, endpoint: Callable[[Request], Awaitable[Response]], method: str = "POST") -> None:
    """Have requests to a path answered."""

    async def counted(request: Request) -> Response:
        request.scope[ROUTE] = path
        try:
            return await endpoint(request)
        except Exception as error:
            if isinstance(error, tuple(each for each in app.exception_handlers if isinstance(each, type))):
                raise
            # Raised on, it would end the connection after the answer, and the next question on it would be lost.
            LOG.exception("%s", path)
            return refused(request, NodeUnavailable("this node failed: its log says why"), 500)

    app.router.routes.append(Route(path, counted, methods=[method]))


async def read(request: Request, kind: type[Read], most: int = MOST_MESSAGE) -> Read:
    """A message of this kind of at most so many bytes. Raises `ChannelRefused` for one that is too long,
    `ValidationError`."""
    return kind.model_validate_json(await body_of(request, most))


async def body_of(request: Request, most: int) -> bytes:
    """All of a message. Raises `ChannelRefused` for one of more bytes."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise ChannelRefused(f"a message between nodes has {most:,} bytes at the most")
    return bytes(body)


def told(answer: Answer) -> Response:
    """An answer as it goes out: written once, by its own model where it has one."""
    if isinstance(answer, Response):
        return answer
    content = answer.model_dump_json() if isinstance(answer, BaseModel) else orjson.dumps(answer)
    return Response(content, media_type="application/json")


def service_of(node: str) -> Starlette:
    """A service without routes, whose refusals are `handled`."""
    app = Starlette()
    # Each has threads of its own: of nodes that ask each other none waits for a turn that the other one takes.
    app.state.threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix=f"{node}-answers")
    handled(app, node)
    return app


def handled(app: Starlette, node: str) -> None:
    """Have what goes wrong answered as nodes read it; it fills no log with tracebacks."""

    def no_room(request: Request, error: Exception) -> JSONResponse:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        LOG.error("%s: %s", request.url.path, why)
        return refused(request, NodeUnavailable(f"{node} cannot keep this: {why}", node=node))

    app.add_exception_handler(FederatedError, refused)
    app.add_exception_handler(ValidationError, _not_read)
    app.add_exception_handler(ClientDisconnect, _broken_off)
    app.add_exception_handler(OSError, no_room)
    app.add_exception_handler(sqlite3.OperationalError, no_room)


def refused(_: Request, error: Exception, status: int | None = None) -> JSONResponse:
    """A refusal, as nodes read it."""
    assert isinstance(error, FederatedError)
    content = {"code": error.code, "detail": error.detail, "context": error.context}
    return JSONResponse(content, status or STATUS.get(error.code, 500))


def _not_read(_: Request, error: Exception) -> JSONResponse:
    # What was sent is not repeated: it may be about a customer.
    del error
    return JSONResponse({"code": "federated_error", "detail": "a message is not as nodes write it", "context": {}}, 422)


def _broken_off(_: Request, error: Exception) -> Response:
    # The message ended before it was whole: nobody reads this.
    del error
    return Response(status_code=400)
