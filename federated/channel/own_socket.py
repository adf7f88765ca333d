"""The socket in a node's home, on which it answers its own organisation: its owner's alone (0600, in a 0700 folder)."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from federated.channel.client import told_refusal
from federated.errors import ChannelRefused, NodeUnavailable

SOCKET = "node.sock"
# What a path of a socket may have (unix(7)), with the byte that ends it.
LONGEST = 107
ANSWERS_S = 30.0


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


class _OnSocket(HTTPConnection):
    """A connection to the socket at a path; one that does not come about leaves nothing open."""

    def __init__(self, path: Path) -> None:
        super().__init__("node", timeout=ANSWERS_S)
        self._path = path

    def connect(self) -> None:
        """Connect. Raises `OSError`."""
        found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            found.settimeout(ANSWERS_S)
            found.connect(str(self._path))
        except OSError:
            found.close()
            raise
        self.sock = found


class OwnNode:
    """The node that serves a home, asked on its socket; safe to ask from several threads."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def ask(self, path: str, question: Mapping[str, object] | None = None) -> Any:
        """What the node answers. Raises what it raises, and `NodeUnavailable` where none serves."""
        connection = _OnSocket(self._home / SOCKET)
        body = json.dumps(dict(question or {})).encode()
        try:
            with suppress(BrokenPipeError):  # where it answers before it has read the question
                connection.request("POST", path, body, {"content-type": "application/json", "connection": "close"})
            response = connection.getresponse()
            told = response.read()
        except (HTTPException, OSError) as error:
            raise NodeUnavailable(f"no node serves {self._home.name}: {error}") from error
        finally:
            connection.close()
        if response.status != HTTPStatus.OK:
            raise told_refusal(self._home.name, told)
        return json.loads(told)


def ask_own(home: Path, path: str, question: Mapping[str, object] | None = None) -> Any:
    """One question to the node that serves a home. Raises what it raises, and `NodeUnavailable` where none serves."""
    return OwnNode(home).ask(path, question)
