"""A node's rows while a session is open: its columns in agreed numbers, bins and ramps, and its inner folds.

State lives with the node's process for one session; what a protocol learns on top of it is the protocol's own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federated.models.encoding.binning import Binning, IntArray
from federated.models.encoding.categories import CategoryMap
from federated.models.encoding.ramps import RampEncoder
from federated.protocols.core.rows import BankRows, GridRows

Mask = NDArray[np.bool_]


class SessionNode:
    """One node's side of an open session. `training` (rows,) marks own rows that are learnt from.

    `inner` (repeats, rows) numbers a bank's inner folds, −1 = no training row; grid companies do not draw any.
    """

    def __init__(self, rows: BankRows | GridRows) -> None:
        self.rows = rows
        self.count = len(rows.table.numbers)
        self.training: Mask = rows.training if isinstance(rows, BankRows) else np.zeros(self.count, dtype=np.bool_)
        self.inner: IntArray = np.full((1, self.count), -1)

    def expand(self, categories: CategoryMap) -> None:
        """Turn words into numbers with the agreed map."""
        self.categories = categories
        self.values = categories.expand(self.rows.table)

    def prepare(self, binning: Binning, encoder: RampEncoder) -> None:
        """Take the agreed bins and ramps."""
        self.binning, self.encoder = binning, encoder
