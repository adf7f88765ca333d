"""Why a score is lower than the typical customer's: Shapley values of one party's logit against a reference.

Permutation sampling with antithetic pairs (Castro, Gómez, Tejada 2009; Mitchell et al., JMLR 2022): each sampled order
and its reverse walk from the reference to the customer, feature by feature, and a feature is credited with the change
of the logit when it is switched. Contributions of a party sum exactly to its logit minus its logit at the reference;
because parties' logits are summed, contributions of different parties live on one scale and can be ranked together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from federated.models.encoding import FloatArray
from federated.models.party import PartyModel

PAIRS = 32
MAX_REASONS = 4
# Below this a contribution is sampling noise or moves the score by less than one point (ln 2 / PDO = 0.017).
MIN_CONTRIBUTION = 0.017


@dataclass(frozen=True, slots=True)
class Reason:
    """One adverse reason. `code` is stable: party letter, feature number, H (above), L (below) or M (missing)."""

    code: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class RankedReason:
    """A reason and how much it raises the logit of default. The size stays inside the network operator."""

    reason: Reason
    contribution: float


def contributions(model: PartyModel, values: FloatArray, seed: int = 0, pairs: int = PAIRS) -> FloatArray:
    """Shapley contributions (features,), in logits, of one customer's raw `values` (features,). Seeded."""
    n = model.encoder.n_features
    rng = np.random.default_rng(seed)
    orders = np.array([order for _ in range(pairs) for order in _antithetic(rng.permutation(n))])
    steps = np.arange(n + 1)
    # position[o, j] is when order o switches feature j; row `step` of its walk has switched those before.
    position = np.argsort(orders, axis=1)
    switched = position[:, None, :] < steps[None, :, None]
    rows = np.where(switched, values, model.encoder.reference)
    logits = model.logits(rows.reshape(-1, n)).reshape(len(orders), n + 1)
    gains = np.diff(logits, axis=1)
    total = np.zeros(n)
    np.add.at(total, orders, gains)
    return np.asarray(total / len(orders), dtype=np.float64)


def _antithetic(
    order: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], ...]:
    return order, order[::-1]


def top_reasons(ranked: Sequence[RankedReason]) -> tuple[Reason, ...]:
    """At most four reasons that lower the score, strongest first. Ties are broken by code."""
    adverse = [item for item in ranked if item.contribution >= MIN_CONTRIBUTION]
    adverse.sort(key=lambda item: (-item.contribution, item.reason.code))
    return tuple(item.reason for item in adverse[:MAX_REASONS])
