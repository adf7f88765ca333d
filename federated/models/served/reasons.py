"""Why a score is lower than the typical customer's: Shapley values of one party's logit against a reference.

Where there is no closed form: permutation sampling with antithetic pairs (Castro, Gómez, Tejada 2009; Mitchell et al.,
JMLR 2022). Each sampled order and its reverse walk from the reference to the customer, feature by feature, and a
feature is credited with the change of the logit when it is switched. Contributions of a party sum exactly to its logit
minus its logit at the reference; because parties' logits are summed, contributions of different parties live on one
scale and can be ranked together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from federated.models.encoding.ramps import FloatArray
from federated.models.served.scaling import PDO

PAIRS = 32
MAX_REASONS = 4
POINT = math.log(2.0) / PDO
# What a bank is sent is a strength in steps of this many points: it ranks, and adds up to no logit.
STRENGTH_POINTS = 5
# What would round to no step at all is noise of training or sampling, and nothing a customer could act on.
MIN_CONTRIBUTION = POINT * STRENGTH_POINTS / 2


@dataclass(frozen=True, slots=True)
class Reason:
    """One adverse reason. `code` is stable: party letter, feature number, H (above), L (below) or M (missing), or both
    parties' letters for what their columns say together.

    The text ends with the band of customers that the value lies in; the value itself is not in it.
    """

    code: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class RankedReason:
    """A reason and its strength: by how many `STRENGTH_POINTS` it lowers the score, rounded, at least 1."""

    reason: Reason
    strength: int


def strength_of(contribution: float) -> int:
    """A contribution in logits as a coarse strength."""
    return max(1, round(contribution / (POINT * STRENGTH_POINTS)))


def strongest(contributions: FloatArray) -> list[int]:
    """At most four features (by number) that lower the score by half a strength step or more, strongest first."""
    order = np.argsort(-contributions, kind="stable")[:MAX_REASONS]
    return [int(j) for j in order if contributions[j] >= MIN_CONTRIBUTION]


def sampled_contributions(
    logits: Callable[[FloatArray], FloatArray],
    reference: FloatArray,
    values: FloatArray,
    seed: int = 0,
    pairs: int = PAIRS,
) -> FloatArray:
    """Shapley contributions (features,) of `logits` at one customer's `values` (features,). Seeded."""
    n = len(reference)
    rng = np.random.default_rng(seed)
    orders = np.array([order for _ in range(pairs) for order in _antithetic(rng.permutation(n))])
    steps = np.arange(n + 1)
    # position[o, j] is when order o switches feature j; row `step` of its walk has switched those before.
    position = np.argsort(orders, axis=1)
    switched = position[:, None, :] < steps[None, :, None]
    rows = np.where(switched, values, reference)
    walked = logits(rows.reshape(-1, n)).reshape(len(orders), n + 1)
    gains = np.diff(walked, axis=1)
    total = np.zeros(n)
    np.add.at(total, orders, gains)
    return np.asarray(total / len(orders), dtype=np.float64)


def _antithetic(
    order: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], ...]:
    return order, order[::-1]


def top_reasons(ranked: Sequence[RankedReason]) -> tuple[Reason, ...]:
    """At most four reasons that lower the score, strongest first. Ties are broken by code."""
    ordered = sorted(ranked, key=lambda item: (-item.strength, item.reason.code))
    return tuple(item.reason for item in ordered[:MAX_REASONS])
