"""Streams of market data: blocks reach every reader, and one who does not read is let go."""

import asyncio

from credit_api.http.feeds import QUEUE_MAX, Feeds, Subscription


def test_a_reader_a_whole_queue_behind_is_dropped():
    subscription = Subscription()
    assert all(subscription.offer(b"x") for _ in range(QUEUE_MAX))
    assert not subscription.offer(b"x")
    assert subscription.dropped
    blocks = [subscription.queue.get_nowait() for _ in range(QUEUE_MAX)]
    assert blocks[-1] is None


def test_what_is_touched_is_read_once_for_all_readers_and_nobody_left_means_no_task():
    async def story():
        feeds, reads = Feeds(), []

        async def read(after):
            reads.append(after)
            return after + 1, b"block"

        first = feeds.subscribe("i", 3, read)
        second = feeds.subscribe("i", 3, read)
        feeds.touch("i")
        feeds.touch("nobody listens here")
        assert await asyncio.wait_for(first.queue.get(), 5) == b"block"
        assert await asyncio.wait_for(second.queue.get(), 5) == b"block"
        assert reads == [3]
        feeds.leave("i", first)
        feeds.leave("i", second)
        feeds.leave("i", second)
        feeds.touch("i")

    asyncio.run(story())
