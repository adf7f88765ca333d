"""Flower's `Grid` over nodes that answer while they are asked: nothing is pending between two exchanges.

This is the only module that touches Flower's private parts (flwr 1.41.0, pinned): `TaskIdentity`, `Run.create_empty`,
the `_message_id` slot of `Metadata`, and `make_message`. `TaskIdentity` is global, so one process carries one run at a
time.
"""

from __future__ import annotations

import os
import uuid
from abc import abstractmethod
from collections.abc import Collection, Iterable, Sequence

for _name, _value in {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}.items():
    os.environ.setdefault(_name, _value)

from flwr.app import Error, Message, Metadata, RecordDict  # noqa: E402
from flwr.app.message import make_message  # noqa: E402
from flwr.common.serde import message_from_proto, message_to_proto  # noqa: E402
from flwr.proto.message_pb2 import Message as ProtoMessage  # noqa: E402
from flwr.serverapp import Grid  # noqa: E402
from flwr.supercore.run import Run  # noqa: E402
from flwr.supercore.task_identity import TaskIdentity  # noqa: E402
from google.protobuf.message import DecodeError  # noqa: E402

from federated.errors import ChannelRefused  # noqa: E402

OPERATOR_NODE_ID = 1


class AnsweringGrid(Grid):
    """Drives any Flower strategy or `ServerApp`; where nodes are, is a subclass's to know.

    A node that fails arrives as an `Error` reply, as in Flower's other engines.
    """

    def __init__(self, node_ids: Collection[int], run_id: int = 1, run: Run | None = None) -> None:
        """A run of its own, or within `run`, which another engine has entered."""
        self._node_ids = sorted(node_ids)
        self._replies: dict[str, Message] = {}
        if run is None:
            self.set_run(Run.create_empty(run_id))
        else:
            self._run = run

    @abstractmethod
    def answered(self, messages: Sequence[Message]) -> list[Message]:
        """The replies to messages that have ids, in their order."""

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
        return list(self._node_ids)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Deliver messages, in order; the replies wait for `pull_messages`."""
        sent = [with_id(message) for message in messages]
        ids = [message.metadata.message_id for message in sent]
        self._replies |= zip(ids, self.answered(sent), strict=True)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """The replies to these messages that have not been pulled yet."""
        return [self._replies.pop(message_id) for message_id in message_ids if message_id in self._replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Deliver messages and return their replies. Nothing is pending afterwards, so `timeout` cannot elapse."""
        del timeout
        return self.pull_messages(self.push_messages(messages))


def with_id(message: Message) -> Message:
    """The message, with an id of its own."""
    message.metadata.__dict__["_message_id"] = uuid.uuid4().hex
    return message


def failed(message: Message, code: int, reason: str) -> Message:
    """The reply of a node that failed."""
    return with_id(Message(Error(code, reason), reply_to=message))


def to_bytes(message: Message) -> bytes:
    """A message as it travels: Flower's own protobuf form."""
    return bytes(message_to_proto(message).SerializeToString())


def from_bytes(raw: bytes) -> Message:
    """A message that travelled. Raises `ChannelRefused` for anything else."""
    try:
        return message_from_proto(ProtoMessage.FromString(raw))
    except (DecodeError, ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise ChannelRefused(f"this is no message of Flower's ({type(error).__name__})") from error


def message_of(metadata: Metadata, content: RecordDict) -> Message:
    """A message as it was sent."""
    return make_message(metadata, content=content)
