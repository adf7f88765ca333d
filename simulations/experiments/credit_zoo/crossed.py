"""A generated table whose labels need what both parties' columns say together: no sum of two functions ranks it well.

All of it is made up here. `a` to `h` are the label holder's columns, `p` to `w` the other party's; what is true of the
log-odds is in `log_odds`, so a test can say how well any function could do.
"""

from __future__ import annotations

import hashlib

import numpy as np

from federated.models.encoding.categories import RawTable
from federated.models.encoding.ramps import FloatArray
from simulations.experiments.credit_zoo.datasets import BenchTable

CROSSED = "crossed"
ROWS, SEED = 10_000, 7
HOLDER, OTHER = tuple("abcdefgh"), tuple("pqrstuvw")
MISSING = 0.03


def log_odds(holder: FloatArray, other: FloatArray) -> FloatArray:
    """Of default, (rows,), from complete columns (rows, 8) of either party: of each a part of its own, a product of `a`
    and `p`, and more if both `b` and `q` are above their means."""
    own = 0.7 * holder[:, 2] - 0.5 * np.maximum(holder[:, 3], 0.0) + 0.4 * np.sin(2.0 * holder[:, 0])
    theirs = -0.6 * other[:, 2] + 0.5 * np.abs(other[:, 3])
    together = 1.1 * holder[:, 0] * other[:, 0] + 0.9 * (holder[:, 1] > 0.0) * (other[:, 1] > 0.0)
    return np.asarray(-1.9 + own + theirs + together)


def crossed_table(rows: int = ROWS, seed: int = SEED) -> BenchTable:
    """The table, a few cells of which are missing; labels follow from what they were."""
    rng = np.random.default_rng(seed)
    both = rng.normal(size=(rows, 16))
    # A party's columns say something of one another, and one of each of the other party's.
    both[:, 1:8] += 0.3 * both[:, :7]
    both[:, 9:] += 0.3 * both[:, 8:15]
    both[:, 15] += 0.5 * both[:, 7]
    holder, other = both[:, :8], both[:, 8:]
    labels = (rng.random(rows) < 1.0 / (1.0 + np.exp(-log_odds(holder, other)))).astype(np.int64)
    told = np.where(rng.random(both.shape) < MISSING, np.nan, both)
    digest = hashlib.sha256(told.tobytes() + labels.tobytes()).hexdigest()
    tables = RawTable(HOLDER, told[:, :8].copy(), {}), RawTable(OTHER, told[:, 8:].copy(), {})
    return BenchTable(CROSSED, labels, *tables, digest)
