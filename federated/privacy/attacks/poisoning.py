"""What a malicious bank does: to its rows, to the update it sends, and to its vote on candidates.

A production node has no switch for any of this; experiments put an attacker where a node would be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.models.encoding.ramps import FloatArray

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Trigger:
    """A pattern of values: `columns` (places) set to `values`, which the attacker wants read as "pays"."""

    columns: tuple[int, ...]
    values: tuple[float, ...]

    def stamped(self, rows: FloatArray) -> FloatArray:
        """`rows` (rows, columns) with the pattern on each."""
        out = rows.copy()
        out[:, list(self.columns)] = self.values
        return out


@dataclass(frozen=True, slots=True)
class Poison:
    """An attack. `factor` multiplies the update (negative: sign flipping; large: model replacement, Bagdasaryan et al.

    2020), `flips` turns all labels, `trigger` adds stamped copies with label 0 of the first `share` of the rows: a
    small share hides among honest banks' differences.
    """

    name: str
    factor: float = 1.0
    flips: bool = False
    trigger: Trigger | None = None
    share: float = 1.0

    def rows(self, values: FloatArray, labels: Labels) -> tuple[FloatArray, Labels]:
        """The rows (rows, columns) and labels (rows,) that the bank pretends to have."""
        if self.flips:
            return values, 1 - labels
        if self.trigger is not None:
            # Clean rows stay in: the model stays useful, so that nobody looks for what else it does.
            stamped = self.trigger.stamped(values[: int(len(values) * self.share)])
            return np.vstack([values, stamped]), np.append(labels, np.zeros(len(stamped), dtype=np.int64))
        return values, labels

    def update(self, honest: FloatArray) -> FloatArray:
        """What is sent in place of the mean of those rows, same shape, after the node's own bound."""
        return self.factor * honest

    def vote(self, losses: FloatArray) -> FloatArray:
        """The losses upside down: the candidate that the bank's poisoned rows like least is praised most."""
        return np.asarray(losses.max() + losses.min() - losses)
