"""An identity authority's list of ended keys, as a service without a node's store keeps it: in memory, asked for once a
minute."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from federated.channel.published import published
from federated.consent.revocations import MOST_BYTES, Revocations
from federated.errors import NodeUnavailable

PATH = "/v1/revocations"
ASKED_S = 60.0


class PublishedList:
    """The list at an authority's address. Without one that holds nothing is believed that a subject signed."""

    def __init__(self, url: str, authority: bytes, now: Callable[[], datetime], roots: Path | None = None) -> None:
        """`authority` is its public key (32 bytes); `roots` certify its address, the system's without them."""
        self._url, self._authority, self._now, self._roots = url.rstrip("/") + PATH, authority, now, roots
        self._held: Revocations | None = None
        self._asked, self._gate = -ASKED_S, threading.Lock()

    def current(self) -> Revocations:
        """The list that holds. Raises `NodeUnavailable` where there is none, `ConsentSignatureInvalid` for one that the
        authority did not sign, or that is over."""
        with self._gate:
            if time.monotonic() - self._asked >= ASKED_S:
                self._ask()
            held = self._held
        assert held is not None
        held.require_current(self._now())
        return held

    def _ask(self) -> None:
        try:
            given = Revocations.read(published(self._url, MOST_BYTES, self._roots), self._authority)
        except NodeUnavailable:
            if self._held is None:
                raise
            return
        if self._held is None or given.number > self._held.number:
            self._held = given
        self._asked = time.monotonic()
