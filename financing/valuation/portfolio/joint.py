"""Joint Monte Carlo of prices, yield and defaults over a book of loans: what is lost within the horizon.

On each path one credit factor, a price of each class and the year's yield are drawn together. A price's log return is
the jump-diffusion's over horizon + time to sell; given its number of jumps it is normal, and these normal scores are
correlated between classes and with the credit factor (wrong-way risk), so every class keeps its own distribution
exactly. Loans default as in `default_sampling`. A default loses what its collateral's sale, discounted over the time to
sell, leaves uncovered, less the unsecured recovery, and at least `lgd_min` of the exposure:

    loss = max(lgd_min · E, (1 − r_u) · max(0, E − q · P · e^R · yield · (1 − d_sale) · e^{−r·T_sale}))

Collateral stands as it stood at the start: no margin call is assumed to be met, which is prudent.

Paths are drawn in stripes of 1,000, each from a random stream of its own (seed, number of the stripe): how many stripes
are worked on together, or by how many threads, changes no figure.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from financing.base.errors import RiskInputInvalid
from financing.valuation.portfolio.default_sampling import DefaultSampler
from financing.valuation.portfolio.loan_book import Dependence, IntArray, LoanBook
from financing.valuation.price_models.series import TRADING_DAYS, FloatArray

STRIPE = 1_000
NAMES = 10


@dataclass(frozen=True, eq=False)
class PortfolioLosses:
    """Losses in fen: `by_class` (paths, classes), `by_loan` mean (n,), `by_name` (paths, names) of the largest `names`.

    `credit` and `prices` are the drawn factor (paths,) and price ratios (paths, classes) behind them.
    """

    by_class: FloatArray
    by_loan: FloatArray
    names: IntArray
    by_name: FloatArray
    credit: FloatArray
    prices: FloatArray

    @property
    def total(self) -> FloatArray:
        """Loss of each path (paths,)."""
        return np.asarray(self.by_class.sum(axis=1))


@dataclass(frozen=True, eq=False)
class _Stripe:
    by_class: FloatArray
    by_loan: FloatArray
    by_name: FloatArray
    credit: FloatArray
    prices: FloatArray


@dataclass(frozen=True, eq=False)
class _Plan:
    """What every stripe needs, computed once."""

    book: LoanBook
    dependence: Dependence
    sampler: DefaultSampler
    factor: FloatArray
    names: IntArray
    slot: IntArray
    seed: int
    paths: int


def simulate(
    book: LoanBook, dependence: Dependence, paths: int, seed: int, *, workers: int = 2, chunk: int = 8
) -> PortfolioLosses:
    """Draw `paths` years of `book`. `chunk` stripes are handed to a thread at a time; neither it nor `workers` changes
    the result. Memory is the losses, 8 bytes for each path × (2·classes + names + 1), and the stripes in work.

    Raises `RiskInputInvalid`.
    """
    if paths < 1 or workers < 1 or chunk < 1 or seed < 0:
        raise RiskInputInvalid("paths, workers and chunk are at least one, the seed not negative", paths=paths)
    names = np.argsort(-book.exposure, kind="stable")[:NAMES].astype(np.int64)
    slot = np.full(len(book), -1, dtype=np.int64)
    slot[names] = np.arange(len(names))
    factor = dependence.factor(len(book.classes))
    plan = _Plan(book, dependence, DefaultSampler.of(book), factor, names, slot, seed, paths)
    stripes = range(-(-paths // STRIPE))

    def work(first: int) -> list[_Stripe]:
        return [_stripe(plan, number) for number in stripes[first : first + chunk]]

    with ThreadPoolExecutor(workers) as pool:
        parts = [part for group in pool.map(work, stripes[::chunk]) for part in group]
    return PortfolioLosses(
        by_class=np.concatenate([part.by_class for part in parts]),
        by_loan=np.sum([part.by_loan for part in parts], axis=0) / paths,
        names=names,
        by_name=np.concatenate([part.by_name for part in parts]),
        credit=np.concatenate([part.credit for part in parts]),
        prices=np.concatenate([part.prices for part in parts]),
    )


def _stripe(plan: _Plan, number: int) -> _Stripe:
    book, classes = plan.book, plan.book.classes
    paths = min(STRIPE, plan.paths - number * STRIPE)
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(plan.seed, spawn_key=(number,))))
    # A stripe that is cut short draws whole, so that more paths begin with the same ones.
    scores = generator.standard_normal((STRIPE, len(classes) + 1)) @ plan.factor.T
    credit = scores[:, 0]
    prices = _price_ratios(plan, scores[:, 1:], generator)
    clear = np.exp(plan.dependence.yield_sd * generator.standard_normal(STRIPE) - plan.dependence.yield_sd**2 / 2)
    path, row = plan.sampler.drawn(credit, generator)
    if paths < STRIPE:
        path, row = path[path < paths], row[path < paths]
    kind = book.class_index[row]
    lost = _losses(plan, _per_kilogram(plan, prices, clear)[path, kind], row)
    place = plan.slot[row]
    named = place >= 0
    width = len(plan.names)
    return _Stripe(
        by_class=_summed(path * len(classes) + kind, lost, paths, len(classes)),
        by_loan=_summed(row, lost, 1, len(book))[0],
        by_name=_summed(path[named] * width + place[named], lost[named], paths, width),
        credit=credit[:paths],
        prices=prices[:paths],
    )


def _price_ratios(plan: _Plan, scores: FloatArray, generator: np.random.Generator) -> FloatArray:
    ratios = np.empty_like(scores)
    for column, each in enumerate(plan.book.classes):
        years = (plan.dependence.horizon_days + each.sale_days) / TRADING_DAYS
        model = each.model
        jumps = generator.poisson(model.jump_rate * years, len(scores))
        drift = (model.drift - model.sigma**2 / 2 - model.compensator) * years
        spread = np.sqrt(model.sigma**2 * years + jumps * model.jump_sd**2)
        ratios[:, column] = np.exp(drift + jumps * model.jump_mean + spread * scores[:, column])
    return ratios


def _per_kilogram(plan: _Plan, prices: FloatArray, clear: FloatArray) -> FloatArray:
    """What a kilogram of each class brings, fen of today's worth (paths, classes)."""
    brought = np.empty_like(prices)
    for column, each in enumerate(plan.book.classes):
        kept = float(each.sale_discount.complement().fraction()) * each.price.amount / 1000.0
        later = np.exp(-float(plan.dependence.discount.fraction()) * each.sale_days / TRADING_DAYS)
        brought[:, column] = prices[:, column] * kept * later
        if each.to_generate:
            brought[:, column] *= clear
    return brought


def _losses(plan: _Plan, per_kilogram: FloatArray, row: IntArray) -> FloatArray:
    exposure = plan.book.exposure[row].astype(np.float64)
    uncovered = np.maximum(exposure - per_kilogram * plan.book.collateral[row], 0.0)
    lost = uncovered * float(plan.dependence.unsecured_recovery.complement().fraction())
    return np.maximum(lost, exposure * float(plan.dependence.lgd_min.fraction()))


def _summed(cell: IntArray, lost: FloatArray, paths: int, width: int) -> FloatArray:
    return np.asarray(np.bincount(cell, lost, paths * width).reshape(paths, width), dtype=np.float64)
