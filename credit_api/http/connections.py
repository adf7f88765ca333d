"""HTTP connections that do not wait for ever: what no request comes of is closed, and one address has a bounded number.

uvicorn times neither the first request's headers nor their size; 1,500 half-open connections stayed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from credit_api.app.settings import Limits


def guarded(limits: Limits) -> type[HttpToolsProtocol]:
    """The protocol of one server, with its limits."""
    open_by_address: Counter[str] = Counter()

    class Guarded(HttpToolsProtocol):
        _deadline: asyncio.TimerHandle | None = None
        _head_bytes = 0
        _address = ""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._address = self.client[0] if self.client else ""
            open_by_address[self._address] += 1
            if open_by_address[self._address] > limits.connections_per_address:
                transport.close()
            else:
                self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._head_is_here()
            open_by_address[self._address] -= 1
            if open_by_address[self._address] <= 0:
                del open_by_address[self._address]
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            before = self.cycle
            super().data_received(data)
            if self.cycle is not before or self._is_answering():
                self._head_is_here()
                return
            self._head_bytes += len(data)
            if self._head_bytes > limits.head_bytes:
                self.transport.close()
            elif self._deadline is None:
                self._await_head()

        def _is_answering(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _await_head(self) -> None:
            self._deadline = self.loop.call_later(limits.head_seconds, self.transport.close)

        def _head_is_here(self) -> None:
            self._head_bytes = 0
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

    return Guarded
