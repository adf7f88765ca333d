"""Flower's `Grid` over nodes in processes of their own, each behind a channel that carries bytes.

What passes is Flower's own protobuf form of a message. A message has the number of its exchange: where no reply came
back it is sent again as it was, and a node answers a number once (`seat.RunSeat`).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from flwr.app import Message
from flwr.common.constant import ErrorCode
from flwr.supercore.run import Run

from federated.engines.answering import AnsweringGrid, failed, from_bytes, to_bytes
from federated.errors import FederatedError, NodeUnavailable

RUN_BYTES = 16
# How long a node may be away before what it is asked fails, and how long between two tries.
PATIENCE_S, AGAIN_S = 60.0, 0.5


class Seat(Protocol):
    """A node elsewhere, for one run."""

    def begin(self, run: bytes) -> None:
        """Have it take part in a run, with nothing left of one before."""
        ...

    def answer(self, run: bytes, number: int, message: bytes) -> bytes:
        """What it answers to the message of this number. Raises `NodeUnavailable` where no answer came back."""
        ...


class ChannelGrid(AnsweringGrid):
    """A grid over seats elsewhere, all asked at once; one that cannot be reached for `patience_s` has failed."""

    def __init__(
        self,
        seats: Mapping[int, Seat],
        *,
        begun: tuple[Run, bytes] | None = None,
        patience_s: float = PATIENCE_S,
        waiting: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Begin a run at all seats, unless it was `begun`: over Flower's SuperLink, with the key that nodes know."""
        run, self.run_key = (None, secrets.token_bytes(RUN_BYTES)) if begun is None else begun
        super().__init__(seats, run=run)
        self._seats, self._numbers = dict(seats), dict.fromkeys(seats, 0)
        self._patience_s, self._waiting = patience_s, waiting
        self._pool = ThreadPoolExecutor(max_workers=max(1, len(seats)), thread_name_prefix="channel")
        if begun is None:
            for seat in seats.values():
                seat.begin(self.run_key)

    def answered(self, messages: Sequence[Message]) -> list[Message]:
        """See `AnsweringGrid`. Messages to one node are answered in order."""
        by_node: dict[int, list[Message]] = {}
        for message in messages:
            by_node.setdefault(message.metadata.dst_node_id, []).append(message)
        replies: dict[str, Message] = {}
        for found in self._pool.map(self._answered_by, by_node, by_node.values()):
            replies |= found
        return [replies[message.metadata.message_id] for message in messages]

    def close(self) -> None:
        """End its threads."""
        self._pool.shutdown(cancel_futures=True)

    def _answered_by(self, node_id: int, messages: Sequence[Message]) -> dict[str, Message]:
        return {message.metadata.message_id: self._one(node_id, message) for message in messages}

    def _one(self, node_id: int, message: Message) -> Message:
        if node_id not in self._seats:
            return failed(message, ErrorCode.NODE_UNAVAILABLE, "no such node in this run")
        self._numbers[node_id] += 1
        try:
            reply = from_bytes(self._sent(node_id, to_bytes(message)))
        except FederatedError as error:
            return failed(message, ErrorCode.NODE_UNAVAILABLE, error.detail)
        if reply.metadata.reply_to_message_id != message.metadata.message_id:
            return failed(message, ErrorCode.NODE_UNAVAILABLE, "a reply to another message")
        return reply

    def _sent(self, node_id: int, raw: bytes) -> bytes:
        """The answer, asked for again while the node is away."""
        until = time.monotonic() + self._patience_s
        while True:
            try:
                return self._seats[node_id].answer(self.run_key, self._numbers[node_id], raw)
            except NodeUnavailable as error:
                if time.monotonic() >= until:
                    raise
                self._waiting(error.detail)
                time.sleep(AGAIN_S)
