"""How often a bank may ask a grid company: about one customer, and about all together, in a sliding period.

A bank that holds its own share of a model can subtract it from every score. One answer about a customer tells it the
grid company's share to half a point; answers to the same question under a changed own file tell it more digits, and
answers about customers whose electricity data the bank knows from elsewhere tell it the function. Guarantee: within
any `window` of the node's own clock its answers to one bank stay within the numbers below, counted in the node's own
store before the answer leaves; no instant that an asker names moves that window (`consent.instants`). Threat model:
the bank, alone or with the operator. Not covered: what the allowed answers tell, several banks that pool what they
were told, and a bank that has patience.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any

from federated.consent.uses import UseLog
from federated.errors import QueryBudgetSpent


@dataclass(frozen=True, slots=True)
class QueryBudget:
    """At most `per_subject` answers about one customer and, to a bank in all, the larger of two numbers.

    These are `per_bank_min` and `per_consent` times the node's customers who consented towards the bank, each within
    `window`.
    """

    window: timedelta
    per_subject: int
    per_bank_min: int
    per_consent: float

    def to_bytes(self) -> bytes:
        """As a node keeps it."""
        fields = (self.window.total_seconds(), self.per_subject, self.per_bank_min, self.per_consent)
        return json.dumps(fields).encode()

    @staticmethod
    def from_bytes(raw: bytes) -> QueryBudget:
        """The reverse of `to_bytes`."""
        seconds, per_subject, per_bank_min, per_consent = json.loads(raw)
        return QueryBudget(timedelta(seconds=seconds), per_subject, per_bank_min, per_consent)

    def require(self, log: UseLog, consented: Callable[[], int], bank_id: str, subject_id: str, now: datetime) -> None:
        """Raise `QueryBudgetSpent` with the instant from which on there is room, unless one more answer fits.

        `now` is the node's own time. `consented` counts the node's customers with a consent in force towards the bank;
        it is asked only where it matters.
        """
        since = now - self.window
        oldest = log.nth_last_answer(bank_id, self.per_subject, since, subject_id)
        if oldest is not None:
            raise self._spent("this customer", oldest, self.per_subject)
        if log.nth_last_answer(bank_id, self.per_bank_min, since) is None:
            return
        allowed = max(self.per_bank_min, int(self.per_consent * consented()))
        oldest = log.nth_last_answer(bank_id, allowed, since)
        if oldest is not None:
            raise self._spent("all customers", oldest, allowed)

    def _spent(self, whom: str, oldest: datetime, allowed: int) -> QueryBudgetSpent:
        days = self.window / timedelta(days=1)
        detail = f"the bank was answered {allowed} times about {whom} within {days:g} days"
        return QueryBudgetSpent(detail, retry_at=(oldest + self.window).isoformat())


# What an earlier version kept without names, in this order.
EARLIER = ("window", "runs", "least_rows", "row_sets", "least_apart", "label_auc", "runs_a_set")


@dataclass(frozen=True, slots=True)
class TrainingLimit:
    """At most `runs` openings of a bank's labels by training without noise within `window` of the bank's own clock.

    In training on shares, none over fewer than `least_rows` customers of all banks together whom a grid company serves.
    Runs over at most `row_sets` different sets of customers (`nodes.row_sets`), which divide those that are fitted into
    parts of `least_apart`, or of as many as a run fits, if these are fewer, and `runs_a_set` over each.
    """

    window: timedelta
    runs: int
    least_rows: int
    row_sets: int
    least_apart: int
    runs_a_set: int

    def to_bytes(self) -> bytes:
        """As a node keeps it."""
        return json.dumps(asdict(self) | {"window": self.window.total_seconds()}).encode()

    @staticmethod
    def from_bytes(raw: bytes) -> TrainingLimit:
        """The reverse of `to_bytes`. What an earlier version did not keep has the common default."""
        kept = json.loads(raw)
        if isinstance(kept, list):
            kept = dict(zip(EARLIER, kept, strict=False))
        own = {of: int(kept[of]) for of in EARLIER if of in kept and of not in ("window", "label_auc")}
        return replace(default_training_limit(), window=timedelta(seconds=kept["window"]), **own)


def _defaults() -> dict[str, Any]:
    return tomllib.loads(resources.files("federated.nodes").joinpath("budget.toml").read_text("utf-8"))


@cache
def default_training_limit() -> TrainingLimit:
    """The limit of `budget.toml`, for banks that set none of their own."""
    raw = _defaults()["training"]
    runs, rows, sets, apart = (int(raw[of]) for of in ("runs", "least_rows", "row_sets", "least_apart"))
    return TrainingLimit(timedelta(days=raw["window_days"]), runs, rows, sets, apart, int(raw["runs_a_set"]))


@cache
def default_budget() -> QueryBudget:
    """The budget of `budget.toml`, for nodes that set none of their own."""
    raw = _defaults()
    window = timedelta(days=raw["window_days"])
    return QueryBudget(window, int(raw["per_subject"]), int(raw["per_bank_min"]), float(raw["per_consent"]))
