"""Per-record bounds that hold over the integers: clip first, round after, and keep room for the rounding."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from federated.errors import CorruptData, PrivacyPlanRefused
from federated.models.encoding.ramps import FloatArray

IntArray = NDArray[np.int64]
# Finest grid of clipped vectors: the bound itself, in units.
GRID = 1 << 20


def clipped(vectors: FloatArray, clip: float, bound: int = GRID) -> IntArray:
    """Each of `vectors` (records, length) scaled to length `clip` if longer, then to integers of length ≤ `bound`.

    A `clip` becomes `bound` − √length/2 units: rounding moves an entry by at most ½, so the integer vector is never
    longer than `bound`. Raises `PrivacyPlanRefused` for a clip that is no length. A record whose vector is not finite
    is refused with `CorruptData`: dropping it would tell.
    """
    if not (math.isfinite(clip) and clip > 0):
        raise PrivacyPlanRefused(f"a clip is a positive length, not {clip}")
    if not np.all(np.isfinite(vectors)):
        raise CorruptData("a record's gradient is not finite")
    room = bound - rounding_room(vectors.shape[1])
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    # np.rint is off by at most ½, and scaling by a few units in the last place: the room is a unit more than √length/2.
    scale = room / np.maximum(norms, clip)
    return np.asarray(np.rint(vectors * scale), dtype=np.int64)


def rounding_room(length: int) -> float:
    """Units kept free for rounding `length` entries, and one more for floating-point scaling."""
    return math.sqrt(length) / 2.0 + 1.0


def squared_length(vectors: IntArray) -> int:
    """The largest squared length among integer `vectors` (records, length), exactly."""
    if not len(vectors):
        return 0
    return max(int(v) for v in (vectors.astype(object) ** 2).sum(axis=1))
