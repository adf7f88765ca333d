"""The socket in a node's home, on which it answers its own organisation: its owner's alone (0600, in a 0700 folder)."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from federated.channel.client import CONNECTIONS, told_refusal
from federated.errors import ChannelRefused, DataMissing, NodeUnavailable

SOCKET = "node.sock"
# What a path of a socket may have (unix(7)), with the byte that ends it.
LONGEST = 107
# How long until an answer to a question, and to a file of customers.
ANSWERS_S, TAKES_S = 30.0, 600.0


def listening(home: Path) -> socket.socket:
    """A socket in the home, the owner's alone. Raises `ChannelRefused` where another process listens, or for too long a
    path."""
    path = home / SOCKET
    if len(os.fsencode(path)) > LONGEST:
        raise ChannelRefused(f"{home} is too long a path for a socket: it may have {LONGEST - len(SOCKET) - 1} bytes")
    if is_served(home):
        raise ChannelRefused(f"{home.name} is served by another process")
    path.unlink(missing_ok=True)
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        found.bind(str(path))
    finally:
        os.umask(before)
    found.listen(128)
    return found


def is_served(home: Path) -> bool:
    """Whether a process answers on the home's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(ANSWERS_S)
        try:
            probe.connect(str(home / SOCKET))
        except OSError:
            return False
    return True


class _OnSocket(HTTPConnection):  # type: ignore[misc]  # urllib3 is not read by mypy here
    """A connection to the socket at the path that its pool has for a host."""

    path = Path()

    def _new_conn(self) -> socket.socket:
        found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            found.settimeout(self.timeout)
            found.connect(str(self.path))
        except OSError:
            found.close()
            raise
        return found


class _Told:
    """A file whose reading is told, part by part."""

    def __init__(self, file: BinaryIO, told: Callable[[int], None]) -> None:
        self._file, self._told = file, told

    def read(self, size: int) -> bytes:
        """The next part."""
        part = self._file.read(size)
        self._told(len(part))
        return part


class OwnNode:
    """The node that serves a home, asked on its socket; safe to ask from several threads."""

    def __init__(self, home: Path) -> None:
        self._home = home
        # Connections are used again: to make one takes the node as long as to read a question.
        self._pool = HTTPConnectionPool("node", maxsize=CONNECTIONS, retries=False)
        self._pool.ConnectionCls = type("_OnSocket", (_OnSocket,), {"path": home / SOCKET})

    def ask(self, path: str, question: Mapping[str, object] | None = None) -> Any:
        """What the node answers. Raises what it raises, and `NodeUnavailable` where none serves."""
        return self._asked(path, json.dumps(dict(question or {})).encode(), "application/json", ANSWERS_S)

    def send(self, path: str, file: Path, told: Callable[[int], None] = lambda _: None) -> Any:
        """What the node answers to a file, once it has it; `told` is given the bytes that were sent since.

        Raises as `ask`, and `DataMissing` without that file.
        """
        try:
            with file.open("rb") as opened:
                return self._asked(f"{path}?name={quote(file.name)}", _Told(opened, told), "text/csv", TAKES_S)
        except (FileNotFoundError, IsADirectoryError):
            raise DataMissing(f"{file.name} does not exist", file=file.name) from None

    def look(self, path: str, within_s: float = ANSWERS_S) -> tuple[int, bytes]:
        """Status and text that the node has for who watches it (`/healthz`, `/metrics`).

        Raises `NodeUnavailable` where none serves, or none answers within so many seconds.
        """
        return self._answer("GET", path, None, {}, within_s)

    def _asked(self, path: str, body: bytes | _Told, kind: str, within_s: float) -> Any:
        status, told = self._answer("POST", path, body, {"content-type": kind}, within_s)
        if status != HTTPStatus.OK:
            raise told_refusal(self._home.name, told)
        return json.loads(told)

    def _answer(
        self, method: str, path: str, body: bytes | _Told | None, headers: dict[str, str], within_s: float
    ) -> tuple[int, bytes]:
        try:
            response = self._pool.urlopen(method, path, body, headers, timeout=within_s)
        except (HTTPError, OSError) as error:
            raise NodeUnavailable(f"no node serves {self._home.name}: {error}") from error
        return response.status, response.data


def ask_own(home: Path, path: str, question: Mapping[str, object] | None = None) -> Any:
    """One question to the node that serves a home. Raises what it raises, and `NodeUnavailable` where none serves."""
    return OwnNode(home).ask(path, question)
