"""The early-stopping split: a stratified share of a bank's training rows, computed inside the bank."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]


def validation_rows(labels: NDArray[np.int64], training: BoolArray, share: float, seed: int, fold: int) -> BoolArray:
    """Mask (rows,) of validation rows: of each class, `share` of the rows marked in `training`, rounded.

    Depends only on the arguments, so a baseline that is given the same rows in the same order stops on the same rows.
    """
    rng = np.random.default_rng([seed, fold])
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for label in (0, 1):
        rows = np.flatnonzero(training & (labels == label))
        chosen[rng.permutation(rows)[: round(share * len(rows))]] = True
    return chosen
