"""A lean client for orders over HTTP: kept-alive connections, one request in flight each, requests made beforehand."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from random import Random

from simulations.benchmarks.market_service import Service

CLOSED = b"\r\n\r\n"


@dataclass(slots=True)
class Load:
    """What came back: order ids acknowledged, statuses, and seconds of each answer."""

    acknowledged: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    filled: int = 0
    seconds: float = 0.0


def requests_of(service: Service, clients: int, each: int, seed: int) -> list[list[bytes]]:
    """The random crossing flow of the matching benchmark as HTTP requests, one list a client."""
    rng = Random(seed)
    numbers = count(rng.randrange(10**9) * 1_000)
    made: list[list[bytes]] = []
    for client in range(clients):
        trader = service.traders[client % len(service.traders)]
        head = (
            f"POST /v1/orders HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {service.keys[trader]}\r\n"
            "Content-Type: application/json\r\n"
        )
        mine = []
        for _ in range(each):
            body = json.dumps(
                {
                    "instrument": service.instrument,
                    "side": "buy" if rng.random() < 0.5 else "sell",
                    "quantity_kg": rng.randint(1, 5) * 1_000,
                    "price_fen_per_tonne": max(2_700, min(3_300, round(rng.gauss(3_000, 60)))),
                }
            )
            mine.append(
                f"{head}Idempotency-Key: b{next(numbers)}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
            )
        made.append(mine)
    return made


async def run_load(service: Service, requests: list[list[bytes]]) -> Load:
    """Send every client's requests, one after the other, all clients at once; a broken connection ends its client."""
    load = Load()
    started = time.perf_counter()
    await asyncio.gather(*(_client(service.port, mine, load) for mine in requests))
    load.seconds = time.perf_counter() - started
    return load


async def _client(port: int, requests: list[bytes], load: Load) -> None:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in requests:
            sent = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(CLOSED)
            lower = head.lower()
            at = lower.index(b"content-length: ") + 16
            body = await reader.readexactly(int(lower[at : lower.index(b"\r\n", at)]))
            load.latencies.append(time.perf_counter() - sent)
            status = int(head[9:12])
            load.statuses[status] += 1
            if status == 201:
                load.acknowledged.append(body[body.index(b'"order_id":"') + 12 :].split(b'"', 1)[0].decode())
                load.filled += b'"fills":[]' not in body
        writer.close()
    except (OSError, asyncio.IncompleteReadError):
        return
