"""The counts of who asks how often: they end with their window, are not lost between threads, and fill no memory."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from limits import parse
from limits.strategies import FixedWindowRateLimiter

from credit_api.http import windows
from credit_api.http.windows import FEW, Windows


class Clock:
    def __init__(self):
        self.now = 1_000.0

    def time(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(windows, "time", made)
    return made


def test_a_window_ends_when_its_time_is_over_however_many_came(clock):
    rate, counted = parse("2/minute"), FixedWindowRateLimiter(Windows())
    assert [counted.hit(rate, "a") for _ in range(3)] == [True, True, False]
    assert counted.hit(rate, "b")
    assert counted.get_window_stats(rate, "a") == (1_060.0, 0)
    clock.now += 59.9
    assert not counted.test(rate, "a")
    assert counted.get_window_stats(rate, "b") == (1_060.0, 1)
    clock.now += 0.1
    assert counted.test(rate, "a")
    assert counted.get_window_stats(rate, "a") == (1_060.0, 2)
    assert counted.hit(rate, "a")
    assert counted.get_window_stats(rate, "a") == (1_120.0, 1)


def test_many_addresses_do_not_fill_the_memory(clock):
    kept = Windows()
    for second in range(50):
        clock.now += 1
        for number in range(FEW):
            kept.incr(f"{second}-{number}", 1)
        assert len(kept) <= 2 * FEW
    # What has not ended is never dropped for room.
    for number in range(5 * FEW):
        kept.incr(f"long-{number}", 3_600, number)
    assert [kept.get(f"long-{number}") for number in range(5 * FEW)] == list(range(5 * FEW))
    clock.now += 3_600
    for number in range(10 * FEW):
        kept.incr(f"later-{number}", 1)
        clock.now += 0.1
    assert len(kept) <= 2 * FEW


def test_hits_at_the_same_time_are_all_counted():
    kept = Windows()

    def hit(worker):
        return [kept.incr("shared", 600) for _ in range(500)] + [
            kept.incr(f"{worker}-{number}", 0.01) for number in range(2_000)
        ]

    with ThreadPoolExecutor(8) as pool:
        told = [count for counts in pool.map(hit, range(8)) for count in counts[:500]]
    assert sorted(told) == list(range(1, 4_001))
    assert kept.get("shared") == 4_000


def test_what_is_cleared_begins_anew():
    kept = Windows()
    for key in ("a", "a", "b"):
        kept.incr(key, 600)
    kept.clear("a")
    kept.clear("never seen")
    assert (kept.get("a"), kept.get("b"), kept.check()) == (0, 1, True)
    assert kept.get_expiry("a") == pytest.approx(time.time(), abs=5)
    assert kept.reset() == 1
    assert (kept.get("b"), len(kept)) == (0, 0)


def test_no_thread_is_started():
    before = threading.active_count()
    kept = Windows()
    for number in range(100):
        kept.incr(f"{number}", 0.001)
    assert threading.active_count() == before
