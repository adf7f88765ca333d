"""One customer's score and reasons by weights that the bank knows, of columns that the grid company knows.

The grid company has entries e(x) (`models.served.explanatory`) and masked weights D, the bank has weights M = D + V
(`hidden_weights`); contributions are φ_j = Σ e·M over entries of feature j, in points. A third node deals: from a key
of the query in common with the grid company u, with the bank s, and to the grid company t_j = Σ u·V − s_j. The grid
company says E = e − u, and then φ_j = Σ E·M + s_j (the bank's share a_j) + Σ u·D + t_j (its own, g_j). Of its shares it
says the sum alone, cut off at 2⁻¹² of a point, so the bank has the function's value. Without reasons a query ends here.

Reasons. Contributions are shuffled by an order σ of the grid company's (permutation on shares: Chase, Ghosh and
Poburinnaya, ASIACRYPT 2020): the bank says a − A, the dealer Δ = σ(A) − B, the grid company w = σ(a − A + g) + Δ, whole
points of it modulo 2^12, and w + B are all contributions in an order unknown to the bank, each at most a point off.
(A share cut off at a bit and reduced loses a carry and nothing else: truncate-and-reduce, Rathee et al., IEEE S&P 2021;
shares cut off in the whole ring, as in SecureML, fail now and then.) At four places, always, the bank reads what
stands there, a feature's number and band, by oblivious transfers from random ones of the dealer (Beaver, CRYPTO 1995).

A bank that said another a, with a number of its own added a feature, would know the order. So it proves what it says:
the grid company has keys α and β of this query, the dealer has the bank's m = αV + β (an information-theoretic tag,
modulo 2^64 for values of 44 bits as in SPDZ2k: Cramer et al., CRYPTO 2018), and the bank says with each a_j − A_j the
tag Σ E·m + m_j, which the grid company reckons from a_j − A_j − Σ E·D. A lie passes with a chance below 2⁻²⁰.

Guarantee, where no two collude: what the grid company sees is uniform but for whether a tag was right, so it learns
nothing of weights, scores or reasons, not with the operator either where a third node deals; the dealer sees nothing.
The bank learns the function's value to 2⁻¹² of a point, all contributions to a point without their features, and four
features with their bands and, by where they stand, the contributions of these four. It learns no more if it sends what
it likes, but for the chance above, and a bank that reckons with other weights has numbers that say nothing.
Not covered: the dealer with either of the pair reads the other, as does the operator in a network of two, where it
deals. A dealer that deals wrongly shifts a score or spoils a query by what it does not see; from a query that is
refused for it, it could tell whether a sum of last bits of entries (2⁻¹⁶ of a ramp) is odd. Each query has keys of its
own; whoever holds them uses each step once, which callers see to.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from federated.errors import AggregationFailed
from federated.privacy.vertical.ring import FloatArray, Ring, Tape, fixed, floating

IntArray = NDArray[np.int64]
ENTRY_BITS, WEIGHT_BITS = 16, 16
POINT_BITS = ENTRY_BITS + WEIGHT_BITS
# Of the function's value, after the point. With fewer a whole score would come out one off more often: now of 12,000
# customers one's lies as near to a half point.
VALUE_BITS = 12
# Contributions in whole points are opened modulo 2^12, from −2048 to 2047. With more, tags would hold less well.
RANGE = 1 << 12
MOST_POINTS = RANGE // 2
OPENED = 4
# Two shares that are cut off lose one unit together on the average.
LOST = np.uint64(1)


class Shape:
    """How many entries there are, and where those of each feature begin (features,)."""

    def __init__(self, entries: int, starts: IntArray) -> None:
        self.entries, self.starts, self.features = entries, starts, len(starts)

    def by_feature(self, products: Ring) -> Ring:
        """Sums (features,) of what stands for each entry."""
        return np.asarray(np.add.reduceat(products, self.starts))

    def whole(self, numbers: Ring, count: int) -> Ring:
        """These numbers. Raises `AggregationFailed` unless they are so many."""
        if numbers.shape != (count,):
            raise AggregationFailed(f"{numbers.size} numbers of a hidden function came where {count} were due")
        return numbers


class GridDraws:
    """What the grid company and the dealer draw: `mask` u, and for reasons the order σ, tags' keys, and pads."""

    def __init__(self, shape: Shape, key: bytes) -> None:
        d, n = shape.features, shape.entries
        drawn = Tape(key).draw(n + 1 + d + OPENED * d)
        self.mask, self.alpha = drawn[:n], drawn[n]
        # Numbers that are equal would stay in their order: two of 64 bits are so rarely.
        self.order: IntArray = np.argsort(drawn[n + 1 : n + 1 + d], kind="stable")
        self.pads = drawn[n + 1 + d :].reshape(OPENED, d)


class BankDraws:
    """What the bank and the dealer draw: `share` s, and for reasons A, B, m and the places of random transfers."""

    def __init__(self, shape: Shape, key: bytes) -> None:
        d, n = shape.features, shape.entries
        drawn = Tape(key).draw(n + 4 * d + OPENED)
        self.share, self.before, self.after, self.tag = drawn[: 4 * d].reshape(4, d)
        self.tags = drawn[4 * d : 4 * d + n]
        self.places: IntArray = (drawn[4 * d + n :] % np.uint64(d)).astype(np.int64)


def deal(shape: Shape, mask: Ring, grid_key: bytes, bank_key: bytes, *, explained: bool) -> tuple[Ring, Ring]:
    """As the dealer, who knows V (`mask`): what the grid company is told, and the bank."""
    grid, bank = GridDraws(shape, grid_key), BankDraws(shape, bank_key)
    t = shape.by_feature(grid.mask * mask) - bank.share
    if not explained:
        return np.asarray(t.sum(keepdims=True)), np.zeros(0, dtype=np.uint64)
    delta = bank.before[grid.order] - bank.after
    beta = bank.tags - grid.alpha * mask
    beta_each = bank.tag - grid.alpha * (bank.share - bank.before)
    return np.concatenate([t, delta, beta_each, beta]), grid.pads[np.arange(OPENED), bank.places]


class GridSide:
    """The grid company in one query: `first`, and for reasons `shuffled` and `answered`, each once."""

    def __init__(self, shape: Shape, key: bytes, weights: Ring, dealt: Ring, *, explained: bool) -> None:
        d = shape.features
        self._dealt = shape.whole(dealt, 3 * d + shape.entries if explained else 1)
        self._shape, self._weights, self._draws = shape, shape.whole(weights, shape.entries), GridDraws(shape, key)
        self._explained = explained

    def first(self, entries: FloatArray) -> Ring:
        """From e(x): E (entries,) and, last, the sum of the own shares."""
        self._hidden = fixed(entries, ENTRY_BITS, 1.0) - self._draws.mask
        products = self._draws.mask * self._weights
        if self._explained:
            self._shares = self._shape.by_feature(products) + self._dealt[: self._shape.features]
        else:
            self._shares = products.sum(keepdims=True) + self._dealt
        return np.append(self._hidden, _cut(self._shares.sum(keepdims=True), VALUE_BITS))

    def shuffled(self, told: Ring) -> Ring:
        """From what the bank says of its shares: w (features,), whole points of it modulo `RANGE`.

        Raises `AggregationFailed` for shares that are not those of the weights that were approved.
        """
        d = self._shape.features
        said, tags = self._shape.whole(told, 2 * d).reshape(2, d)
        delta, beta_each, beta = self._dealt[d : 2 * d], self._dealt[2 * d : 3 * d], self._dealt[3 * d :]
        known = said - self._shape.by_feature(self._hidden * self._weights)
        if np.any(tags != self._draws.alpha * known + self._shape.by_feature(self._hidden * beta) + beta_each):
            raise AggregationFailed("a bank's shares are not those of the weights that were approved")
        return _points((said + self._shares)[self._draws.order] + delta)

    def answered(self, shifts: Ring, messages: Ring) -> Ring:
        """From what the bank asks by (`OPENED`,): what is said of each feature (features,) in the shuffled order,
        behind pads, for each question (`OPENED` · features,)."""
        d = self._shape.features
        shift = (self._shape.whole(shifts, OPENED) % np.uint64(d)).astype(np.int64)
        pads = (np.arange(d) - shift[:, None]) % d
        shuffled = self._shape.whole(messages, d)[self._draws.order]
        return np.asarray(shuffled + self._draws.pads[np.arange(OPENED)[:, None], pads]).ravel()


class BankSide:
    """The bank in one query: `points`, and for reasons `told`, `contributions`, `asked` and `opened`."""

    def __init__(self, shape: Shape, key: bytes, weights: Ring) -> None:
        self._shape, self._weights, self._draws = shape, shape.whole(weights, shape.entries), BankDraws(shape, key)

    def points(self, first: Ring) -> float:
        """From what the grid company says first: by how many points of logit the customer is above the reference."""
        given = self._shape.whole(first, self._shape.entries + 1)
        self._hidden = given[:-1]
        self._shares = self._shape.by_feature(self._hidden * self._weights) + self._draws.share
        total = _cut(self._shares.sum(keepdims=True), VALUE_BITS) + given[-1:] + LOST
        # What is cut off is a number of fewer bits: shifted up again its sign is where it belongs.
        return float(floating(total << np.uint64(POINT_BITS - VALUE_BITS), POINT_BITS)[0])

    def told(self) -> Ring:
        """The own shares behind masks, and their tags: (2 · features,)."""
        tags = self._shape.by_feature(self._hidden * self._draws.tags) + self._draws.tag
        return np.concatenate([self._shares - self._draws.before, tags])

    def contributions(self, shuffled: Ring) -> IntArray:
        """All contributions (features,) in points, in the grid company's order, each at most a point off."""
        cut = self._shape.whole(shuffled, self._shape.features) + _points(self._draws.after)
        return (cut + LOST + np.uint64(MOST_POINTS)).astype(np.int64) % RANGE - MOST_POINTS

    def asked(self, places: Sequence[int]) -> Ring:
        """What to ask by for what stands at these places, `OPENED` of them, twice at one only where there are fewer."""
        self._asked = np.asarray(places, dtype=np.int64)
        return np.asarray((self._asked - self._draws.places) % self._shape.features, dtype=np.uint64)

    def opened(self, answered: Ring, dealt: Ring) -> list[int]:
        """What is said at the places that were asked for, in their order."""
        rows = self._shape.whole(answered, OPENED * self._shape.features).reshape(OPENED, -1)
        pads = self._shape.whole(dealt, OPENED)
        return [int(each) for each in rows[np.arange(OPENED), self._asked] - pads]


def _points(shares: Ring) -> Ring:
    """Shares cut off to whole points, modulo `RANGE`."""
    return _cut(shares, 0) % np.uint64(RANGE)


def _cut(shares: Ring, bits: int) -> Ring:
    """Shares cut off at so many bits after the point."""
    return np.asarray(shares >> np.uint64(POINT_BITS - bits))
