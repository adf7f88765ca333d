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

Interactions. Of a version with products of both parties' columns the function is also Σ_r p_r·q_r, of factors q_r of
the grid company's columns with weights like the others, and factors p_r that the bank computes of its own. The bank
says p − α at first, the grid company g − γ of its shares g of factors, and with α·γ dealt on shares p·q is on shares.

Guarantee, where no two collude: what the grid company sees is uniform but for whether a tag was right, so it learns
nothing of weights, scores or reasons, not with the operator either where a third node deals; the dealer sees nothing.
The bank learns the function's value to 2⁻¹² of a point, all contributions to a point without their features, and four
features with their bands and, by where they stand, the contributions of these four. It learns no more if it sends what
it likes, but for the chance above, and a bank that reckons with other weights has numbers that say nothing. What it
says of its own columns nobody can hold it to: by other p_r than those it learns another combination of the factors,
which are few, with the value, in the one number that a query opens.
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
# Of a bank's factors, and how large one may be.
FACTOR_BITS, MOST_FACTOR = 16, 64.0
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
    """How many entries there are, and where those of each feature begin, then those of each of `factors` (starts,)."""

    def __init__(self, entries: int, starts: IntArray, factors: int = 0) -> None:
        self.entries, self.starts, self.factors = entries, starts, factors
        self.features = len(starts) - factors

    def summed(self, products: Ring) -> Ring:
        """Sums (features + factors,) of what stands for each entry."""
        return np.asarray(np.add.reduceat(products, self.starts))

    def by_feature(self, products: Ring) -> Ring:
        """Sums (features,) of what stands for each entry."""
        return self.summed(products)[: self.features]

    @property
    def dealt_factors(self) -> int:
        """How many numbers the grid company is told for factors: a share of each, and one of the product."""
        return self.factors + bool(self.factors)

    def whole(self, numbers: Ring, count: int) -> Ring:
        """These numbers. Raises `AggregationFailed` unless they are so many."""
        if numbers.shape != (count,):
            raise AggregationFailed(f"{numbers.size} numbers of a hidden function came where {count} were due")
        return numbers


class GridDraws:
    """What the grid company and the dealer draw: `mask` u, γ of factors, and for reasons the order σ, tags' keys, and
    pads."""

    def __init__(self, shape: Shape, key: bytes) -> None:
        d, n = shape.features, shape.entries
        drawn = Tape(key).draw(n + 1 + d + OPENED * d + shape.factors)
        self.mask, self.alpha = drawn[:n], drawn[n]
        # Numbers that are equal would stay in their order: two of 64 bits are so rarely.
        self.order: IntArray = np.argsort(drawn[n + 1 : n + 1 + d], kind="stable")
        self.pads = drawn[n + 1 + d : n + 1 + d + OPENED * d].reshape(OPENED, d)
        self.factors = drawn[n + 1 + d + OPENED * d :]


class BankDraws:
    """What the bank and the dealer draw: `share` s, α and shares of factors and of their product, and for reasons A, B,
    m and the places of random transfers."""

    def __init__(self, shape: Shape, key: bytes) -> None:
        d, n = shape.features, shape.entries
        drawn = Tape(key).draw(n + 4 * d + OPENED + 2 * shape.factors + 1)
        self.share, self.before, self.after, self.tag = drawn[: 4 * d].reshape(4, d)
        self.tags = drawn[4 * d : 4 * d + n]
        self.places: IntArray = (drawn[4 * d + n : 4 * d + n + OPENED] % np.uint64(d)).astype(np.int64)
        rest = drawn[4 * d + n + OPENED :]
        self.factors, self.factor_share, self.product = rest[: shape.factors], rest[shape.factors : -1], rest[-1:]


def deal(shape: Shape, mask: Ring, grid_key: bytes, bank_key: bytes, *, explained: bool) -> tuple[Ring, Ring]:
    """As the dealer, who knows V (`mask`): what the grid company is told, and the bank."""
    grid, bank = GridDraws(shape, grid_key), BankDraws(shape, bank_key)
    t = shape.summed(grid.mask * mask) - np.concatenate([bank.share, bank.factor_share])
    t, factors = t[: shape.features], t[shape.features :]
    if shape.factors:
        factors = np.concatenate([factors, (bank.factors * grid.factors).sum(keepdims=True) - bank.product])
    if not explained:
        return np.concatenate([t.sum(keepdims=True), factors]), np.zeros(0, dtype=np.uint64)
    delta = bank.before[grid.order] - bank.after
    beta = bank.tags - grid.alpha * mask
    beta_each = bank.tag - grid.alpha * (bank.share - bank.before)
    return np.concatenate([t, delta, beta_each, beta, factors]), grid.pads[np.arange(OPENED), bank.places]


class GridSide:
    """The grid company in one query: `first`, and for reasons `shuffled` and `answered`, each once."""

    def __init__(self, shape: Shape, key: bytes, weights: Ring, dealt: Ring, *, explained: bool) -> None:
        own = 3 * shape.features + shape.entries if explained else 1
        self._dealt, self._factors = np.split(shape.whole(dealt, own + shape.dealt_factors), [own])
        self._shape, self._weights, self._draws = shape, shape.whole(weights, shape.entries), GridDraws(shape, key)
        self._explained = explained

    def first(self, entries: FloatArray, told: Ring | None = None) -> Ring:
        """From e(x), and what the bank says of its factors (factors,): E (entries,), the own shares of factors behind
        masks, and, last, the sum of the own shares."""
        said = self._shape.whole(np.zeros(0, dtype=np.uint64) if told is None else told, self._shape.factors)
        self._hidden = fixed(entries, ENTRY_BITS, 1.0) - self._draws.mask
        shares = self._shape.summed(self._draws.mask * self._weights)
        self._shares, factors = shares[: self._shape.features], shares[self._shape.features :]
        if self._explained:
            self._shares = self._shares + self._dealt[: self._shape.features]
        else:
            self._shares = self._shares.sum(keepdims=True) + self._dealt
        total = self._shares.sum(keepdims=True) << np.uint64(FACTOR_BITS)
        if self._shape.factors:
            factors = factors + self._factors[:-1]
            total = total + (said * factors).sum(keepdims=True) + self._factors[-1:]
        return np.concatenate([self._hidden, factors - self._draws.factors, _value(total)])

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

    def begun(self, factors: FloatArray) -> Ring:
        """What is said of the own factors (factors,) before anything is opened. Raises `AggregationFailed` for one that
        is beyond `MOST_FACTOR`."""
        self._factors = self._shape.whole(fixed(factors, FACTOR_BITS, MOST_FACTOR), self._shape.factors)
        return np.asarray(self._factors - self._draws.factors)

    def points(self, first: Ring) -> float:
        """From what the grid company says first: by how many points of logit the customer is above the reference."""
        n = self._shape.entries
        given = self._shape.whole(first, n + self._shape.factors + 1)
        self._hidden = given[:n]
        shares = self._shape.summed(self._hidden * self._weights)
        self._shares = shares[: self._shape.features] + self._draws.share
        total = self._shares.sum(keepdims=True) << np.uint64(FACTOR_BITS)
        if self._shape.factors:
            own = self._factors * (shares[self._shape.features :] + self._draws.factor_share)
            total = total + (own + self._draws.factors * given[n:-1]).sum(keepdims=True) + self._draws.product
        total = _value(total) + given[-1:] + LOST
        # What is cut off is a number of fewer bits: shifted up again its sign is where it belongs.
        whole = POINT_BITS + FACTOR_BITS
        return float(floating(total << np.uint64(whole - VALUE_BITS), whole)[0])

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


def _value(shares: Ring) -> Ring:
    """Shares of a function's value, with the bits of a point and of a factor, cut off at `VALUE_BITS`."""
    return _cut(shares, VALUE_BITS - FACTOR_BITS)


def _points(shares: Ring) -> Ring:
    """Shares cut off to whole points, modulo `RANGE`."""
    return _cut(shares, 0) % np.uint64(RANGE)


def _cut(shares: Ring, bits: int) -> Ring:
    """Shares cut off at so many bits after the point."""
    return np.asarray(shares >> np.uint64(POINT_BITS - bits))
