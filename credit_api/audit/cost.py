"""What authority and the audit trail cost a score in CPU time: the same questions with both, without the trail, and
with neither: then no event is stored, and a key that was seen once is never looked at again."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import FastAPI
from sqlalchemy import Connection
from starlette.types import Message

from credit_api.app.wiring import Parts
from credit_api.audit.model import AuditEvent
from credit_api.audit.trail import AuditTrail
from credit_api.http.auth.known_keys import KnownKeys
from credit_api.http.auth.principal import Principal
from financing.lending.unit import UnitOfWork


class SilentTrail(AuditTrail):
    """Hears everything and keeps nothing."""

    def record(self, unit: UnitOfWork, event: AuditEvent) -> None:
        pass

    def submit(self, event: AuditEvent) -> Future[None]:  # noqa: ARG002
        done: Future[None] = Future()
        done.set_result(None)
        return done


class TrustingKeys(KnownKeys):
    """Looks a credential up once, and believes it from then on."""

    def require_live(self, connection: Connection, sha256: str, at: datetime) -> Principal:
        return self.find(sha256, at) or super().require_live(connection, sha256, at)

    def is_due(self, sha256: str, at: datetime) -> bool:  # noqa: ARG002
        return False


@dataclass(frozen=True, slots=True)
class ScoreCost:
    """CPU microseconds of the whole process a score, medians over rounds; `a_over_b` are ratios."""

    scores: int
    with_neither_us: float
    without_trail_us: float
    with_both_us: float
    both_over_without_trail: float
    both_over_neither: float


def measure_cost(
    app: FastAPI, parts: Parts, key: str, questions: Sequence[Mapping[str, Any]], rounds: int
) -> ScoreCost:
    """Ask every question over the application, in memory and through all it does for a request, `rounds` times a side.

    Sides take turns, and change which goes first. Each answer must be 200; a refused question is an `AssertionError`.
    """
    real, silent, known = parts.audit, SilentTrail(parts.writer), parts.known_keys
    sides = {"both": (real, known), "no trail": (silent, known), "neither": (silent, TrustingKeys(sandbox=True))}
    spent: dict[str, list[float]] = {name: [] for name in sides}
    bodies = [json.dumps(question).encode() for question in questions]
    for turn in range(rounds + 1):
        for name in sides if turn % 2 else reversed(sides):
            parts.audit, parts.known_keys = sides[name]
            took = asyncio.run(_ask_all(app, key, bodies))
            if turn:  # the first round fills caches
                spent[name].append(took / len(bodies) * 1e6)
    parts.audit, parts.known_keys = sides["both"]
    both, no_trail, neither = (statistics.median(spent[name]) for name in sides)
    return ScoreCost(rounds * len(bodies), neither, no_trail, both, both / no_trail, both / neither)


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
