"""What the mean of honest rows can be: bounds that follow from `models.hats` and change no honest update."""

from __future__ import annotations

import math

import numpy as np

from federated.models.encoding.hats import UNIT
from federated.models.encoding.ramps import FloatArray
from federated.privacy.differential.moments import MomentShape


def bounded(update: FloatArray, shape: MomentShape) -> FloatArray:
    """`update` (shape.length,), a mean of rows' moments in units, cut to the box and the ball that any mean lies in.

    Products of cells are in 0 … U², label moments in ±s·U, and the whole is no longer than one record's farthest move
    (`MomentShape.bound_squared`), because a mean is never longer than its longest term. What is not finite counts as 0.
    """
    side = float(UNIT * shape.label_scale)
    low, high = np.zeros(shape.length), np.full(shape.length, float(UNIT**2))
    low[-shape.width :], high[-shape.width :] = -side, side
    cut = np.clip(np.where(np.isfinite(update), update, 0.0), low, high)
    length, most = float(np.linalg.norm(cut)), math.sqrt(shape.bound_squared)
    return np.asarray(cut if length <= most else cut * (most / length), dtype=np.float64)
