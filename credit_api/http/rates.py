"""How often a key, an address and a guesser may ask, and how many requests are worked on at once. In one process."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from limits import RateLimitItem, parse
from limits.strategies import FixedWindowRateLimiter

from credit_api.app.errors import OauthRefused, Overloaded, TooManyRequests, Unauthenticated
from credit_api.app.settings import Limits
from credit_api.http.windows import Windows


class Rates:
    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._windows = FixedWindowRateLimiter(Windows())
        self._per_key, self._per_address = parse(limits.requests_per_key), parse(limits.requests_per_address)
        self._wrong_keys = parse(limits.wrong_keys_per_address)
        self._wrong_passwords = parse(limits.wrong_passwords_per_login)
        self._looking: Counter[tuple[str, ...]] = Counter()
        self._inside = 0

    def of_key(self, sha256: str) -> Mapping[str, str]:
        """Count a request under a key; the headers that tell what is left. Raises `TooManyRequests`."""
        return self._count(self._per_key, "key", sha256)

    def of_address(self, address: str) -> Mapping[str, str]:
        """Count a request without a key. Raises `TooManyRequests`."""
        return self._count(self._per_address, "address", address)

    def require_guess(self, address: str) -> None:
        """Raise `TooManyRequests` for an address that has shown too many wrong keys: the next is not looked up."""
        if not self._windows.test(self._wrong_keys, "wrong", address):
            raise self._too_many(self._wrong_keys, "wrong", address)

    def count_wrong_key(self, address: str) -> None:
        self._windows.hit(self._wrong_keys, "wrong", address)

    @contextmanager
    def guessing(self, address: str, login: str = "") -> Iterator[None]:
        """Around whatever looks a secret up: a wrong one is counted for the address, and for the login if one is named.

        Raises `TooManyRequests` before it looks once there were too many: what is guessed is no longer told.
        """
        counted: list[tuple[RateLimitItem, tuple[str, ...]]] = [(self._wrong_keys, ("wrong", address))]
        if login:
            # By address too, or anybody could lock anybody out.
            counted.append((self._wrong_passwords, ("login", login, address)))
        for item, of in counted:
            # Those being looked up count as wrong until they are found right: many at once are no way around.
            if self._windows.get_window_stats(item, *of)[1] <= self._looking[of]:
                raise self._too_many(item, *of)
        for _, of in counted:
            self._looking[of] += 1
        try:
            yield
        except (Unauthenticated, OauthRefused):
            for item, of in counted:
                self._windows.hit(item, *of)
            raise
        finally:
            for _, of in counted:
                self._looking[of] -= 1
            self._looking = +self._looking

    def require_room(self) -> None:
        """Raise `Overloaded` when as many requests are worked on as may be at once."""
        if self._inside >= self.limits.requests_at_once:
            raise Overloaded("the service is busy", retry_after_s=1)

    @contextmanager
    def working(self) -> Iterator[None]:
        """One request more is worked on. From the event loop's thread only."""
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    def _count(self, item: RateLimitItem, *of: str) -> Mapping[str, str]:
        if not self._windows.hit(item, *of):
            raise self._too_many(item, *of)
        reset, left = self._windows.get_window_stats(item, *of)
        # draft-ietf-httpapi-ratelimit-headers: what a window takes, what is left, when it ends.
        return {
            "RateLimit-Limit": str(item.amount),
            "RateLimit-Remaining": str(left),
            "RateLimit-Reset": str(_seconds_to(reset)),
        }

    def _too_many(self, item: RateLimitItem, *of: str) -> TooManyRequests:
        reset, _ = self._windows.get_window_stats(item, *of)
        return TooManyRequests("too many requests", allowed=str(item), retry_after_s=_seconds_to(reset))


def _seconds_to(reset: float) -> int:
    return max(math.ceil(reset - time.time()), 1)
