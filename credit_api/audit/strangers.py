"""Requests of nobody that is known: counted by address and by why they were refused, so that they write little."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime

from credit_api.audit.model import AuditEvent

# Addresses that are told apart between two looks; all others are counted together.
ADDRESSES_MAX = 1_000
OTHERS = "others"


class Strangers:
    """Counts in memory, taken out as one event an address and code. What was counted since is lost with the process."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._gate = threading.Lock()

    def count(self, address: str, code: str) -> None:
        with self._gate:
            known = (address, code) in self._counts or len(self._counts) < ADDRESSES_MAX
            self._counts[address if known else OTHERS, code] += 1

    def take(self, at: datetime) -> list[AuditEvent]:
        """What was counted since the last time, in the order of addresses."""
        with self._gate:
            counts, self._counts = self._counts, Counter()
        return [
            AuditEvent(at=at, action="knock", outcome="refused", object_id=address, code=code, count=count)
            for (address, code), count in sorted(counts.items())
        ]
