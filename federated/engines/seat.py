"""A node's side of training in its own process: it answers an operator's messages, whatever carries them.

One run at a time, its messages in their order. What a run keeps in memory is there until its end, or until this
process ends: then the operator begins another run, which measures again what was not measured.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp

from federated.engines.answering import from_bytes, to_bytes, with_id
from federated.errors import ChannelRefused, RunLost
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.nodes.identity import Identity
from federated.protocols.node_app import node_app
from federated.protocols.protected.protocol import ProtectedProtocol

# Another operator may begin a run where the last message of one is so old.
IDLE_S = 600.0


@dataclass
class _Run:
    key: bytes
    operator: str
    app: ClientApp
    context: Context
    heard: float
    number: int = 0
    asked: bytes = b""
    answered: bytes = b""


class RunSeat:
    """The seat of the party called `name`; `made` makes its app, at the beginning of each run."""

    def __init__(
        self, name: str, made: Callable[[], ClientApp], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.name, self._made, self._monotonic = name, made, monotonic
        self._gate = threading.Lock()
        self._run: _Run | None = None

    def begin(self, run: bytes, operator: str) -> None:
        """Take part in a run of this operator, with nothing left of one before.

        Raises `ChannelRefused` while another operator's run is under way, and what the node raises of its keys.
        """
        with self._gate:
            present, now = self._run, self._monotonic()
            if present is not None and present.operator != operator and now - present.heard < IDLE_S:
                raise ChannelRefused(f"{self.name} takes part in a run of {present.operator}")
            self._run = _Run(run, operator, self._made(), Context(1, 1, {}, RecordDict(), {}), now)

    def answer(self, run: bytes, operator: str, number: int, message: bytes) -> bytes:
        """The reply to the message of this number, Flower's protobuf both. The last one is answered again as it was.

        Raises `RunLost` for a run that was not begun here or that another one followed, and `ChannelRefused` for a
        number out of turn, another message under the last number, or what is no message.
        """
        digest = hashlib.sha256(message).digest()
        with self._gate:
            present = self._run
            if present is None or (present.key, present.operator) != (run, operator):
                raise RunLost(f"{self.name} takes part in no such run: it began anew, or another one was begun")
            present.heard = self._monotonic()
            if number == present.number and number:
                if digest != present.asked:
                    raise ChannelRefused("another message came under a number that was answered")
                return present.answered
            if number != present.number + 1:
                raise ChannelRefused(f"message {number:,} follows message {present.number:,}")
            asked = from_bytes(message)
            try:
                reply = with_id(present.app(asked, present.context))
            except ValueError as error:
                # Flower knows no handler of this name.
                raise ChannelRefused(f"{self.name} does not answer {asked.metadata.message_type}") from error
            present.number, present.asked = number, digest
            present.answered = to_bytes(reply)
            return present.answered


def training_seat(node: BankNode | GridNode, identity: Callable[[], Identity]) -> RunSeat:
    """A node's seat; `identity` says who it knows, at the beginning of a run.

    It takes part in protected training alone: what an operator asks of the open zoo goes out in the clear, so no
    message has a handler for it here.
    """
    return RunSeat(node.org_id, lambda: node_app(node, identity(), (ProtectedProtocol(),)))
