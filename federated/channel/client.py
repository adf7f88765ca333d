"""One other party, asked over HTTP on mutual TLS: its answers, and its refusals as what it raised."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPResponse
from io import BufferedReader, RawIOBase
from typing import Any

from urllib3 import BaseHTTPResponse, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from federated.channel.certificates import Party
from federated.channel.node_keys import NodeKeys
from federated.channel.tls import client_context
from federated.errors import ChannelRefused, FederatedError, NodeUnavailable, error_codes

# To a peer: how long until a connection stands, and how many are kept.
CONNECT_S, CONNECTIONS = 2.0, 32
# The longest answer, several times what the largest of a query has, and how much is read at once.
MOST_BYTES, READ_BYTES = 1 << 21, 1 << 18
# How much of what another party says is repeated, in characters.
MOST_SAID = 300


class _InTime(RawIOBase):
    """What `received` brings in until its socket's timeout is over, which counts for each part of it alone."""

    def __init__(self, received: RawIOBase, connection: socket.socket) -> None:
        self._received, self._connection = received, connection
        self._whole = connection.gettimeout()
        self._until = None if self._whole is None else time.monotonic() + self._whole

    def readable(self) -> bool:
        """As files have it."""
        return True

    def readinto(self, into: Any) -> int | None:
        """As files have it. Raises `TimeoutError`."""
        if self._until is not None:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._connection.settimeout(left)
        return self._received.readinto(into)

    def close(self) -> None:
        """As files have it."""
        with suppress(OSError):
            self._connection.settimeout(self._whole)
        self._received.close()
        super().close()


class TimelyAnswer(HTTPResponse):
    """An answer that is there, head and body, within the connection's timeout."""

    def __init__(self, sock: socket.socket, *given: Any, **more: Any) -> None:
        super().__init__(sock, *given, **more)
        self.fp = BufferedReader(_InTime(self.fp.detach(), sock))


class _AtOnce(HTTPSConnection):  # type: ignore[misc]  # urllib3 is not read by mypy here
    """Sends a request's head and body at once: apart they are two records of TLS, and wake the other side twice."""

    _waiting: list[bytes] | None = None
    response_class = TimelyAnswer

    def request(self, *given: Any, **more: Any) -> None:
        """As `HTTPSConnection.request`."""
        self._waiting = []
        try:
            super().request(*given, **more)
            whole = b"".join(self._waiting)
        finally:
            self._waiting = None
        super().send(whole)

    def send(self, data: Any) -> None:
        """As `HTTPSConnection.send`, of a request once it is whole."""
        if self._waiting is None:
            super().send(data)
        else:
            self._waiting.append(bytes(data))


class _Pool(HTTPSConnectionPool):  # type: ignore[misc]
    ConnectionCls = _AtOnce


class Channel:
    """`name` is reached at `url`, by the keys pinned for it in `keys`; an answer takes `read_s` seconds at most."""

    def __init__(self, keys: NodeKeys, name: str, url: str, read_s: float = 10.0) -> None:
        self.name, self._read_s = name, read_s
        self._party: Party | None = None
        self._keys, self._url = keys, url
        self._pool = self._made()

    def _made(self) -> _Pool:
        where = parse_url(self._url)
        return _Pool(
            where.host or "", where.port, ssl_context=client_context(self._keys, self.name, self._met), retries=False,
            timeout=Timeout(connect=CONNECT_S, read=self._read_s), maxsize=CONNECTIONS,
        )  # fmt: skip

    def reload(self) -> None:
        """Connect anew from now on, by what lies in the home now. Raises `ChannelRefused`."""
        before, self._pool = self._pool, self._made()
        before.close()

    def _met(self, party: Party) -> None:
        self._party = party

    @property
    def party(self) -> Party:
        """Who answered last. Raises `NodeUnavailable` before anybody did."""
        if self._party is None:
            raise NodeUnavailable(f"{self.name} was not reached yet", node=self.name)
        return self._party

    def post(self, path: str, content: bytes, kind: str = "application/json", most: int = MOST_BYTES) -> bytes:
        """What it answers, in `most` bytes. Raises what it raised, and `NodeUnavailable` where no answer came, or one
        that is too long or takes too long."""
        try:
            response = self._pool.urlopen(
                "POST", path, body=content, headers={"content-type": kind}, redirect=False, preload_content=False,
                decode_content=False,
            )  # fmt: skip
            told = self._read(response, most)
        except (HTTPError, OSError) as error:
            raise NodeUnavailable(f"{self.name} does not answer: {readable(str(error))}", node=self.name) from error
        if response.status != HTTPStatus.OK:
            raise told_refusal(self.name, told)
        return told

    def _read(self, response: BaseHTTPResponse, most: int) -> bytes:
        told = bytearray()
        while part := response.read1(READ_BYTES):
            told += part
            if len(told) > most:
                response.close()
                raise NodeUnavailable(f"{self.name} answers too much", node=self.name)
        response.release_conn()
        return bytes(told)

    def close(self) -> None:
        """Close its connections."""
        self._pool.close()


def told_refusal(name: str, content: bytes) -> FederatedError:
    """What a party refused with, as it raised it; `NodeUnavailable` for what is no refusal."""
    try:
        told: Mapping[str, Any] = json.loads(content)
        kind, detail = error_codes()[told["code"]], readable(str(told["detail"]))
        return kind(detail, **{str(k): v for k, v in dict(told["context"]).items() if k != "detail"})
    except (ValueError, KeyError, TypeError, RecursionError):
        return NodeUnavailable(f"{name} does not answer as nodes do", node=name)


def readable(said: str) -> str:
    """What another party said as it may stand in a log: a line, and not a long one."""
    line = "".join(each if each.isprintable() else " " for each in said[:MOST_SAID])
    return line + ("…" if len(said) > MOST_SAID else "")


def urls_of(given: Sequence[str]) -> dict[str, str]:
    """URLs of parties by name. Raises `ChannelRefused` for anything else."""
    found: dict[str, str] = {}
    for each in given:
        name, _, url = each.partition("=")
        if not url.startswith("https://") or name in found:
            raise ChannelRefused(f"{each} is no NAME=https://HOST:PORT, or is given twice")
        found[name] = url
    return found
