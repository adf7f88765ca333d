"""A function that is no model but reads one column: what an operator would hand a node instead of a version.

A node's share is its function of one customer's row, so a function that is a column times a constant makes the share
that column; a bank that colludes takes its mask off, or the same question under another function does. Success is the
column read to `DIGITS` digits. Source: after Fowl et al., "Robbing the Fed" (ICLR 2022), where who chooses the model
reads the inputs.
"""

from __future__ import annotations

import numpy as np

from federated.models.served.scorer import PartyScorer
from federated.models.served.tables import AdditiveTables

# Keeps a column of some thousands below the logit that a node would refuse for being no model's.
GAIN = 1e-3
DIGITS = 6


def reading_scorer(features: int, column: int) -> PartyScorer:
    """A party's function of `features` columns whose logit is `GAIN` times one of them."""
    slope = np.zeros((features, 2))
    slope[column, 0] = GAIN
    tables = AdditiveTables(
        constant=0.0,
        knots=np.zeros((features, 0)),
        level=np.zeros((features, 2)),
        slope=slope,
        bins=np.zeros((features, 2), dtype=np.int64),
        pairs=np.zeros((0, 2), dtype=np.int64),
        cells=np.zeros((0, 1, 1)),
        reference=np.zeros(features),
    )
    return PartyScorer(tables, np.tile(np.arange(4.0), (features, 1)))


def read(logit: float, truth: float) -> bool:
    """Whether a logit of such a function tells the value behind it to `DIGITS` digits; a missing one tells nothing."""
    return bool(abs(logit / GAIN - truth) <= 10.0**-DIGITS * max(abs(truth), 1.0))
