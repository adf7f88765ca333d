import math

import numpy as np
import pytest
import torch
from flwr.serverapp.strategy import FedAvg, FedMedian
from sklearn.metrics import brier_score_loss, roc_auc_score, roc_curve

from federated.engines.in_process import InProcessGrid
from federated.errors import CorruptData, ModelCorrupt, TrainingFailed
from federated.models.encoding.binning import merge_bins
from federated.models.encoding.ramps import RampEncoder
from federated.models.encoding.sketch import sketch
from federated.models.learners.members import forward
from federated.models.learners.networks import (
    FitSettings,
    PartyNetwork,
    fit,
    initial_weights,
    logistic_loss,
    quadratic_loss,
)
from federated.models.served.functions import NetworkFunction, function_of
from federated.models.served.metrics import ScoreHistogram, metrics_of
from federated.models.served.reasons import (
    RankedReason,
    Reason,
    sampled_contributions,
    strength_of,
    strongest,
    top_reasons,
)
from federated.models.served.scaling import grade_of, probability_of, score_of
from federated.protocols.strategies.averaging import averaged

RNG = np.random.default_rng(7)


def party_model(features=5, seed=3):
    values = RNG.normal(size=(400, features))
    _, encoder = merge_bins([sketch(values)], 64, 12, [f"x{j}" for j in range(features)], "bank")
    weights = initial_weights(encoder.width, 8, 3, -1.0, seed)
    rng = np.random.default_rng(seed)
    weights["w2"] = rng.normal(size=weights["w2"].shape).astype(np.float32)
    return NetworkFunction(encoder, weights), values


def logits(function, values):
    return function.member_logits(values).mean(axis=0)


def contributions(function, row, seed=0, pairs=32):
    return sampled_contributions(lambda rows: logits(function, rows), function.encoder.reference, row, seed, pairs)


def test_ramps_by_hand():
    encoder = RampEncoder((np.array([0.0, 1.0, 3.0]),), np.array([1.0]))
    encoded = encoder.encode(np.array([[-1.0], [0.5], [2.0], [9.0], [math.nan]]))
    assert encoded.tolist() == [[0, 0, 0], [0.5, 0, 0], [1, 0.5, 0], [1, 1, 0], [0, 0, 1]]
    with pytest.raises(ValueError, match="expected"):
        encoder.encode(np.zeros((2, 3)))


def test_numpy_evaluates_the_network_that_torch_trained():
    model, values = party_model()
    encoded = model.encoder.encode(values)
    network = PartyNetwork(model.weights).eval()
    with torch.no_grad():
        expected = network(torch.from_numpy(encoded)).numpy()
    assert np.abs(forward(model.weights, encoded) - expected).max() < 1e-5
    assert np.allclose(logits(model, values), expected.mean(axis=1), atol=1e-5)
    assert all(np.array_equal(network.export()[name], w) for name, w in model.weights.items())


def test_a_function_survives_its_arrays_and_refuses_broken_ones():
    model, values = party_model()
    arrays = model.to_arrays()
    assert np.array_equal(logits(function_of(arrays), values), logits(model, values))
    with pytest.raises(ModelCorrupt):
        function_of({name: a for name, a in arrays.items() if name != "kind"})
    arrays["w/w1"] = arrays["w/w1"] * np.nan
    with pytest.raises(ModelCorrupt):
        function_of(arrays)


def test_merged_edges_are_those_of_the_pooled_rows_within_the_sketch_error():
    parts = [RNG.normal(loc, 1 + loc, size=n)[:, None] for loc, n in ((0.0, 3_000), (1.0, 500), (2.0, 1_500))]
    pooled = np.concatenate(parts)[:, 0]
    _, encoder = merge_bins([sketch(p) for p in parts], 64, 10, ["x"], "bank")
    ranks = np.searchsorted(np.sort(pooled), encoder.edges[0][1:-1]) / len(pooled)
    assert np.abs(ranks - np.linspace(0.1, 0.9, 9)).max() < 0.01


def test_a_column_nobody_observed_keeps_only_that_it_is_missing():
    seen = sketch(np.column_stack([RNG.normal(size=50), np.full(50, np.nan)]))
    binning, encoder = merge_bins([seen], 64, 8, ["a", "b"], "grid")
    assert (len(binning.cuts[1]), len(encoder.edges[1])) == (0, 1)


def test_metrics_are_sklearns():
    logits = RNG.normal(-1.2, 1.3, size=4_000)
    labels = (RNG.random(4_000) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    p = 1 / (1 + np.exp(-logits))
    found = metrics_of(logits, labels)
    false_rate, true_rate, _ = roc_curve(labels, p)
    assert found.auc == pytest.approx(roc_auc_score(labels, p), abs=1e-4)
    assert found.ks == pytest.approx(float(np.max(true_rate - false_rate)), abs=1e-3)
    assert found.brier == pytest.approx(brier_score_loss(labels, p), abs=1e-12)
    order = np.array_split(np.argsort(logits), 15)
    ece = sum(abs(labels[b].sum() - p[b].sum()) for b in order) / 4_000
    assert found.ece == pytest.approx(ece, abs=2e-3)


def test_banks_histograms_add_up_to_the_pooled_metrics():
    logits, labels = RNG.normal(size=900), RNG.integers(0, 2, 900)
    parts = [ScoreHistogram.of(logits[i::3], labels[i::3]) for i in range(3)]
    sent = [ScoreHistogram.from_cells(part.cells()) for part in parts]
    pooled, merged = metrics_of(logits, labels), (sent[0] + sent[1] + sent[2]).metrics()
    assert (merged.auc, merged.ks, merged.rows) == (pooled.auc, pooled.ks, pooled.rows)
    assert merged.brier == pytest.approx(pooled.brier)
    assert merged.ece == pytest.approx(pooled.ece)


def test_metrics_refuse_one_class_and_non_finite_logits():
    with pytest.raises(CorruptData):
        metrics_of(np.zeros(4), np.zeros(4, dtype=np.int64))
    with pytest.raises(CorruptData):
        metrics_of(np.array([math.nan, 0.0]), np.array([0, 1]))


def test_averaging_banks_is_the_pooled_weighted_mean():
    InProcessGrid({})
    parts = [{"w": RNG.normal(size=(4, 3)).astype(np.float32)} for _ in range(3)]
    rows = [100, 300, 50]
    stacked = np.concatenate([np.repeat(p["w"][None], n, axis=0) for p, n in zip(parts, rows, strict=True)])
    assert np.allclose(averaged(parts, rows, FedAvg())["w"], stacked.mean(axis=0), atol=1e-5)
    without = averaged([*parts, {"w": np.full((4, 3), np.nan, dtype=np.float32)}], [*rows, 0], FedAvg())
    assert np.allclose(without["w"], stacked.mean(axis=0), atol=1e-5)
    middle = averaged(parts, [1, 1, 1], FedMedian())["w"]
    assert np.allclose(middle, np.median([p["w"] for p in parts], axis=0))
    with pytest.raises(TrainingFailed):
        averaged(parts, [0, 0, 0], FedAvg())


def test_training_is_deterministic_and_learns():
    x = RNG.normal(size=(600, 6)).astype(np.float32)
    y = torch.from_numpy((x[:, 0] > 0).astype(np.float32))
    start = initial_weights(6, 8, 2, 0.0, 1)
    settings = FitSettings(epochs=8, learning_rate=0.01, weight_decay=0.0, dropout=0.1, batch=64, seed=5)
    fitted = [fit(start, torch.from_numpy(x), logistic_loss(torch.zeros(600, 2), y), settings) for _ in range(2)]
    assert all(np.array_equal(fitted[0][name], fitted[1][name]) for name in start)
    assert roc_auc_score(y.numpy(), forward(fitted[0], x).mean(axis=1)) > 0.95


def test_the_quadratic_loss_has_the_logistic_losss_gradient_at_its_start():
    start, y = torch.randn(50, 2), (torch.rand(50) < 0.4).float()
    rows = torch.arange(50)
    p = torch.sigmoid(start)
    gradients = []
    for loss in (
        logistic_loss(torch.zeros(50, 2), y),
        quadratic_loss(start, y[:, None] - p, p * (1 - p)),
    ):
        logits = start.clone().requires_grad_()
        loss(logits, rows).backward()
        gradients.append(logits.grad)
    assert torch.allclose(gradients[0], gradients[1], atol=1e-6)


def test_score_anchors():
    even = math.log(1 / 20)
    assert score_of(even) == 600
    assert score_of(even - math.log(2)) == 640
    assert score_of(-50.0) == 850
    assert score_of(50.0) == 300
    assert [grade_of(s) for s in (850, 660, 659, 600, 540, 480, 479, 300)] == ["A", "A", "B", "B", "C", "D", "E", "E"]
    assert probability_of(even) == pytest.approx(1 / 21)
    assert 0.0 <= probability_of(-1_000) < probability_of(1_000) <= 1.0


def test_contributions_sum_to_the_logit_and_name_the_feature_that_matters():
    model, values = party_model()
    for row in values[:5]:
        found = contributions(model, row, seed=1)
        ends = logits(model, np.stack([row, model.encoder.reference]))
        assert found.sum() == pytest.approx(ends[0] - ends[1], abs=1e-5)
        assert np.array_equal(found, contributions(model, row, seed=1))
    same = model.encoder.reference.copy()
    assert np.allclose(contributions(model, same), 0.0)
    same[2] = math.nan
    assert np.flatnonzero(np.abs(contributions(model, same)) > 1e-9).tolist() in ([2], [])


def test_sampled_contributions_are_the_exact_shapley_values():
    model, values = party_model(features=3)
    row, reference = values[0], model.encoder.reference

    def worth(members):
        return float(logits(model, np.where(np.isin(np.arange(3), members), row, reference)[None])[0])

    import itertools

    exact = np.zeros(3)
    for order in itertools.permutations(range(3)):
        for i, j in enumerate(order):
            exact[j] += (worth(list(order[: i + 1])) - worth(list(order[:i]))) / 6
    assert np.allclose(contributions(model, row, pairs=400), exact, atol=0.03)


def test_at_most_four_adverse_reasons_strongest_first():
    ranked = [RankedReason(Reason(f"B{i:02d}H", "", ""), c) for i, c in enumerate([2, 1, 6, 4, 8, 5, 1])]
    assert [r.code for r in top_reasons(ranked)] == ["B04H", "B02H", "B05H", "B03H"]
    assert top_reasons([]) == ()


def test_what_leaves_a_node_about_a_contribution_is_coarse():
    assert strongest(np.array([0.1, -0.5, 0.3, 0.2, 0.4, 0.25, 0.001])) == [4, 2, 5, 3]
    assert strongest(np.array([0.016, -1.0])) == []
    assert [strength_of(points * math.log(2) / 40) for points in (1, 5, 7, 8, 40)] == [1, 1, 1, 2, 8]
