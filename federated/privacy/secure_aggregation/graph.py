"""Who shares masks and seeds with whom: a ring of parties in an order that nobody chose, each with its nearest ones.

Guarantee: where the graph is sparse its seed is uniform to whoever had not committed itself before, if one party's
nonce is: nonces are fixed by commitments (SHA-256) before one of them is shown, and none may be missing or replaced.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from federated.errors import AggregationFailed

NONCE_BYTES = 32


def is_sparse(count: int, degree: int) -> bool:
    """Whether not all of `count` parties are neighbours of each other, so that it matters who chose the graph."""
    return count > degree + 1


def holders(count: int, degree: int) -> int:
    """How many hold shares of a party's seeds, itself among them. As a threshold: nobody may be missing."""
    return 2 * -(-degree // 2) + 1 if is_sparse(count, degree) else count


def committed(round_id: bytes, name: str, nonce: bytes) -> bytes:
    """What a party says of its nonce (32 bytes) before it shows it: a hash that hides it."""
    return hashlib.sha256(b"tanxin nonce\0" + round_id + b"\0" + name.encode() + b"\0" + nonce).digest()


def seed_of(
    roster: bytes, round_id: bytes, commitments: Mapping[str, bytes], nonces: Mapping[str, bytes], degree: int
) -> bytes:
    """The seed of a round's graph (32 bytes), from its `roster` and, in a sparse graph, the nonces of all its parties.

    Raises `AggregationFailed` if a nonce is missing, or is not the one that was committed to.
    """
    drawn = b""
    if is_sparse(len(commitments), degree):
        for name in sorted(commitments):
            nonce = nonces.get(name, b"")
            if len(nonce) != NONCE_BYTES or committed(round_id, name, nonce) != commitments[name]:
                raise AggregationFailed(f"{name} did not show the nonce that it committed to: the round is void")
            drawn += nonce
    return hashlib.sha256(b"tanxin graph\0" + roster + drawn).digest()


def neighbours(names: Iterable[str], degree: int, seed: bytes) -> dict[str, tuple[str, ...]]:
    """Each party's neighbours in a fixed order. All others if there are at most `degree` + 1 parties.

    The order on the ring is that of hashes of the seed and the name, so every party computes the same graph (a Harary
    graph as in Bell et al., section 3) and none decides where it stands. `degree` is rounded up to an even number.
    """
    ring = sorted(names, key=lambda name: hashlib.sha256(seed + b"\0" + name.encode()).digest())
    if not is_sparse(len(ring), degree):
        return {name: tuple(other for other in ring if other != name) for name in ring}
    half = -(-degree // 2)
    count = len(ring)
    return {
        name: tuple(ring[(i + step) % count] for step in (*range(-half, 0), *range(1, half + 1)))
        for i, name in enumerate(ring)
    }
