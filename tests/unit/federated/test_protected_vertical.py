"""Training on shares is training on numbers, and what crosses is noise to whoever sees it."""

import numpy as np
import pytest
from federated.privacy.vertical.training import Wire, product, residual_shares, train

from federated.errors import AggregationFailed
from federated.privacy.attacks.label_inference import from_gradients, from_residuals, inferred
from federated.privacy.vertical import training
from federated.privacy.vertical.curve import Curve
from federated.privacy.vertical.dealer import Dealer
from federated.privacy.vertical.party import Party
from federated.privacy.vertical.ring import COLUMN_BITS, GRADIENT_BITS, RESIDUAL_BITS, fixed, floating
from simulations.benchmarks.vertical import measure_vertical
from simulations.worlds.credit_population import generate_population

RNG = np.random.default_rng(5)


def parties(rows=1_500, width=6):
    bank, grid = RNG.random((rows, width)), RNG.random((rows, width))
    bank[:, 0] = 1.0
    raw = 3 * bank[:, 1] - 2 * grid[:, 0] + 2 * grid[:, 1] - 2.5
    labels = (RNG.random(rows) < 1 / (1 + np.exp(-raw))).astype(float)
    return Party(bank, np.full(width, 0.1), labels), Party(grid, np.full(width, 0.1))


def test_shares_of_products_are_exact():
    a, b = (RNG.integers(0, 1 << 64, 500, dtype=np.uint64) for _ in range(2))
    of_bank, of_grid = product(a, b, Dealer(), Wire())
    assert np.array_equal(of_bank + of_grid, a * b)


def test_shares_of_residuals_and_gradients_are_those_of_plain_numbers():
    bank, grid = parties()
    bank.beta, grid.beta = 0.5 * RNG.normal(size=6), 0.5 * RNG.normal(size=6)
    curve = Curve.around(0.2)
    of_bank, of_grid = residual_shares(bank, grid, curve, Dealer(), Wire())
    residual = bank.labels - curve.of(bank.logits() + grid.logits())
    assert np.abs(floating(of_bank + of_grid, RESIDUAL_BITS) - residual).max() < 8e-3
    dealer = Dealer()
    hidden = grid.hidden_columns(dealer.columns("grid", grid.columns.shape))
    dealt, half = dealer.gradient("grid")
    found = grid.gradient(dealt, of_bank - half.mask, bank.owed(half, hidden), of_grid)
    exact = floating(fixed(grid.columns, COLUMN_BITS, 1.0).T @ (of_bank + of_grid), GRADIENT_BITS)
    assert np.array_equal(found, exact)
    # A logit has a resolution of 0.005; over 1,500 rows that adds up to a thousandth of a row each.
    assert np.abs(found - grid.columns.T @ residual).max() < 3.0


@pytest.mark.parametrize("rate", [0.05, 0.22, 0.5])
def test_the_cubic_is_near_the_logistic_function_where_customers_are(rate):
    curve = Curve.around(rate)
    z = curve.centre + np.linspace(-3, 3, 200)
    assert np.abs(curve.of(z) - 1 / (1 + np.exp(-z))).max() < 0.04


def test_training_ends_where_the_plain_gradient_is_zero():
    bank, grid = parties()
    run = train(bank, grid, 60)
    residual = bank.labels - Curve.around(bank.labels.mean()).of(bank.logits() + grid.logits())
    for party in (bank, grid):
        gradient = party.columns.T @ residual - party.ridge * party.beta
        assert np.abs(gradient).max() < 1.5
    assert run.exchanges == 4 + 60 * 2 * (3 * 4 + 2)
    assert run.last_step < 0.01


def test_whatever_crosses_looks_uniform(monkeypatch):
    crossed = []

    class Listening(Wire):
        def carry(self, *arrays):
            crossed.extend(np.asarray(a).ravel() for a in arrays)
            super().carry(*arrays)

    monkeypatch.setattr(training, "Wire", Listening)
    bank, grid = parties(rows=4_000)
    train(bank, grid, 1)
    long = [a for a in crossed if len(a) >= 4_000]
    assert len(long) > 20
    for values in long:
        counts = np.bincount((values >> np.uint64(61)).astype(int), minlength=8)
        expected = len(values) / 8
        # Chi-squared with 7 degrees of freedom: 31 is beyond its 99.99 % quantile.
        assert ((counts - expected) ** 2 / expected).sum() < 31


def test_residuals_in_clear_are_labels_and_gradients_say_little_more_than_the_own_function():
    bank, grid = parties(rows=4_000)
    train(bank, grid, 15)
    labels, own = bank.labels.astype(np.int64), grid.logits()
    p = 1 / (1 + np.exp(-(bank.logits() + own)))
    assert inferred(from_residuals(labels - p), labels, own).beyond == 1.0
    assert inferred(from_gradients(grid.columns, np.array(grid.seen)), labels, own).beyond < 0.55
    assert inferred(RNG.normal(size=4_000), labels, own).beyond == pytest.approx(0.5, abs=0.03)


def test_the_bench_finds_little_cost_and_little_leak_on_generated_firms():
    found = measure_vertical(generate_population(8_000, seed=2), seed=2024)
    assert found.data_origin == "generated"
    assert found.auc_cost < 0.003
    assert found.attack_on_residuals_beyond == 1.0
    assert found.attack_on_protected_beyond < 0.56


def test_what_does_not_fit_is_refused():
    bank, grid = parties(rows=50)
    with pytest.raises(AggregationFailed, match="over the same rows"):
        train(bank, Party(grid.columns[:40], grid.ridge), 1)
    with pytest.raises(AggregationFailed, match="one party with labels"):
        train(grid, bank, 1)
    with pytest.raises(AggregationFailed, match="not finite or beyond 1"):
        Party(np.full((5, 2), 1.5), np.ones(2))
    with pytest.raises(AggregationFailed, match="not finite"):
        Party(np.full((5, 2), np.nan), np.ones(2))
    with pytest.raises(AggregationFailed, match="rows do not fit the ring"):
        Party(np.zeros((40_000, 1)), np.ones(1))
