"""A lower bound on ε from runs with and without a canary: what the mechanism, as it was coded, really gives away.

Each trial trains once; in half of them one record of the attacker's making is in. A statistic and its threshold are
chosen on the first half of the trials, and counted on the second. (ε, δ) privacy bounds the two error rates (Kairouz,
Oh, Viswanath 2015), so Clopper–Pearson limits of the counted rates give an ε that the mechanism cannot be below
(Jagielski, Ullman, Oprea 2020). `gaussian` is larger and rests on more: that the trade-off is a Gaussian's, as it is
for this mechanism (Nasr et al. 2023, "Tight auditing of differentially private machine learning").
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from federated.models.encoding.ramps import FloatArray

CUTS = 200


@dataclass(frozen=True, slots=True)
class Audit:
    """Lower bounds on ε at δ with the given confidence, and the error rates that they rest on."""

    trials: int
    confidence: float
    epsilon: float
    gaussian: float
    false_alarms: float
    missed: float


def audited(inside: FloatArray, outside: FloatArray, delta: float, confidence: float = 0.95) -> Audit:
    """From statistics (trials,) of runs with the canary and without; a larger statistic says that it is in.

    The first half of each is for choosing the threshold.
    """
    half_in, half_out = len(inside) // 2, len(outside) // 2
    cuts = np.quantile(np.concatenate([inside[:half_in], outside[:half_out]]), np.linspace(0, 1, CUTS + 2)[1:-1])
    first = [_rates(inside[:half_in], outside[:half_out], cut, delta, confidence) for cut in cuts]
    best = float(cuts[int(np.argmax([each[0] for each in first]))])
    best_gaussian = float(cuts[int(np.argmax([each[1] for each in first]))])
    rest = inside[half_in:], outside[half_out:]
    epsilon, _, missed, alarms = _rates(*rest, best, delta, confidence)
    gaussian = _rates(*rest, best_gaussian, delta, confidence)[1]
    return Audit(len(inside) + len(outside), confidence, epsilon, gaussian, alarms, missed)


def _rates(
    inside: FloatArray, outside: FloatArray, cut: float, delta: float, confidence: float
) -> tuple[float, float, float, float]:
    """ε, Gaussian ε, and the rates of misses and false alarms at one threshold."""
    # Two limits are used at once, in either of two directions: each gets a quarter of the doubt.
    doubt = (1.0 - confidence) / 4.0
    misses, alarms = int((inside <= cut).sum()), int((outside > cut).sum())
    most_missed, most_alarms = _most(misses, len(inside), doubt), _most(alarms, len(outside), doubt)
    ratios = [_ratio(1.0 - most_missed - delta, most_alarms), _ratio(1.0 - most_alarms - delta, most_missed)]
    mu = float(stats.norm.isf(most_missed) + stats.norm.isf(most_alarms))
    return max(ratios), gaussian_epsilon(mu, delta), misses / len(inside), alarms / len(outside)


def _ratio(above: float, below: float) -> float:
    return max(math.log(above / below), 0.0) if above > 0 else 0.0


def _most(events: int, trials: int, doubt: float) -> float:
    """Clopper–Pearson's upper limit of a rate."""
    return 1.0 if events == trials else float(stats.beta.ppf(1.0 - doubt, events + 1, trials - events))


def gaussian_epsilon(mu: float, delta: float) -> float:
    """ε at `delta` of two unit normals `mu` apart (Balle and Wang 2018); 0 for `mu` ≤ 0."""
    if mu <= 0:
        return 0.0

    def excess(epsilon: float) -> float:
        first = stats.norm.cdf(mu / 2.0 - epsilon / mu)
        return float(first - math.exp(epsilon + stats.norm.logcdf(-mu / 2.0 - epsilon / mu)) - delta)

    low, high = 0.0, 1.0
    if excess(low) <= 0:
        return 0.0
    while excess(high) > 0:
        high *= 2.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return low


def direction(inside: FloatArray, outside: FloatArray) -> FloatArray:
    """Fisher's direction (numbers,) between released vectors (trials, numbers) with and without the canary."""
    half_in, half_out = inside[: len(inside) // 2], outside[: len(outside) // 2]
    pooled = np.cov(half_in, rowvar=False) + np.cov(half_out, rowvar=False)
    ridge = 1e-3 * np.trace(pooled) / len(pooled) + 1e-30
    gap = half_in.mean(axis=0) - half_out.mean(axis=0)
    return np.asarray(np.linalg.solve(pooled + ridge * np.eye(len(pooled)), gap))
