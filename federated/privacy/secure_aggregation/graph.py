"""Who shares masks and seeds with whom: a ring of parties in an order that nobody chose, each with its nearest ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def neighbours(names: Iterable[str], degree: int, round_id: bytes) -> dict[str, tuple[str, ...]]:
    """Each party's neighbours in a fixed order. All others if there are at most `degree` + 1 parties.

    The order on the ring is that of hashes of the round and the name, so every party computes the same graph (a Harary
    graph as in Bell et al., section 3) and none decides where it stands. `degree` is rounded up to an even number.
    """
    ring = sorted(names, key=lambda name: hashlib.sha256(round_id + b"\0" + name.encode()).digest())
    if len(ring) <= degree + 1:
        return {name: tuple(other for other in ring if other != name) for name in ring}
    half = -(-degree // 2)
    count = len(ring)
    return {
        name: tuple(ring[(i + step) % count] for step in (*range(-half, 0), *range(1, half + 1)))
        for i, name in enumerate(ring)
    }
