"""What one request carries through threads and calls: its id, and whether the trail was told what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Trace:
    """`told` once an event says how the request's command ended, so that no second event says it again."""

    request_id: str = ""
    told: bool = False


_TRACE: ContextVar[Trace] = ContextVar("trace")


@contextmanager
def tracing(request_id: str) -> Iterator[Trace]:
    """The trace of what runs inside, in threads that it hands work to as well."""
    trace = Trace(request_id)
    token = _TRACE.set(trace)
    try:
        yield trace
    finally:
        _TRACE.reset(token)


def current() -> Trace:
    """The trace of the request that is worked on; an empty one outside of any."""
    return _TRACE.get(None) or Trace()
