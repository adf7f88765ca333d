"""The blend: weights of learners' logits, chosen on logits that each training row got from members that never saw it.

Minimises the logistic loss of Σ w_k·f_k + c plus ½·`STRENGTH`·Σ (w_k − 1/K)² over w ≥ 0, from sums that banks add up.
Shrinking towards equal weights keeps the choice steady on small tables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from federated.models.encoding.ramps import FloatArray

STRENGTH = 20.0
STEPS = 8


@dataclass(frozen=True, slots=True)
class BlendSums:
    """Sums over a bank's rows: `gradient` (K + 1,) and `hessian` (K + 1, K + 1), the constant last, and the loss."""

    gradient: FloatArray
    hessian: FloatArray
    loss: float

    @staticmethod
    def of(weights: FloatArray, logits: FloatArray, labels: FloatArray) -> BlendSums:
        """Sums at `weights` (K + 1,) of `logits` (K, rows) with `labels` (rows,)."""
        columns = np.vstack([logits, np.ones(logits.shape[1])])
        total = weights @ columns
        p = 1.0 / (1.0 + np.exp(-total))
        loss = float(np.sum(np.logaddexp(0.0, total) - labels * total))
        return BlendSums(columns @ (p - labels), (columns * (p * (1 - p))) @ columns.T, loss)

    def __add__(self, other: BlendSums) -> BlendSums:
        return BlendSums(self.gradient + other.gradient, self.hessian + other.hessian, self.loss + other.loss)


def best_weights(ask: Callable[[FloatArray], BlendSums], learners: int) -> FloatArray:
    """Weights (learners + 1,), the constant last. `ask` returns the banks' sums at given weights."""
    target = np.append(np.full(learners, 1.0 / learners), 0.0)
    penalty = np.append(np.full(learners, STRENGTH), 0.0)
    weights = target.copy()
    for _ in range(STEPS):
        sums = ask(weights)
        gradient = sums.gradient + penalty * (weights - target)
        hessian = sums.hessian + np.diag(penalty + 1e-9)
        weights = _bounded_step(weights, gradient, hessian)
    return weights


def _bounded_step(weights: FloatArray, gradient: FloatArray, hessian: FloatArray) -> FloatArray:
    """Minimise the second-order model over w ≥ 0 (the constant is free), one coordinate after the other."""
    new = weights.copy()
    for _ in range(200):
        for k in range(len(new)):
            slope = gradient[k] + hessian[k] @ (new - weights)
            new[k] -= slope / hessian[k, k]
            if k < len(new) - 1:
                new[k] = max(new[k], 0.0)
    return new
