"""How this network's content sits in Flower messages, and how the operator asks nodes and hears refusals.

A node that refuses answers with a `refusal` record (code, detail) instead of raising, so that the code survives any
engine; of an error that is nobody's refusal it says the kind only. A node that is gone arrives as the engine's error
reply. Either way the operator raises, naming the node.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from io import BytesIO
from typing import TypeVar

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from numpy.typing import NDArray

from federated.errors import FederatedError, TrainingFailed, error_codes

log = logging.getLogger(__name__)
# How Flower names numpy's own form of an array.
NPY = "numpy.ndarray"
Arrays = dict[str, NDArray[np.generic]]
Scalar = int | float | str | bytes | bool
Values = int | float | str | bytes | bool | list[int] | list[float] | list[str] | list[bytes] | list[bool]
Handler = Callable[[Message, Context], Message]
T = TypeVar("T")
Answer = Callable[["Content", Context], "Content"]


@dataclass(frozen=True, slots=True)
class Content:
    """Arrays and scalars of one message."""

    arrays: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    config: Mapping[str, Values] = field(default_factory=dict)

    def integer(self, key: str) -> int:
        """An integer of the config. Raises `TrainingFailed` if it is absent or something else."""
        return self._read(key, int)

    def number(self, key: str) -> float:
        """A float of the config. Raises `TrainingFailed` if it is absent or something else."""
        return self._read(key, float)

    def text(self, key: str) -> str:
        """A string of the config. Raises `TrainingFailed` if it is absent."""
        return str(self._scalar(key))

    def points(self, key: str) -> bytes:
        """Bytes of the config. Raises `TrainingFailed` if they are absent or of another type."""
        value = self._scalar(key)
        if not isinstance(value, bytes):
            raise TrainingFailed(f"message field {key} is not bytes")
        return value

    def array(self, key: str) -> NDArray[np.generic]:
        """An array. Raises `TrainingFailed` if it is absent."""
        if key not in self.arrays:
            raise TrainingFailed(f"message lacks the array {key}")
        return self.arrays[key]

    def floats(self, key: str) -> NDArray[np.float64]:
        """An array of finite numbers. Raises `TrainingFailed` if it is absent or holds anything else."""
        array = self.array(key)
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise TrainingFailed(f"the array {key} of a message holds something else than finite numbers")
        return np.asarray(array, dtype=np.float64)

    def texts(self, key: str) -> list[str]:
        """A list of texts of the config, empty if it is absent."""
        value = self.config.get(key)
        return [str(v) for v in value] if isinstance(value, list) else []

    def blobs(self, key: str) -> list[bytes]:
        """A list of byte strings of the config, empty if it is absent."""
        value = self.config.get(key)
        return [v for v in value if isinstance(v, bytes)] if isinstance(value, list) else []

    def _read(self, key: str, kind: Callable[[Scalar], T]) -> T:
        try:
            return kind(self._scalar(key))
        except (ValueError, OverflowError):
            raise TrainingFailed(f"message field {key} is no number") from None

    def _scalar(self, key: str) -> Scalar:
        value = self.config.get(key)
        if value is None or isinstance(value, list):
            raise TrainingFailed(f"message lacks the field {key}")
        return value

    def under(self, prefix: str) -> Arrays:
        """The arrays whose names start with `prefix/`, by the rest of the name."""
        return {name[len(prefix) + 1 :]: a for name, a in self.arrays.items() if name.startswith(f"{prefix}/")}


@lru_cache(maxsize=4096)
def _npy_head(dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> bytes:
    """How a file of numpy's begins that holds such an array: to write and read it takes longer than the numbers."""
    head = BytesIO()
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, described)
    return head.getvalue()


def _packed(array: NDArray[np.generic]) -> Array:
    data = _npy_head(array.dtype, array.shape) + array.tobytes()
    return Array(dtype=str(array.dtype), shape=array.shape, stype=NPY, data=data)


def _unpacked(packed: Array) -> NDArray[np.generic]:
    """Numbers of an array of `_packed`, or in another form of numpy's. Raises `TrainingFailed` for anything else."""
    try:
        head = _npy_head(np.dtype(packed.dtype), tuple(packed.shape))
        if packed.stype != NPY or not packed.data.startswith(head):
            return packed.numpy()
        return np.frombuffer(packed.data, packed.dtype, offset=len(head)).reshape(packed.shape).copy()
    except (TypeError, ValueError, EOFError) as error:
        raise TrainingFailed(f"an array of a message cannot be read: {error}") from error


def pack(content: Content) -> RecordDict:
    """Content as a Flower record."""
    arrays = ArrayRecord({name: _packed(np.ascontiguousarray(a)) for name, a in content.arrays.items()})
    return RecordDict({"arrays": arrays, "config": ConfigRecord(dict(content.config))})


def unpack(record: RecordDict) -> Content:
    """Content of a Flower record written by `pack`."""
    arrays = record.array_records.get("arrays", ArrayRecord())
    config = record.config_records.get("config", ConfigRecord())
    return Content({name: _unpacked(a) for name, a in arrays.items()}, dict(config))


def payload_bytes(record: RecordDict) -> int:
    """Bytes of array data and of byte strings in a record: what dominates the wire, without framing."""
    arrays = sum(len(a.data) for r in record.array_records.values() for a in r.values())
    blobs = sum(len(v) for r in record.config_records.values() for v in r.values() if isinstance(v, bytes | str))
    return arrays + blobs


def prefixed(prefix: str, arrays: Mapping[str, NDArray[np.generic]]) -> Arrays:
    """The arrays with `prefix/` before each name."""
    return {f"{prefix}/{name}": a for name, a in arrays.items()}


def answering(handler: Answer) -> Handler:
    """Turn a function from content to content into a Flower handler that answers domain errors as refusals.

    Any other error is a refusal too, naming its kind alone: its text may hold a value of a row, and an engine would
    hand it to the operator. The text stays in the node's own log.
    """

    @wraps(handler)
    def handle(message: Message, context: Context) -> Message:
        try:
            reply = pack(handler(unpack(message.content), context))
        except FederatedError as error:
            reply = _refused(error)
        except Exception as error:  # whatever it is, its text must not leave the node
            log.exception("a message could not be answered")
            kind = type(error).__name__
            reply = _refused(TrainingFailed(f"a message could not be answered ({kind}); the node's own log says why"))
        return Message(reply, reply_to=message)

    return handle


def _refused(error: FederatedError) -> RecordDict:
    return RecordDict({"refusal": ConfigRecord({"code": error.code, "detail": error.detail})})


def named_app(org_id: str) -> ClientApp:
    """An app that says whose it is, and so far nothing else."""
    app = ClientApp()

    @app.query("hello")
    @answering
    def hello(_: Content, __: Context) -> Content:
        return Content(config={"org_id": org_id})

    return app


@dataclass
class Traffic:
    """What crossed the operator: request-reply pairs and payload bytes both ways."""

    exchanges: int = 0
    bytes: int = 0


class Switchboard:
    """The operator's way to nodes by organisation id, counting traffic. Raises as soon as one node fails or refuses."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.traffic = Traffic()
        self.node_ids: dict[str, int] = {}
        self.cards: dict[str, Content] = {}
        self._orgs: dict[int, str] = {}
        self._asked: dict[str, str] = {}

    def introduce(self) -> dict[str, Content]:
        """Ask every node who it is; afterwards nodes are addressed by organisation id."""
        ids = list(self.grid.get_node_ids())
        self._orgs = {node_id: f"node {node_id}" for node_id in ids}
        replies = self.send([Message(pack(Content()), node_id, "query.hello") for node_id in ids])
        by_org: dict[str, Content] = {}
        for node_id in ids:
            content = replies[self._orgs[node_id]]
            org = content.text("org_id")
            if org in by_org:
                raise TrainingFailed(f"two nodes call themselves {org}", node=org)
            by_org[org] = content
            self.node_ids[org] = node_id
            self._orgs[node_id] = org
        self.cards = by_org
        return by_org

    def ask(self, action: str, requests: Mapping[str, Content]) -> dict[str, Content]:
        """Send one request to each named organisation and return all answers, by organisation."""
        return self.send([Message(pack(content), self.node_ids[org], action) for org, content in requests.items()])

    def send(self, messages: list[Message]) -> dict[str, Content]:
        """Send prepared messages and return answers by organisation. Raises the node's refusal or `TrainingFailed`."""
        return self.read_all(self.exchange(messages))

    def exchange(self, messages: list[Message]) -> list[Message]:
        """Send prepared messages and return the raw replies, counted. Raises if a node stays silent."""
        replies = self.exchange_present(messages)
        answered = {reply.metadata.reply_to_message_id for reply in replies}
        silent = sorted(org for message_id, org in self._asked.items() if message_id not in answered)
        if silent:
            raise TrainingFailed(f"no answer from {', '.join(silent)}", node=silent[0])
        return replies

    def exchange_present(self, messages: list[Message]) -> list[Message]:
        """As `exchange`, with whatever came back."""
        replies = list(self.grid.send_and_receive(messages))
        self.traffic.exchanges += len(messages)
        self.traffic.bytes += sum(payload_bytes(m.content) for m in messages)
        # An engine may name itself as the source of an error reply, so a reply is mapped by the request it answers.
        self._asked = {m.metadata.message_id: self._orgs[m.metadata.dst_node_id] for m in messages}
        return replies

    def asked(self, reply: Message) -> str:
        """The organisation that a reply to the last exchange answers for."""
        return self._asked.get(reply.metadata.reply_to_message_id, "an unknown node")

    def read_all(self, replies: Iterable[Message]) -> dict[str, Content]:
        """Contents of the replies to the last exchange, by organisation."""
        named = ((self.asked(r), r) for r in replies)
        return {org: self.read(reply, org) for org, reply in named}

    def read_present(self, replies: Iterable[Message]) -> dict[str, Content]:
        """As `read_all`, without nodes that failed or refused."""
        present: dict[str, Content] = {}
        for reply in replies:
            org = self.asked(reply)
            with suppress(FederatedError):
                present[org] = self.read(reply, org)
        return present

    def read(self, reply: Message, org: str) -> Content:
        """Content of one reply, counted. Raises what the node refused with, else `TrainingFailed`."""
        if reply.has_error():
            raise TrainingFailed(f"{org} failed: {reply.error.reason}", node=org)
        self.traffic.bytes += payload_bytes(reply.content)
        refusal = reply.content.config_records.get("refusal")
        if refusal is not None:
            code, detail = (str(refusal[key]) for key in ("code", "detail"))
            raise error_codes().get(code, TrainingFailed)(f"{org} refused: {detail}", node=org)
        content = unpack(reply.content)
        for name, array in content.arrays.items():
            if array.dtype.kind == "f" and "sketch" not in name and not np.all(np.isfinite(array)):
                place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
                detail = f"{org} returned non-finite numbers in {name}"
                raise TrainingFailed(detail, node=org, array=name, place=place)
        return content
