"""Which of the inspected updates agree: the n − f of them with the smallest diameter, averaged.

Minimum diameter averaging (El Mhamdi, Guerraoui and Rouault, ICML 2018): with f < n/2 liars some set of n − f holds
only honest updates, so the chosen set's diameter is no larger than theirs, and because two such sets share a bank (an
honest one is in each), a liar that is chosen lies within one honest diameter of an honest update. Krum would need
n > 2f + 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from federated.errors import AggregationFailed
from federated.models.encoding.ramps import FloatArray

# All sets are looked at; 20 choose 10 is 184,756.
MOST_UPDATES = 20
LEAST_UPDATES = 3


def agreeing(updates: Mapping[str, FloatArray]) -> tuple[str, ...]:
    """Names of the updates, each (length,), that agree best: all but ⌊(n − 1)/2⌋. Raises `AggregationFailed`."""
    names = sorted(updates)
    if not LEAST_UPDATES <= len(names) <= MOST_UPDATES:
        detail = f"{len(names)} updates; {LEAST_UPDATES} to {MOST_UPDATES} can be compared"
        raise AggregationFailed(detail)
    stacked = np.stack([updates[name] for name in names])
    apart = np.array([[float(np.linalg.norm(a - b)) for b in stacked] for a in stacked])
    kept = len(names) - (len(names) - 1) // 2
    best = min(combinations(range(len(names)), kept), key=lambda s: float(apart[np.ix_(s, s)].max()))
    return tuple(names[i] for i in best)
