"""Serving one customer at a time: the exported weights in numpy, as the API does, against the same network in torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from federated.consent.record import DataScope
from federated.models.encoding.binning import merge_bins
from federated.models.encoding.interactions import factored
from federated.models.encoding.principal import principal
from federated.models.encoding.ramps import FloatArray, RampEncoder
from federated.models.encoding.random_leaves import EXACT_DEPTH, RandomLeaves, interval_trees, joined, random_trees
from federated.models.encoding.sketch import sketch
from federated.models.learners.networks import PartyNetwork, initial_weights
from federated.models.served.functions import NetworkFunction
from federated.models.served.interacting import Components, Interactions
from federated.models.served.reasons import (
    POINT,
    RankedReason,
    Reason,
    sampled_contributions,
    strength_of,
    strongest,
    top_reasons,
)
from federated.models.served.scaling import score_of
from federated.models.served.scorer import BAND_RANKS, PartyScorer
from federated.nodes.schema import Feature, PartySchema
from federated.nodes.wording import reason_together
from federated.privacy.vertical.hidden_function import BankSide, GridSide, deal
from federated.privacy.vertical.hidden_weights import Factors, ServedWeights, Split, split
from federated.protocols.protected.candidate import scorer_of
from federated.protocols.protected.interacting import FACTORS
from federated.protocols.protected.settings import ProtectedSettings
from federated.serving.hidden.common import shape_of
from federated.serving.hidden.naming import filled, named_places, reason_said, said_of, together
from federated.serving.hidden.seals import PAIR, Link, fresh_nonce, query_hash

FEATURES, BINS, HIDDEN, MEMBERS = 13, 32, 64, 4
ROWS, ENOUGH = 5_000, 111


@dataclass(frozen=True, slots=True)
class ScoringSpeed:
    """Microseconds a row, medians, and torch's time over numpy's. `reasons_us` is the sampled Shapley attribution.

    `protected_us` is a score of the default, trained on shares, with exact reasons of both sides: all that bank, grid
    company and dealer reckon and seal, in one process and without their stores.
    """

    protected_us: float
    numpy_us: float
    torch_us: float
    reasons_us: float
    torch_over_numpy: float


def measure_scoring(queries: int = 2_000) -> ScoringSpeed:
    """Time `queries` single rows each way on one thread, on a network of the shape that training makes."""
    rng = np.random.default_rng(0)
    table = rng.standard_normal((ROWS, FEATURES))
    edges = tuple(np.quantile(column, np.linspace(0, 1, BINS + 1)) for column in table.T)
    encoder = RampEncoder(edges, np.median(table, axis=0))
    weights = initial_weights(encoder.width, HIDDEN, MEMBERS, bias=-1.0, seed=0)
    function, network = NetworkFunction(encoder, weights), PartyNetwork(weights)
    network.eval()
    rows = table[: min(queries, len(table))]

    def by_numpy(rows: FloatArray) -> FloatArray:
        return np.asarray(function.member_logits(rows).mean(axis=0))

    def by_torch(row: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
        with torch.inference_mode():
            network(torch.from_numpy(encoder.encode(row))).mean(dim=1)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        numpy_us = _median_us(rows, by_numpy)
        torch_us = _median_us(rows, by_torch)
        reasons_us = _median_us(rows[:100], lambda row: sampled_contributions(by_numpy, encoder.reference, row[0]))
    finally:
        torch.set_num_threads(threads)
    protected_us = _median_us(rows, protected_score(table))
    return ScoringSpeed(protected_us, numpy_us, torch_us, reasons_us, torch_us / numpy_us)


def protected_score(table: FloatArray) -> Callable[[FloatArray], object]:
    """A score with reasons by two functions of the shape that the default makes, one a side, both of the same columns.

    The grid company's is hidden: bank, grid company and dealer are three sides, and what they say is sealed. Their
    stores, in which consent is looked up and the query noted, are left out.
    """
    settings, names = ProtectedSettings(), [str(j) for j in range(table.shape[1])]
    rng = np.random.default_rng(1)
    binning, encoder = merge_bins([sketch(table)], 256, settings.ramps, names, "bank")
    quantiles = np.quantile(table, np.linspace(0.01, 0.99, 99), axis=0).T
    pairs = random_trees(binning, quantiles, settings.trees, EXACT_DEPTH, 0)
    basis = RandomLeaves(encoder, binning, joined(pairs, interval_trees(binning, settings.cells)))
    columns = basis.columns(table).astype(np.float64)
    precision = basis.precision(settings.cell_ridge, settings.leaf_ridge)
    few = principal(basis, columns.T @ columns, precision, settings.components, constant=False)
    bands = np.quantile(table, BAND_RANKS, axis=0).T
    own = scorer_of(few, rng.normal(size=few.width), bands)
    gamma = few.directions @ rng.normal(size=few.width)
    components = Components(basis, few.directions[:, : settings.interactions])
    p, q = factored(0.2 * rng.normal(size=(components.count,) * 2), FACTORS)
    between = Interactions(components.slim(), components, FACTORS), Factors(p, q)
    made = split(basis, gamma, encoder.reference, bands, ("bank", "dealer"), ("grid",), interactions=between)
    return HiddenScore(own, made, rng.bytes)


class HiddenScore:
    """All three sides of queries, one after the other."""

    def __init__(self, own: PartyScorer, made: Split, drawn: Callable[[int], bytes]) -> None:
        self._own, self._function, self._masked = own, made.function, made.masked["grid"]
        self._weights = ServedWeights.of(made.function, made.secret, "grid")
        assert self._weights.factors is not None
        assert made.function.interactions is not None
        self._factors, self._components = self._weights.factors, made.function.interactions.bank
        self._shape, self._keys = shape_of(made.function), [drawn(32) for _ in range(3)]
        features = tuple(Feature(str(j), str(j), "", "", "", "", "", "") for j in range(made.function.n_features))
        self._party = PartySchema("grid", "G", DataScope.ELECTRICITY, features)

    def __call__(self, row: FloatArray) -> object:
        """One customer's score and reasons."""
        values, shape = row[0], self._shape
        query = query_hash("query", fresh_nonce(), fresh_nonce(), self._function.function_id, explained=True)
        pair, with_bank, with_grid = (Link(key, query, PAIR) for key in self._keys)
        tapes = [each.tape for each in (with_grid, with_bank)]
        dealt = [with_.seal("dealt", numbers) for with_, numbers in zip(
            (with_grid, with_bank), deal(shape, self._weights.mask, *tapes, explained=True), strict=True
        )]  # fmt: skip
        grid_key, bank_key = with_grid.tape, with_bank.tape
        bank = BankSide(shape, bank_key, self._weights.weights)
        factors = pair.seal("factors", bank.begun(self._factors.ours @ self._components.of(values)))
        grid = GridSide(shape, grid_key, self._masked, with_grid.open("dealt", dealt[0]), explained=True)
        first = pair.seal("first", grid.first(self._function.entries(values), pair.open("factors", factors)))
        said = said_of(self._function, values)

        points = bank.points(pair.open("first", first))
        logit, contributions = self._own.explain(values)
        score = score_of(logit + self._weights.at_reference + POINT * points)
        ranked = [self._ranked(values, contributions, j) for j in strongest(contributions)]
        told = pair.seal("told", bank.told())
        shuffled = pair.seal("shuffled", grid.shuffled(pair.open("told", told)))
        theirs = bank.contributions(pair.open("shuffled", shuffled))
        strength = together(points, theirs, self._weights.together_at_reference / POINT)
        if strength is not None:
            ranked.append(RankedReason(reason_together(self._party, self._party), strength))
        named = named_places(theirs, ranked, "G")
        asked = pair.seal("asked", bank.asked(filled(named, len(theirs))))
        answered = pair.seal("answered", grid.answered(pair.open("asked", asked), said))
        opened = bank.opened(pair.open("answered", answered), with_bank.open("dealt", dealt[1]))
        for each, place in zip(opened, named, strict=False):
            reason = reason_said(each, self._party)
            if reason is not None:
                ranked.append(RankedReason(reason, strength_of(float(theirs[place]) * POINT)))
        return score, top_reasons(ranked)

    def _ranked(self, values: FloatArray, contributions: FloatArray, j: int) -> RankedReason:
        low, high = self._own.band(j, float(values[j]))
        return RankedReason(Reason(f"B{j}", f"{low} {high}", ""), strength_of(float(contributions[j])))


def _median_us(
    rows: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    call: Callable[[np.ndarray[tuple[int, int], np.dtype[np.float64]]], object],
) -> float:
    times = []
    for row in rows:
        one = row[None, :]
        started = time.perf_counter_ns()
        call(one)
        times.append(time.perf_counter_ns() - started)
    return float(np.median(times)) / 1_000
