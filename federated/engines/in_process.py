"""Flower's `Grid` inside one process: every message is handed to the destination's `ClientApp` at once.

Nodes share memory with the operator here: the engine separates code paths and stores, it is no security border.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flwr.app import ArrayRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.constant import ErrorCode

from federated.engines.answering import OPERATOR_NODE_ID, AnsweringGrid, failed, message_of, with_id

__all__ = ["OPERATOR_NODE_ID", "InProcessGrid", "Seat"]


@dataclass(frozen=True, slots=True)
class Seat:
    """One node of the run: its app and the configuration that Flower would give its SuperNode."""

    app: ClientApp
    node_config: Mapping[str, bool | float | int | str]


class InProcessGrid(AnsweringGrid):
    """A grid over apps in this process, asked one after the other.

    Each node keeps its own `Context` for the whole run. A message's content is copied on the way in and on the way out,
    because strategies send one shared `RecordDict` to all nodes. An exception inside an app becomes an `Error` reply.
    """

    def __init__(self, seats: Mapping[int, Seat], run_id: int = 1) -> None:
        self._seats = dict(seats)
        self._contexts = {
            node_id: Context(run_id, node_id, dict(seat.node_config), RecordDict(), {})
            for node_id, seat in seats.items()
        }
        super().__init__(seats, run_id)

    def answered(self, messages: Sequence[Message]) -> list[Message]:
        """See `AnsweringGrid`."""
        return [self._deliver(message) for message in messages]

    def _deliver(self, message: Message) -> Message:
        node_id = message.metadata.dst_node_id
        delivered = message_of(copy.copy(message.metadata), _separate(message.content))
        seat = self._seats.get(node_id)
        if seat is None:
            return failed(message, ErrorCode.NODE_UNAVAILABLE, "no such node in this run")
        try:
            reply = seat.app(delivered, self._contexts[node_id])
        except Exception as error:  # an engine must survive any failure of an app
            return failed(message, ErrorCode.CLIENT_APP_RAISED_EXCEPTION, f"{type(error).__name__}: {error}")
        return with_id(message_of(reply.metadata, _separate(reply.content)))


def _separate(content: RecordDict) -> RecordDict:
    """Records of the receiver's own, which it may change; arrays in them are shared, whose bytes nobody can change."""
    apart = content.copy()
    for name, record in content.items():
        apart[name] = record.copy() if isinstance(record, ArrayRecord) else copy.deepcopy(record)
    return apart
