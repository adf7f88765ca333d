"""TCP between two processes of a network, passed on by a third: held up, swallowed, doubled or cut, and remembered.

It has no key: what it passes is TLS, and it reads nothing of it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from simulations.local_network.layout import HOST

READ_BYTES, REMEMBERED, ANSWERS_S = 1 << 16, 8, 2.0
# What becomes of bytes that were read.
Treatment = Callable[[bytes], Iterable[bytes]]


def passed(content: bytes) -> Iterable[bytes]:
    """As it came."""
    return (content,)


def swallowed(content: bytes) -> Iterable[bytes]:
    """Nothing of it, while the connection stands."""
    del content
    return ()


def doubled(content: bytes) -> Iterable[bytes]:
    """Twice."""
    return (content, content)


def held(seconds: float) -> Treatment:
    """As it came, so many seconds later."""

    def later(content: bytes) -> Iterable[bytes]:
        time.sleep(seconds)
        return (content,)

    return later


class Relay:
    """Passes on from `port` of loopback to a process at `host` and its `port`; `towards` treats what is sent there,
    `back` what it answers. `recorded` is what was sent there on the latest connections."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._listening = socket.create_server((HOST, 0))
        self.port = int(self._listening.getsockname()[1])
        self.towards: Treatment = passed
        self.back: Treatment = passed
        self.recorded: deque[bytearray] = deque(maxlen=REMEMBERED)
        self._standing: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Cut all connections."""
        for each in list(self._standing):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Take no more, and cut all."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()

    def replay(self, content: bytes) -> bytes:
        """What the process answers to these bytes on a new connection, until it closes it or for `ANSWERS_S`."""
        told = bytearray()
        with socket.create_connection(self._target, ANSWERS_S) as connection, contextlib.suppress(OSError):
            connection.sendall(content)
            while part := connection.recv(READ_BYTES):
                told += part
        return bytes(told)

    def _accept(self) -> None:
        while True:
            try:
                came, _ = self._listening.accept()
            except OSError:
                return
            try:
                there = socket.create_connection(self._target, ANSWERS_S)
            except OSError:
                came.close()
                continue
            there.settimeout(None)
            record = bytearray()
            self.recorded.append(record)
            self._standing |= {came, there}
            for ends in ((came, there, record), (there, came, None)):
                threading.Thread(target=self._pass, args=ends, daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, record: bytearray | None) -> None:
        try:
            while content := source.recv(READ_BYTES):
                if record is not None:
                    record += content
                for part in (self.back if record is None else self.towards)(content):
                    sink.sendall(part)
        except OSError:
            pass  # it was cut, by either side or here
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._standing.discard(source)
        source.close()
