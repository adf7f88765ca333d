"""Random triples of a pair, held against one another before anything that rests on them is opened.

The bank draws a and s, the grid company b, and the dealer sends the grid company c = a·b − s: shares s and c of a·b
(Beaver, CRYPTO 1991). A c that is wrong by e makes a product wrong by e, and a gradient by a multiple of one row that
whoever chose e knows: it reads that row. So more triples are dealt than are used. The pair puts them into an order that
it draws from a key which the dealer and the operator do not have, and fills buckets; one bucket is opened, and in each
other the first triple, which is used, has all others of its bucket held against it (cut and choose with sacrifice:
Furukawa, Lindell, Nof, Weinstein, EUROCRYPT 2017; Araki et al., IEEE S&P 2017).

A comparison gives the difference of two errors, exactly: no random multiplier enters, which a multiple of a high power
of two would survive modulo 2^64. So a bucket passes if all its errors are equal, the opened one if all are 0, and wrong
triples stay unfound only if they are whole buckets and none of them is opened. For t of N buckets of B triples the
chance is C(N, t) / C(B·(N + 1), B·t), which is largest for t = 1. (Without an opened bucket, one error in all triples
would always pass.) `bucket_size` is the least B for which it is below 2^−40.

What a comparison opens are differences of masks that are used for nothing else, and whether it passes follows from
masks and errors alone, never from anybody's data. Guarantee: against a dealer, an operator or both that send anything,
alone or together, where both of the pair follow the protocol. One of the pair that colludes with the dealer knows the
order, and is not stood.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import cache
from math import comb

import numpy as np

from federated.errors import AggregationFailed
from federated.privacy.vertical.ring import Ring, Tape

CHANCE_BITS = 40
# Numbers in a tag: SHA-256.
TAG = 4
# What factors and shares are drawn for, of the dealer's tape.
PURPOSE = "triples"


@cache
def bucket_size(count: int) -> int:
    """The least size of buckets, of which `count` are used and one is opened."""
    size = 2
    while comb(size * (count + 1), size) <= count << CHANCE_BITS:
        size += 1
    return size


def dealt(count: int) -> int:
    """How many triples have to be dealt so that `count` can be used."""
    return bucket_size(count) * (count + 1)


class Triples:
    """One side's part of `count` triples. `told` goes to the other side, which knows as many of its own.

    `tape` is this side's of the dealer, `common` the pair's own, from a key that nobody else has. Both sides `compare`,
    exchange tags and `check`; until then nothing may be opened that rests on these triples.
    """

    def __init__(self, count: int, tape: Tape, common: Tape, *, is_bank: bool) -> None:
        self._count, self._size, self._is_bank, self._taken = count, bucket_size(count), is_bank, 0
        # Numbers that are equal would stay as they were dealt: two of 64 bits are so rarely.
        self._order = np.argsort(common.draw(dealt(count)), kind="stable")
        own = tape.apart(PURPOSE)
        self._first, self._rest = self._held(own.draw(dealt(count)))
        self._shares = self._held(own.draw(dealt(count))) if is_bank else None
        self._expected = b""

    @property
    def told(self) -> Ring:
        """By how much the first factor of a bucket is above each other; of the bucket that is opened, all, negated."""
        return np.asarray(self._first - self._rest)

    def _held(self, values: Ring) -> tuple[Ring, Ring]:
        """What is held against what: the first of a bucket against each other, 0 against those that are opened."""
        ordered = values[self._order]
        opened, buckets = ordered[: self._size], ordered[self._size :].reshape(self._size, self._count)
        first = np.concatenate([np.zeros_like(opened), np.tile(buckets[0], self._size - 1)])
        return first, np.concatenate([opened, buckets[1:].ravel()])

    @property
    def masks(self) -> Ring:
        """The own factors (count,) of those that are used: the first of every bucket."""
        return self._first[self._used]

    @property
    def shares(self) -> Ring:
        """The own shares (count,) of their products, at the grid company once corrections came."""
        assert self._shares is not None
        return self._shares[0][self._used]

    @property
    def _used(self) -> slice:
        return slice(self._size, self._size + self._count)

    def compare(self, told: Ring, corrections: Ring | None) -> Ring:
        """Hold triples against one another by the other side's `told`: the own tag (`TAG`,), for the other side.

        `corrections` (`dealt`,) are what the dealer sent to the grid company, None at the bank. Raises
        `AggregationFailed` for numbers that are too many or too few.
        """
        if corrections is not None:
            if corrections.shape != self._order.shape:
                raise AggregationFailed(f"{corrections.size} corrections came for {len(self._order)} triples")
            self._shares = self._held(corrections)
        if self._shares is None or told.shape != self._rest.shape:
            raise AggregationFailed(f"{told.size} comparisons of triples came for {len(self._rest)}")
        # a₀b₀ − ab = a₀·(b₀ − b) + (a₀ − a)·b, so what is left of both sides' differences adds up to 0.
        apart = self._shares[0] - self._shares[1]
        left = told * self._first - apart if self._is_bank else apart - told * self._rest
        self._expected = _tag(left, bank=not self._is_bank)
        return np.frombuffer(_tag(left, bank=self._is_bank), dtype="<u8").astype(np.uint64)

    def check(self, tag: Ring) -> None:
        """Raise `AggregationFailed` unless the other side's tag is that of triples that are right."""
        if not self._expected or not hmac.compare_digest(tag.astype("<u8").tobytes(), self._expected):
            raise AggregationFailed("the dealer's triples do not agree with one another: the run is over")

    def take(self, count: int) -> slice:
        """Which of `masks` and `shares` come next: each is used once. Raises `AggregationFailed` if none are left."""
        start, self._taken = self._taken, self._taken + count
        if self._taken > self._count:
            raise AggregationFailed(f"more products were asked for than the {self._count} that were dealt for")
        return slice(start, self._taken)


def _tag(left: Ring, *, bank: bool) -> bytes:
    """Of one side: the other cannot send back what it was sent."""
    return hashlib.sha256((b"bank" if bank else b"grid") + left.astype("<u8").tobytes()).digest()
