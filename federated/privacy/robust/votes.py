"""Candidates judged by all banks on rows of their own: the median over banks, which a minority cannot move far."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from federated.errors import AggregationFailed
from federated.models.encoding.ramps import FloatArray

# The squared error of ½(2y − 1) by a score that was cut to ±½: no bank's loss is outside.
WORST = 1.0


def verdicts(votes: Mapping[str, FloatArray], candidates: int) -> FloatArray:
    """Median loss (candidates,) of the banks' losses, each (candidates,) in 0 … `WORST`, smaller is better.

    A vote of another shape, or one that is not finite, does not count. With fewer liars than half of the voters each
    verdict lies between the smallest and the largest honest loss. Raises `AggregationFailed` without a vote.
    """
    valid = [v for v in votes.values() if v.shape == (candidates,) and bool(np.isfinite(v).all())]
    if not valid:
        raise AggregationFailed("no bank judged the candidates")
    return np.asarray(np.median(np.clip(np.stack(valid), 0.0, WORST), axis=0))
