"""How often each asked in its present window, in this process's memory."""

from __future__ import annotations

import threading
import time

from limits.storage import Storage

FEW = 1_024


class Windows(Storage):
    """What `limits` keeps its counts in. Its own `MemoryStorage` starts a thread at nearly every request, to drop the
    windows that have ended; here whoever opens a window does, once they are twice as many as were left the last time.
    """

    STORAGE_SCHEME = None

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._open: dict[str, tuple[int, float]] = {}  # how many came, and when the window ends
        self._many = FEW

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        return ValueError

    def __len__(self) -> int:
        return len(self._open)

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count `amount` more in the window of `key`, which a first one opens for `expiry` seconds."""
        now = time.time()
        with self._lock:
            came, ends = self._open.get(key, (0, 0.0))
            if ends <= now:
                self._make_room(now)
                came, ends = 0, now + expiry
            self._open[key] = came + amount, ends
        return came + amount

    def get(self, key: str) -> int:
        """How many came in the window of `key`; none once it has ended."""
        came, ends = self._open.get(key, (0, 0.0))
        return came if ends > time.time() else 0

    def get_expiry(self, key: str) -> float:
        """When the window of `key` ends; now, if none is open."""
        _, ends = self._open.get(key, (0, 0.0))
        return max(ends, time.time())

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        """Forget every window; how many there were."""
        with self._lock:
            forgotten = len(self._open)
            self._open.clear()
            self._many = FEW
        return forgotten

    def clear(self, key: str) -> None:
        with self._lock:
            self._open.pop(key, None)

    def _make_room(self, now: float) -> None:
        """Drop what has ended, when there is much: so it costs a look at two windows for one that is opened."""
        if len(self._open) < self._many:
            return
        self._open = {key: (came, ends) for key, (came, ends) in self._open.items() if ends > now}
        self._many = max(2 * len(self._open), FEW)
