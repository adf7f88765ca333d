"""FedProx: μ reaches what nodes minimise, holds them near the averaged weights, and is FedAvg where it is 0."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_network import SMALL
from zoo_world import network, pooled

from federated.errors import TrainingFailed
from federated.models.learners.networks import FitSettings, PartyNetwork, fit, initial_weights, logistic_loss
from federated.protocols.open.learners import Networks
from federated.protocols.open.session import LearnerSession
from federated.protocols.strategies.fedprox import FedProx
from federated.protocols.strategies.named import strategy_named

ROWS = 400
RNG = np.random.default_rng(11)
START = initial_weights(6, 8, 2, -1.0, 3)
X = torch.from_numpy(RNG.normal(size=(ROWS, 6)).astype(np.float32))
Y = (X[:, 0] > 0).float()


def trained(penalty):
    settings = FitSettings(epochs=6, learning_rate=0.01, weight_decay=0.0, dropout=0.1, batch=64, seed=5)
    return fit(START, X, logistic_loss(torch.zeros(ROWS, 2), Y), settings, penalty)


def moved(weights):
    return np.sqrt(sum(((weights[name] - START[name]) ** 2).sum() for name in START))


def test_the_penalty_is_half_mu_times_the_squared_distance():
    distance = FedProx(0.3).penalty({name: weight + 0.5 for name, weight in START.items()})
    size = sum(weight.size for weight in START.values())
    assert float(distance(PartyNetwork(START)).detach()) == pytest.approx(0.5 * 0.3 * 0.25 * size, rel=1e-4)


def test_a_larger_mu_keeps_a_node_nearer_to_what_it_was_sent():
    distances = [moved(trained(FedProx(mu).penalty(START))) for mu in (0.0, 0.1, 1.0, 100.0)]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.25 * distances[0]


def test_without_weight_it_is_fedavg_bit_for_bit():
    plain, held = trained(None), trained(FedProx(0.0).penalty(START))
    assert all(np.array_equal(plain[name], held[name]) for name in START)


def functions(strategy):
    """Networks of two banks and a grid company, whose customers differ by bank, after two rounds."""
    bank, grid, labels = pooled(ROWS)
    bank_of = (bank[:, 0] > 0).astype(int)
    held_out = np.arange(ROWS) % 5 == 0
    seats = network(bank, grid, labels, held_out, bank_of, np.zeros(ROWS, dtype=int))
    settings = replace(SMALL.network, max_rounds=2, epochs=6, learning_rate=0.02, patience=9, strategy=strategy)
    fitted = Networks(settings).fit(LearnerSession(seats, SMALL, lambda *_: None))
    return [function.member_logits(values) for function, values in zip(fitted, (bank, grid), strict=True)]


def test_the_strategy_of_a_run_reaches_both_kinds_of_node():
    plain = functions("fedavg")
    assert all(np.array_equal(a, b) for a, b in zip(plain, functions("fedprox:0"), strict=True))
    held = functions("fedprox:10")
    for free, near in zip(plain, held, strict=True):
        assert near.std() < 0.7 * free.std()


def test_only_a_distance_that_can_be_weighed_is_taken():
    assert strategy_named("fedprox") == FedProx(0.01)
    assert strategy_named("fedprox:0.25") == FedProx(0.25)
    for text in ("fedprox:-1", "fedprox:nan", "fedprox:inf", "fedprox:1,2"):
        with pytest.raises(TrainingFailed, match="no strategy is"):
            strategy_named(text)
