"""Market data as it is committed: one reader an instrument, bounded queues, and readers who are too slow are let go.

Nothing here waits for a subscriber. What a stream missed it reads again from the books, from the last event it names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

QUEUE_MAX = 64
BETWEEN_S = 0.05
POLL_S = 1.0

Read = Callable[[int], Awaitable[tuple[int, bytes]]]


@dataclass(slots=True, eq=False)
class Subscription:
    """Blocks of an event stream for one reader; None ends it."""

    queue: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(QUEUE_MAX))
    dropped: bool = False

    def offer(self, block: bytes) -> bool:
        """Hand over a block; false when the reader is a whole queue behind."""
        try:
            self.queue.put_nowait(block)
        except asyncio.QueueFull:
            self.dropped = True
            self.queue.get_nowait()
            self.queue.put_nowait(None)
            return False
        return True


@dataclass(slots=True, eq=False)
class _Feed:
    wake: asyncio.Event
    subscribers: set[Subscription]
    task: asyncio.Task[None] | None = None


class Feeds:
    """The feeds of one service. All but `touch` belong to the event loop's thread."""

    def __init__(self) -> None:
        self._feeds: dict[str, _Feed] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def touch(self, instrument: str) -> None:
        """Something of the instrument was committed. From any thread; costs nothing while nobody listens."""
        feed = self._feeds.get(instrument)
        if feed is not None and self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended, and with it every stream
                self._loop.call_soon_threadsafe(feed.wake.set)

    def subscribe(self, instrument: str, seq: int, read: Read) -> Subscription:
        """Follow an instrument from event `seq` on. `read(after)` gives the newest event and the block since."""
        self._loop = asyncio.get_running_loop()
        feed = self._feeds.setdefault(instrument, _Feed(asyncio.Event(), set()))
        subscription = Subscription()
        feed.subscribers.add(subscription)
        if feed.task is None:
            feed.task = self._loop.create_task(self._run(instrument, feed, seq, read))
        return subscription

    def leave(self, instrument: str, subscription: Subscription) -> None:
        feed = self._feeds.get(instrument)
        if feed is None:
            return
        feed.subscribers.discard(subscription)
        if not feed.subscribers:
            if feed.task is not None:
                feed.task.cancel()
            del self._feeds[instrument]

    async def _run(self, instrument: str, feed: _Feed, seq: int, read: Read) -> None:
        last = seq
        while feed.subscribers:
            # Another process's commits wake nobody here, so the books are looked at now and then in any case.
            with suppress(TimeoutError):
                await asyncio.wait_for(feed.wake.wait(), POLL_S)
            feed.wake.clear()
            newest, block = await read(last)
            if newest > last:
                last = newest
                for subscription in list(feed.subscribers):
                    if not subscription.offer(block):
                        feed.subscribers.discard(subscription)
            await asyncio.sleep(BETWEEN_S)
        if self._feeds.get(instrument) is feed:
            del self._feeds[instrument]
