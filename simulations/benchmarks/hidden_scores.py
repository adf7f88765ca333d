"""What a grid company reads of a hidden function from queries, and what a bank reads of its columns: beside the same
numbers with one guard taken off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.errors import AggregationFailed
from federated.models.encoding.binning import merge_bins, merged_quantiles
from federated.models.encoding.interactions import factored
from federated.models.encoding.principal import principal
from federated.models.encoding.ramps import FloatArray
from federated.models.encoding.random_leaves import RandomLeaves, random_trees
from federated.models.encoding.sketch import sketch
from federated.models.served.interacting import Components, Interactions
from federated.models.served.scorer import BAND_RANKS
from federated.privacy.attacks.score_extraction import seen_r2
from federated.privacy.vertical.hidden_function import (
    ENTRY_BITS,
    POINT_BITS,
    WEIGHT_BITS,
    BankDraws,
    BankSide,
    GridDraws,
    GridSide,
    deal,
)
from federated.privacy.vertical.hidden_weights import Factors, ServedWeights, Split, split
from federated.privacy.vertical.ring import Ring, floating
from federated.protocols.protected.interacting import FACTORS
from federated.serving.hidden.common import shape_of

FEATURES, RAMPS, TREES, RANKS, COMPONENTS = 8, 16, 100, 32, 10
# Of how many customers factors are asked for, a query each.
ASKED = 300
GRID, BANKS = "grid-x", ("bank-a", "bank-b")
# Added to the share of feature j, j times: contributions come back shuffled, each with its number.
MARK = np.uint64(200 << 32)


@dataclass(frozen=True, slots=True)
class HiddenScores:
    """Of so many `queries` about made-up customers by a made-up function, each figure beside that without its guard.

    `contributions_read` is the R² of a contribution, the best of all, by what a grid company is told, beyond its
    own columns (`…_bare`: where the bank does not mask what it says). `column_read` is the R² of a column's entry by a
    bank that reckons with weights of its own (`…_bare`: of entries that the grid company does not mask), and
    `orders_read` the share of queries in which a bank that marks its shares finds which contribution is whose
    (`…_untagged`: without tags). `factors_read` is the R² of a column, the best of all, by factors of the grid
    company's components that a bank asks for one after the other, with made-up factors of its own columns (`…_all`: by
    as many factors as there are components).
    """

    data_origin: str
    queries: int
    contributions_read: float
    contributions_read_bare: float
    column_read: float
    column_read_bare: float
    orders_read: float
    orders_read_untagged: float
    factors_read: float
    factors_read_all: float


def measure_hidden_scores(queries: int, seed: int) -> HiddenScores:
    """Queries one after the other, each with keys of its own."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(queries, FEATURES))
    made, every = (_made(values, np.random.default_rng(seed), few) for few in (FACTORS, COMPONENTS))
    opened, opened_every = (_opened(one) for one in (made, every))
    asked: dict[int, list[FloatArray]] = {FACTORS: [], COMPONENTS: []}
    truth: list[FloatArray] = []
    rows, told, bare, read, read_bare = [], [], [], [], []
    found = found_untagged = 0
    for each in values:
        query = _Query(made, opened, rng)
        query.first(each)
        said = query.bank.told()[:FEATURES]
        for one, served in ((made, opened), (every, opened_every)) if len(truth) < ASKED else ():
            asked[one.function.factors].append(_factors_asked(one, served, each, rng))
        truth.append(query.contributions())
        rows.append(np.add.reduceat(query.entries, made.function.row.starts)[:FEATURES])
        told.append(floating(said + query.own_shares, POINT_BITS))
        bare.append(floating(said + query.draws.before + query.own_shares, POINT_BITS))
        read.append(query.read_entry(bare=False))
        read_bare.append(query.read_entry(bare=True))
        found += query.order_found(tagged=True)
        found_untagged += query.order_found(tagged=False)
    of, half = np.array(truth), queries // 2
    entry = np.array([row[0] for row in read])
    return HiddenScores(
        data_origin="generated",
        queries=queries,
        contributions_read=_best(np.hstack([rows, told]), of, np.array(rows), half),
        contributions_read_bare=_best(np.hstack([rows, bare]), of, np.array(rows), half),
        column_read=_r2(entry, [row[1] for row in read]),
        column_read_bare=_r2(entry, [row[1] for row in read_bare]),
        orders_read=found / queries,
        orders_read_untagged=found_untagged / queries,
        factors_read=_column_read(asked[FACTORS], values),
        factors_read_all=_column_read(asked[COMPONENTS], values),
    )


def _made(values: FloatArray, rng: np.random.Generator, factors: int) -> Split:
    """A made-up function of random columns and of `factors` sums of their first components."""
    names, sketches = [f"x{j}" for j in range(FEATURES)], [sketch(values)]
    binning, encoder = merge_bins(sketches, 64, RAMPS, names, "grid")
    quantiles = merged_quantiles(sketches, (np.arange(RANKS) + 0.5) / RANKS)
    basis = RandomLeaves(encoder, binning, random_trees(binning, quantiles, TREES, 2, 1))
    bands = merged_quantiles(sketches, BAND_RANKS)
    columns = basis.columns(values).astype(np.float64)
    few = principal(basis, columns.T @ columns, basis.precision(1.0, 1.0), (COMPONENTS, 0), constant=False)
    components = Components(basis, few.directions)
    between = (
        Interactions(components, components, factors),
        Factors(*factored(0.2 * rng.normal(size=(COMPONENTS,) * 2), factors)),
    )
    gamma = 0.2 * rng.normal(size=basis.width)
    return split(basis, gamma, encoder.reference, bands, BANKS, (GRID,), interactions=between)


def _opened(made: Split) -> ServedWeights:
    """What the bank keeps, opened once, as it is where it serves."""
    return ServedWeights.of(made.function, made.secret, GRID)


def _factors_asked(made: Split, served: ServedWeights, values: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Factors (factors,) of a customer's components, in points, each by a query in which a bank says that it alone is
    not 0 in its own columns."""
    count, told = made.function.factors, []
    for own in (np.zeros(count), *np.eye(count)):
        query = _Query(made, served, rng)
        query.first(values, own)
        told.append(query.points)
    return np.array(told[1:]) - told[0]


def _column_read(told: list[FloatArray], values: FloatArray) -> float:
    """R² of a column of `values` (rows, columns) by what was told of the first rows, the best of all columns."""
    asked = values[: len(told)]
    return max(0.0, *(seen_r2(np.array(told), column, len(told) // 2) for column in asked.T))


class _Query:
    """One query between the three in one place."""

    def __init__(self, made: Split, served: ServedWeights, rng: np.random.Generator) -> None:
        self._made, self._served, self._keys = made, served, (rng.bytes(32), rng.bytes(32))
        self._shape = shape_of(made.function)
        grid_key, bank_key = self._keys
        self.draws = BankDraws(self._shape, bank_key)
        dealt, _ = deal(self._shape, self._served.mask, grid_key, bank_key, explained=True)
        self.grid = GridSide(self._shape, grid_key, made.masked[GRID], dealt, explained=True)
        self.bank = BankSide(self._shape, bank_key, self._served.weights)

    def first(self, values: FloatArray, own: FloatArray | None = None) -> None:
        function = self._made.function
        self.entries = function.entries(values)
        told = self.bank.begun(np.zeros(function.factors) if own is None else own)
        self.said = self.grid.first(self.entries, told)
        self.points = self.bank.points(self.said)

    @property
    def own_shares(self) -> Ring:
        """What a grid company adds to the bank's shares of contributions."""
        return self.grid._shares

    def contributions(self) -> FloatArray:
        """Of every feature (features,), in points: nobody of the three has them by name."""
        weights = floating(self._served.weights, WEIGHT_BITS)
        return np.asarray(np.add.reduceat(self.entries * weights, self._shape.starts))[:FEATURES]

    def read_entry(self, *, bare: bool) -> tuple[float, float]:
        """The first feature's entry with most to say, and what a bank makes of it with weights that read it alone."""
        at = int(self._shape.starts[0])
        hidden = self.said[[at]]
        if bare:
            hidden = hidden + GridDraws(self._shape, self._keys[0]).mask[[at]]
        return float(self.entries[at]), float(floating(hidden, ENTRY_BITS)[0])

    def order_found(self, *, tagged: bool) -> int:
        """Whether marks on the bank's shares come back with its contributions."""
        marks, told = np.arange(FEATURES, dtype=np.uint64) * MARK, self.bank.told()
        told[:FEATURES] += marks
        draws = GridDraws(self._shape, self._keys[0])
        # The grid company's key of tags, which nobody else has, stands for a check that is not there.
        told[FEATURES:] += marks * (np.uint64(1) if tagged else draws.alpha)
        try:
            shuffled = self.bank.contributions(self.grid.shuffled(told))
        except AggregationFailed:
            return 0
        return int(np.array_equal((shuffled + 100) // 200, draws.order))


def _best(seen: FloatArray, truth: FloatArray, rows: FloatArray, half: int) -> float:
    """R² of what the own columns leave of a contribution, the best of all features."""
    design = np.column_stack([np.ones(len(rows)), rows])
    left = truth - design @ np.linalg.lstsq(design, truth, rcond=None)[0]
    return max(0.0, *(seen_r2(seen, left[:, j], half) for j in range(truth.shape[1])))


def _r2(truth: NDArray[np.float64], told: list[float]) -> float:
    return float(np.corrcoef(truth, told)[0, 1] ** 2)
