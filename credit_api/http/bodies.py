"""Bodies of requests, read whole within bounds before anybody looks at them."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.types import Message, Receive

from credit_api.app.errors import BodyTooLarge, TooSlow


async def whole_body(request: Request, most: int, seconds: float) -> bytes:
    """All of a body. Raises `BodyTooLarge` at the first of more bytes, `TooSlow`, `ClientDisconnect`."""
    declared = request.headers.get("Content-Length", "")
    if declared.isdecimal() and int(declared) > most:
        raise BodyTooLarge("the body is too large", bytes_max=most)
    content = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                content += chunk
                if len(content) > most:
                    raise BodyTooLarge("the body is too large", bytes_max=most)
    except TimeoutError:
        raise TooSlow("the body did not arrive in time", seconds_max=seconds) from None
    return bytes(content)


def given_again(body: bytes, receive: Receive) -> Receive:
    """A body that was read, given once more; then whatever comes."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
