"""What a run costs: time, and what crossed the operator."""

from __future__ import annotations

import time
from dataclasses import dataclass

from federated.protocols.core.messages import Switchboard


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds, request-reply pairs and payload bytes."""

    seconds: float
    exchanges: int
    bytes: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.seconds + other.seconds, self.exchanges + other.exchanges, self.bytes + other.bytes)


class Meter:
    """Counts what crosses a switchboard from now on."""

    def __init__(self, board: Switchboard) -> None:
        self._traffic, self._started = board.traffic, time.perf_counter()
        self._exchanges, self._bytes = board.traffic.exchanges, board.traffic.bytes

    def cost(self) -> Cost:
        """What it has come to so far."""
        traffic, seconds = self._traffic, time.perf_counter() - self._started
        return Cost(seconds, traffic.exchanges - self._exchanges, traffic.bytes - self._bytes)
