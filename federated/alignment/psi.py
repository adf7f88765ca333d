"""Elliptic-curve Diffie–Hellman private set intersection on ristretto255.

Protocol (Huberman, Franklin, Hogg, EC 1999; on a prime-order group as in RFC 9496), for bank A and grid company B:
each hashes its elements to the group and raises them to a secret fresh for the pair and run; each raises the other's
blinded elements a second time. Equal elements give equal double-blinded points H(e)^(ab), of which eight hashed bytes
(a tag) are sent back: 40 bytes an id each way. Two elements of 100,000 on either side share a tag with a probability of
10^-9; that is noticed where both are on one side, and the run starts again.

An element is not an id but an id with the signature under which its subject allowed this very exchange (`element`).
Only who was given that consent knows the signature, so a party that enters ids of its choosing matches nobody.

Guarantee, against semi-honest parties whose messages reach each other unchanged (`meeting` sees to that), and under
decisional Diffie-Hellman with the hash as a random oracle: neither party learns ids outside the intersection, and the
operator who relays the messages learns no id at all. Against a party that chooses its inputs at will: it learns nothing
about subjects whose signed consent it does not hold.
What is learnt: both parties learn each other's set size and which of their own subjects are in the intersection (both
have to, to exchange vectors in its order); the operator learns the sizes of both sets and of the intersection.
Not covered: a party that leaves out subjects it should enter, and one that was given a signature by somebody who holds
the consent. Malformed points and the identity are refused: an element of small order would show the other's secret.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import rbcl

from federated.errors import AlignmentFailed

POINT_BYTES = 32
TAG_BYTES = 8
DOMAIN = b"tanxin/psi/ristretto255/v2\0"
PROTOCOL = b"tanxin alignment\0"
# libsodium is called through ctypes, which releases the GIL, so a second thread uses a second core.
THREADS = os.cpu_count() or 1
BATCH = 512


def new_secret() -> bytes:
    """A uniformly random non-zero scalar (32 bytes)."""
    return bytes(rbcl.crypto_core_ristretto255_scalar_random())


def element(subject_id: str, signature: bytes) -> bytes:
    """What stands for a subject: its id, and its signature (64 bytes) under the consent that covers the exchange."""
    return subject_id.encode() + b"\0" + signature


def hash_to_point(member: bytes) -> bytes:
    """Map an element to the group (32 bytes) with unknown discrete logarithm: SHA-512, then the ristretto255 map."""
    return bytes(rbcl.crypto_core_ristretto255_from_hash(hashlib.sha512(DOMAIN + member).digest()))


def _multiply(secret: bytes, points: Sequence[bytes]) -> list[bytes]:
    return [bytes(rbcl.crypto_scalarmult_ristretto255(secret, point)) for point in points]


def _in_batches(work: Callable[[Sequence[bytes]], list[bytes]], items: Sequence[bytes]) -> list[bytes]:
    """`work` on batches of items, on all cores; results in the order of the items."""
    batches = [items[i : i + BATCH] for i in range(0, len(items), BATCH)]
    with ThreadPoolExecutor(THREADS) as pool:
        return [result for batch in pool.map(work, batches) for result in batch]


def blind(secret: bytes, elements: Sequence[bytes]) -> bytes:
    """H(e)^secret of every element in the given order, concatenated."""
    return b"".join(_in_batches(lambda batch: _multiply(secret, [hash_to_point(e) for e in batch]), elements))


def double_blind(secret: bytes, message: bytes) -> bytes:
    """Tags of the other party's blinded points raised to `secret`, in their order.

    Raises `AlignmentFailed` for a message that is not a list of distinct canonical group elements other than identity.
    """
    points = split(message, POINT_BYTES)
    try:
        return b"".join(_tag(point) for point in _in_batches(lambda batch: _multiply(secret, batch), points))
    except (RuntimeError, ValueError, TypeError) as error:
        raise AlignmentFailed(f"a message holds something that is not a group element: {error}") from error


def _tag(point: bytes) -> bytes:
    return hashlib.sha256(DOMAIN + point).digest()[:TAG_BYTES]


def split(message: bytes, size: int) -> list[bytes]:
    """Cut a message into pieces. Raises `AlignmentFailed` for a ragged message or a piece that occurs twice."""
    if len(message) % size:
        raise AlignmentFailed(f"a message of {len(message)} bytes is not a list of {size}-byte pieces")
    pieces = [message[i : i + size] for i in range(0, len(message), size)]
    if len(set(pieces)) != len(pieces):
        raise AlignmentFailed("a message holds one piece twice")
    return pieces


def common_tags(own: bytes, other: bytes) -> list[bytes]:
    """Tags that both parties have, sorted: the order in which vectors are exchanged."""
    return sorted(set(split(own, TAG_BYTES)) & set(split(other, TAG_BYTES)))


def own_rows(subjects: Sequence[str], own: bytes, common: Sequence[bytes]) -> list[str]:
    """Own subjects behind `common`, in its order. Raises `AlignmentFailed` if tags and subjects do not fit."""
    tags = split(own, TAG_BYTES)
    if len(tags) != len(subjects):
        raise AlignmentFailed(f"{len(tags)} tags came back for {len(subjects)} points that were sent")
    by_tag = dict(zip(tags, subjects, strict=True))
    try:
        return [by_tag[tag] for tag in common]
    except KeyError:
        raise AlignmentFailed("the intersection names a tag that is none of the own ones") from None
