"""Which loans default on each path of a one-factor Gaussian copula, exactly.

Given the factor Z, loan i defaults independently with p_i = Φ((Φ⁻¹(pd_i) − a_i·Z) ÷ √(1 − a_i²)). A Bernoulli(p) is
the event that a Poisson count of mean −ln(1 − p) is not zero. So give each loan such a count: over a band of alike
loans the counts sum to one Poisson number, whose events fall on the band's loans uniformly and are thinned to each
loan's own mean (Lewis and Shedler 1979); a loan with any event left defaults. Nothing is approximated. 100,000
paths of 10,000 loans are some 10⁷ events in place of 10⁹ draws; measured, it takes about the time of drawing them all,
and hands on which loan defaulted, to be priced.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from financing.valuation.portfolio.loan_book import IntArray, LoanBook
from financing.valuation.price_models.series import FloatArray

# Alike enough that few events are thinned away, few enough that drawing their counts costs little.
BANDS = 128


@dataclass(frozen=True, eq=False)
class DefaultSampler:
    """Loans in bands: `order` (n,) of row numbers, `bounds` (bands + 1,), and scores u − v·Z in that order."""

    order: IntArray
    bounds: IntArray
    u: FloatArray
    v: FloatArray

    @classmethod
    def of(cls, book: LoanBook, bands: int = BANDS) -> DefaultSampler:
        rest = np.sqrt(1.0 - book.loading**2)
        u, v = scipy.special.ndtri(book.pd) / rest, book.loading / rest
        order = np.lexsort((u, v))
        bounds = np.unique(np.linspace(0, len(book), min(bands, len(book)) + 1).astype(np.int64))
        return cls(order.astype(np.int64), bounds, u[order], v[order])

    def drawn(self, credit: FloatArray, generator: np.random.Generator) -> tuple[IntArray, IntArray]:
        """Defaults on paths with factors `credit` (paths,): (path, row of the book), each pair once, by path."""
        starts, sizes = self.bounds[:-1], np.diff(self.bounds)
        # In a band nobody's score exceeds the largest u less the v that helps it most.
        u_max = np.maximum.reduceat(self.u, starts)
        v_low, v_high = np.minimum.reduceat(self.v, starts), np.maximum.reduceat(self.v, starts)
        z = credit[:, None]
        ceiling = _mean(u_max - np.where(z > 0, v_low, v_high) * z)
        counts = generator.poisson(ceiling * sizes)
        total = int(counts.sum())
        cell = np.repeat(np.arange(counts.size), counts.ravel())
        path, band = np.divmod(cell, len(sizes))
        # floor(U·size) reaches size itself only by rounding.
        place = starts[band] + np.minimum((generator.random(total) * sizes[band]).astype(np.int64), sizes[band] - 1)
        own = _mean(self.u[place] - self.v[place] * credit[path])
        kept = generator.random(total) * ceiling.ravel()[cell] < own
        # As `np.unique`, which keeps whole numbers in a table of hashes: sixty times as long as to sort them.
        pairs = np.sort(path[kept] * len(self.order) + place[kept])
        path, place = np.divmod(pairs[np.diff(pairs, prepend=-1) > 0], len(self.order))
        return path, self.order[place]


def _mean(score: FloatArray) -> FloatArray:
    """−ln(1 − Φ(score)), without cancellation."""
    return np.asarray(-scipy.special.log_ndtr(-score))
