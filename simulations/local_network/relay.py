"""A cable between two real nodes that spoils what goes over it: late, cut off, or sent again by who listened."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from federated.errors import NodeUnavailable

PART = 1 << 16
Way = Literal["whole", "late", "cut"]


@dataclass(slots=True)
class Relay:
    """Listens on a port of loopback and passes on to `target`, as `way` says; keeps what the client sent on each
    connection. `close` ends it."""

    target: tuple[str, int]
    way: Way = "whole"
    late_s: float = 0.1
    cut_after: int = 3_000
    recorded: list[bytearray] = field(default_factory=list)
    _listening: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    _ended: bool = False

    def __post_init__(self) -> None:
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Where a peer is reached over this cable."""
        return f"https://127.0.0.1:{self._listening.getsockname()[1]}"

    def replay(self) -> bytes:
        """Send what was recorded of the longest connection to the target on a new one; what it answers until it hangs
        up. Raises `NodeUnavailable` where nobody listened to anything."""
        heard = max(self.recorded, key=len, default=bytearray())
        if not heard:
            raise NodeUnavailable("nothing went over this cable")
        with socket.create_connection(self.target, 5.0) as again:
            again.settimeout(5.0)
            told = bytearray()
            with suppress(OSError):
                again.sendall(bytes(heard))
                while part := again.recv(PART):
                    told += part
        return bytes(told)

    def close(self) -> None:
        """Take no more connections."""
        self._ended = True
        self._listening.close()

    def _accept(self) -> None:
        while not self._ended:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._joined, args=(client,), daemon=True).start()

    def _joined(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self.target, 5.0)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        heard = bytearray()
        self.recorded.append(heard)
        threading.Thread(target=self._pass, args=(server, client, bytearray()), daemon=True).start()
        self._pass(client, server, heard)

    def _pass(self, source: socket.socket, to: socket.socket, heard: bytearray) -> None:
        passed = 0
        with suppress(OSError):
            while part := source.recv(PART):
                heard += part
                if self.way == "late":
                    time.sleep(self.late_s)
                passed += len(part)
                if self.way == "cut" and passed > self.cut_after:
                    # In the middle of what it was sending: half of a message arrives, and nothing after it.
                    to.sendall(part[: len(part) // 2])
                    break
                to.sendall(part)
        for each in (source, to):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
