"""What the audit trail costs a score in CPU time: the same questions with it and with a trail that does nothing."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.types import Message

from credit_api.app.wiring import Parts
from credit_api.audit.model import AuditEvent
from credit_api.audit.trail import AuditTrail
from financing.lending.unit import UnitOfWork


class SilentTrail(AuditTrail):
    """Hears everything and keeps nothing."""

    def record(self, unit: UnitOfWork, event: AuditEvent) -> None:
        pass

    def submit(self, event: AuditEvent) -> Future[None]:  # noqa: ARG002
        done: Future[None] = Future()
        done.set_result(None)
        return done


@dataclass(frozen=True, slots=True)
class ScoreCost:
    """CPU microseconds of the whole process a score, medians over rounds, and with the trail over without it."""

    scores: int
    without_trail_us: float
    with_trail_us: float
    with_over_without: float


def measure_cost(
    app: FastAPI, parts: Parts, key: str, questions: Sequence[Mapping[str, Any]], rounds: int
) -> ScoreCost:
    """Ask every question over the application, in memory and through all it does for a request, `rounds` times a side.

    Sides take turns, and change which goes first. Each answer must be 200; a refused question is an `AssertionError`.
    """
    trails = {"with": parts.audit, "without": SilentTrail(parts.writer)}
    spent: dict[str, list[float]] = {name: [] for name in trails}
    bodies = [json.dumps(question).encode() for question in questions]
    for turn in range(rounds + 1):
        for name in ("with", "without") if turn % 2 else ("without", "with"):
            parts.audit = trails[name]
            took = asyncio.run(_ask_all(app, key, bodies))
            if turn:  # the first round fills caches
                spent[name].append(took / len(bodies) * 1e6)
    parts.audit = trails["with"]
    with_us, without_us = statistics.median(spent["with"]), statistics.median(spent["without"])
    return ScoreCost(rounds * len(bodies), without_us, with_us, with_us / without_us)


async def _ask_all(app: FastAPI, key: str, bodies: Sequence[bytes]) -> float:
    started = time.process_time()
    for body in bodies:
        await _ask(app, key, body)
    return time.process_time() - started


async def _ask(app: FastAPI, key: str, body: bytes) -> None:
    """One question as a server hands it to the application, without a client's work beside it."""
    headers = [
        (b"host", b"localhost"),
        (b"authorization", f"Bearer {key}".encode()),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/scores",
        "raw_path": b"/v1/scores",
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    assert statuses == [200], statuses
