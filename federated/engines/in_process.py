"""Flower's `Grid` inside one process: every message is handed to the destination's `ClientApp` at once.

This is the only module that touches Flower's private parts (flwr 1.41.0, pinned): `TaskIdentity`, `Run.create_empty`,
the `_message_id` slot of `Metadata`, and `make_message`. `TaskIdentity` is global, so one process carries one run at a
time. Nodes share memory with the operator here: the engine separates code paths and stores, it is no security border.
"""

from __future__ import annotations

import copy
import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

for _name, _value in {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}.items():
    os.environ.setdefault(_name, _value)

from flwr.app import ArrayRecord, Context, Error, Message, RecordDict  # noqa: E402
from flwr.app.message import make_message  # noqa: E402
from flwr.clientapp import ClientApp  # noqa: E402
from flwr.common.constant import ErrorCode  # noqa: E402
from flwr.serverapp import Grid  # noqa: E402
from flwr.supercore.run import Run  # noqa: E402
from flwr.supercore.task_identity import TaskIdentity  # noqa: E402

OPERATOR_NODE_ID = 1


@dataclass(frozen=True, slots=True)
class Seat:
    """One node of the run: its app and the configuration that Flower would give its SuperNode."""

    app: ClientApp
    node_config: Mapping[str, bool | float | int | str]


class InProcessGrid(Grid):
    """Drives any Flower strategy or `ServerApp` over apps in this process.

    Each node keeps its own `Context` for the whole run. A message's content is copied on the way in and on the way out,
    because strategies send one shared `RecordDict` to all nodes. An exception inside an app becomes an `Error` reply,
    as in Flower's other engines.
    """

    def __init__(self, seats: Mapping[int, Seat], run_id: int = 1) -> None:
        self._seats = dict(seats)
        self._contexts = {
            node_id: Context(run_id, node_id, dict(seat.node_config), RecordDict(), {})
            for node_id, seat in seats.items()
        }
        self._replies: dict[str, Message] = {}
        self.set_run(Run.create_empty(run_id))

    def set_run(self, run: Run) -> None:
        """Enter a run. Global to the process, see the module's note."""
        self._run = run
        TaskIdentity.run_id = run.run_id
        TaskIdentity.node_id = OPERATOR_NODE_ID
        TaskIdentity.task_id = run.run_id

    @property
    def run(self) -> Run:
        """The run this grid carries."""
        return self._run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """A message from the operator to a node."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> list[int]:
        """Every node of the run, in order."""
        return sorted(self._seats)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Deliver messages, in order; the replies wait for `pull_messages`."""
        ids = []
        for message in messages:
            message_id = uuid.uuid4().hex
            message.metadata.__dict__["_message_id"] = message_id
            self._replies[message_id] = self._deliver(message)
            ids.append(message_id)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """The replies to these messages that have not been pulled yet."""
        return [self._replies.pop(message_id) for message_id in message_ids if message_id in self._replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Deliver messages and return their replies. Nothing is pending afterwards, so `timeout` cannot elapse."""
        del timeout
        return self.pull_messages(self.push_messages(messages))

    def _deliver(self, message: Message) -> Message:
        node_id = message.metadata.dst_node_id
        delivered = make_message(copy.copy(message.metadata), content=_separate(message.content))
        seat = self._seats.get(node_id)
        if seat is None:
            return self._seal(Message(Error(ErrorCode.NODE_UNAVAILABLE, "no such node in this run"), reply_to=message))
        try:
            reply = seat.app(delivered, self._contexts[node_id])
        except Exception as error:  # an engine must survive any failure of an app
            reason = f"{type(error).__name__}: {error}"
            return self._seal(Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason), reply_to=message))
        return self._seal(make_message(reply.metadata, content=_separate(reply.content)))

    def _seal(self, reply: Message) -> Message:
        reply.metadata.__dict__["_message_id"] = uuid.uuid4().hex
        return reply


def _separate(content: RecordDict) -> RecordDict:
    """Records of the receiver's own, which it may change; arrays in them are shared, whose bytes nobody can change."""
    apart = content.copy()
    for name, record in content.items():
        apart[name] = record.copy() if isinstance(record, ArrayRecord) else copy.deepcopy(record)
    return apart
