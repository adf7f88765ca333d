"""Annuity schedules a second: columns beside one contract at a time, in one process."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from financing.lending.contracts.actus.events import Observation
from financing.lending.contracts.actus.running import run
from financing.lending.contracts.batch import schedules


def measured_schedules(
    count: int = 200_000, sample: int = 200, periods: int = 24, *, seed: int = 2024
) -> dict[str, Any]:
    """`count` generated annuities of `periods` instalments at once, and `sample` by the ACTUS engine; best of three."""
    draw = np.random.default_rng(seed)
    amount, rate = draw.integers(100_000, 50_000_000, count), draw.integers(200, 1_200, count)
    many, months = np.full(count, periods), np.ones(count, np.int64)
    batch = min(_timed(lambda: schedules("annuity", amount, rate, many, months)) for _ in range(3))
    nothing = Observation({})

    def one_by_one() -> None:
        for place in range(sample):
            run(_terms(int(amount[place]), int(rate[place]), periods), nothing)

    single = min(_timed(one_by_one) for _ in range(3))
    return {
        "population": "generated",
        "schedules": count,
        "instalments": periods,
        "batch_per_s": count / batch,
        "one_by_one_per_s": sample / single,
        "batch_over_one_by_one": (count / batch) / (sample / single),
    }


def _terms(amount: int, rate: int, periods: int) -> dict[str, str]:
    years, month = divmod(periods, 12)
    return {
        "contractType": "ANN",
        "contractRole": "RPA",
        "statusDate": "2025-12-31T00:00:00",
        "initialExchangeDate": "2026-01-01T00:00:00",
        "maturityDate": f"{2026 + years}-{month + 1:02d}-01T00:00:00",
        "notionalPrincipal": str(amount),
        "nominalInterestRate": str(rate / 10_000),
        "dayCountConvention": "30E360",
        "cycleAnchorDateOfInterestPayment": "2026-02-01T00:00:00",
        "cycleOfInterestPayment": "P1ML0",
        "cycleAnchorDateOfPrincipalRedemption": "2026-02-01T00:00:00",
        "cycleOfPrincipalRedemption": "P1ML0",
        "currency": "CNY",
    }


def _timed(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
