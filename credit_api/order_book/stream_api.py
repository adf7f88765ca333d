"""Market data by server-sent events, resumed from the journal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated

import orjson
from fastapi import Depends, Header, Request, Security
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials
from starlette.concurrency import run_in_threadpool

from credit_api.app.errors import Unauthenticated
from credit_api.app.wiring import Parts
from credit_api.console.pages import open_page
from credit_api.http.auth.sessions import COOKIE
from credit_api.http.callers import PartsDep, bearer, calling, parts_of
from credit_api.http.pipeline import Issuer
from credit_api.http.problems import PROBLEMS
from credit_api.http.routing import Router
from credit_api.order_book.market_data import book_out, instrument_out
from credit_api.order_book.schemas import TradeOut
from financing.base.commands import AssetCode
from financing.lending.unit import UnitOfWork

router = Router(prefix="/v1", tags=["order book"], responses=PROBLEMS)
# A quiet line is kept open, and every line asks whether its reader's key, token or session still holds.
HEARTBEAT_S = 5.0
RESUME_MAX = 500


async def watching(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> Issuer:
    """A caller with a key, or the browser of a signed-in organisation: the data are the same for everyone."""
    if credentials is None and request.cookies:
        page = await run_in_threadpool(open_page, request, parts_of(request))
        return Issuer(page.parts, page.principal(), cookie=request.cookies.get(COOKIE))
    return await calling(request, credentials)


@router.get(
    "/market/{instrument}/stream",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def stream(
    instrument: AssetCode,
    parts: PartsDep,
    watcher: Annotated[Issuer, Depends(watching)],
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID", max_length=20)] = None,
) -> StreamingResponse:
    """Best five prices, trades and session state as they are committed (`text/event-stream`).

    Event `trade` for each trade, then `book` with the id of the last journal event. With `Last-Event-ID` the trades
    since are sent first, or `reset` if they are too many. A reader that falls behind is dropped and resumes; one whose
    key was revoked or whose session ended gets `ended` within seconds.
    """
    await run_in_threadpool(require_live, watcher)
    asked = int(last_event_id) if last_event_id and last_event_id.isdecimal() else None
    seq, first = await run_in_threadpool(block_since, parts, instrument, asked)
    return StreamingResponse(
        events(watcher, instrument, seq, first), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


def require_live(watcher: Issuer) -> None:
    """Raise `Unauthenticated` once the watcher's key, token or session has ended."""
    with watcher.parts.reading() as connection:
        watcher.require_live(connection, watcher.parts.clock())


async def events(watcher: Issuer, instrument: str, seq: int, first: bytes) -> AsyncIterator[bytes]:
    """The stream from `first`, the block up to event `seq`, until its reader leaves, falls behind or may not watch."""
    parts, asked_at = watcher.parts, time.monotonic()

    async def read(after: int) -> tuple[int, bytes]:
        return await run_in_threadpool(block_since, parts, instrument, after)

    subscription = parts.feeds.subscribe(instrument, seq, read)
    try:
        yield first
        while True:
            block: bytes | None
            try:
                block = await asyncio.wait_for(subscription.queue.get(), HEARTBEAT_S)
            except TimeoutError:
                block = b": heartbeat\n\n"
            if time.monotonic() - asked_at >= HEARTBEAT_S:
                asked_at = time.monotonic()
                try:
                    await run_in_threadpool(require_live, watcher)
                except Unauthenticated:
                    yield b"event: ended\ndata: {}\n\n"
                    return
            if block is None:
                yield b"event: dropped\ndata: {}\n\n"
                return
            yield block
    finally:
        parts.feeds.leave(instrument, subscription)


def block_since(parts: Parts, instrument: str, after: int | None) -> tuple[int, bytes]:
    """The newest event and the text of the stream: trades since `after` (none for None), then the book as it is now.

    Raises `NotFound` for an instrument that is not listed.
    """
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        listed = unit.orders.instrument(instrument)
        book = book_out(unit, instrument)
        trades = [] if after is None else unit.orders.trades_after(instrument, after, RESUME_MAX + 1)
    lines: list[bytes] = []
    if len(trades) > RESUME_MAX:
        lines.append(_event("reset", {"after": after}))
        trades = []
    lines += [_event("trade", TradeOut.of(each).model_dump(mode="json")) for each in trades if each.seq <= book.seq]
    shown = {"session": instrument_out(parts, listed).model_dump(mode="json"), **book.model_dump(mode="json")}
    lines.append(_event("book", shown, book.seq))
    return book.seq, b"".join(lines)


def _event(name: str, body: object, seq: int | None = None) -> bytes:
    head = f"id: {seq}\n" if seq is not None else ""
    return f"{head}event: {name}\ndata: ".encode() + orjson.dumps(body) + b"\n\n"
