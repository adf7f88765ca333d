"""What a node's people watch: counts and seconds, in Prometheus's text form, and whether it is well.

No label names a customer or a consent. Both are told on the node's own socket.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from credit_api.nodes.hearing import ROUTE
from federated.errors import ChannelRefused, FederatedError
from federated.serving.queries import NoFile, Score

if TYPE_CHECKING:
    from credit_api.nodes.desk import Desk

# With less room than this on its disk a node is about to stop.
LEAST_FREE = 32 << 20
# Seconds of a score: the goal is 15 ms, and a grid company is waited for 2 s.
BUCKETS = (0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Metrics:
    """Counted by one process, from its start."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._scores = Counter(
            "tanxin_scores", "Scores that were asked for, by what came of it.", ["outcome"], registry=self._registry
        )
        self._seconds = Histogram(
            "tanxin_score_seconds", "Seconds until an answer.", buckets=BUCKETS, registry=self._registry
        )
        self._messages = Counter(
            "tanxin_messages", "Messages of other parties, by route and status.", ["route", "status"],
            registry=self._registry,
        )  # fmt: skip
        self._peers = Gauge("tanxin_peers", "Peers, by whether they were met.", ["state"], registry=self._registry)
        self._customers = Gauge("tanxin_customers", "Customers with a file here.", registry=self._registry)
        self._until = Gauge(
            "tanxin_certificate_end_seconds", "When the certificate ends, in seconds since 1970.",
            registry=self._registry,
        )  # fmt: skip

    @contextmanager
    def scored(self) -> Iterator[list[Score | NoFile]]:
        """While a score is asked for; the answer is put into the list."""
        began, found, outcome = time.perf_counter(), list[Score | NoFile](), "failed"
        try:
            yield found
            answer = found[0]
            outcome = "no_file" if isinstance(answer, NoFile) else f"{answer.basis.value}, {answer.electricity.value}"
        except FederatedError as error:
            outcome = error.code
            raise
        finally:
            self._scores.labels(outcome).inc()
            self._seconds.observe(time.perf_counter() - began)

    def counting(self, app: App) -> App:
        """An app whose answers are counted."""

        async def counted(scope: Message, receive: Receive, send: Send) -> None:
            async def sent(message: Message) -> None:
                if message["type"] == "http.response.start":
                    # A path that no route has is the other side's word: it is not made a label.
                    route = scope.get(ROUTE, "none")
                    self._messages.labels(route, str(message["status"])).inc()
                await send(message)

            await app(scope, receive, sent)

        return counted

    def told(self, desk: Desk) -> bytes:
        """All of it, as text. Raises `CorruptData`, `ChannelRefused`."""
        met = sum(peer.met for peer in desk.peers.values())
        self._peers.labels("met").set(met)
        self._peers.labels("unmet").set(len(desk.peers) - met)
        self._customers.set(desk.node.store.count())
        self._until.set(desk.keys.standing(desk.node.now()).until.timestamp())
        return generate_latest(self._registry)


def health_of(desk: Desk) -> dict[str, Any]:
    """Whether a node can answer: `ok`, or what is wrong, each in a word that stays the same."""
    wrong = []
    try:
        desk.node.store.count()
    except FederatedError:
        wrong.append("store_unreadable")
    try:
        if desk.keys.standing(desk.node.now()).ended:
            wrong.append("certificate_over")
    except ChannelRefused:
        wrong.append("certificate_missing")
    if shutil.disk_usage(desk.home).free < LEAST_FREE:
        wrong.append("disk_nearly_full")
    unmet = sorted(name for name, peer in desk.peers.items() if not peer.met)
    return {"ok": not wrong, "wrong": wrong, "unmet": unmet}
