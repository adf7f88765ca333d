"""Why others refuse, in a log: in few lines, whatever they say and however often they are asked."""

from __future__ import annotations

import time
from collections.abc import Callable

# How long one party's next reason waits: they are asked every few seconds, and may say something else each time.
AGAIN_S = 60.0
Say = Callable[[str], None]


class Complaints:
    """The last reason of each, said once until it goes well again or fails in another way."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[str, float]] = {}

    def of(self, name: str, code: str, why: str, say: Say) -> None:
        """Say `why`, unless `name` failed with this `code` the last time, or less than a minute ago with another."""
        code_before, at = self._said.get(name, ("", -AGAIN_S))
        if code != code_before and time.monotonic() - at >= AGAIN_S:
            self._said[name] = code, time.monotonic()
            say(f"{name}: {why}")

    def ended(self, name: str) -> None:
        """It went well: what goes wrong next is said again, a minute after the last time at the earliest."""
        if name in self._said:
            self._said[name] = "", self._said[name][1]
