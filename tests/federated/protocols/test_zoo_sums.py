"""What nodes add up is what one table would give."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize
from zoo_world import network, pooled

from federated.errors import CorruptData, NoOverlap, SchemaMismatch, TrainingFailed
from federated.models.encoding.binning import Binning, merge_bins
from federated.models.encoding.categories import RawTable, merge_levels
from federated.models.encoding.sketch import sketch
from federated.models.learners.boosting import GrowSettings, TreeRows, grow
from federated.models.learners.convex import Basis, gradient_of, grams_of
from federated.models.learners.scorecard import weights_of_evidence
from federated.models.served.blend import BlendSums, best_weights
from federated.models.served.functions import function_of
from federated.protocols.core.messages import Content
from federated.protocols.core.session import side_of
from federated.protocols.open import apps
from federated.protocols.open.convex_learners import Additive, Scorecard, newton
from federated.protocols.open.evaluation import Evaluation
from federated.protocols.open.learners import BoostedTrees, Networks
from federated.protocols.open.run import train_zoo
from federated.protocols.open.session import LearnerSession, column_behind, with_column
from federated.protocols.open.settings import PAIR_TREES, ConvexSettings, NetworkSettings, TreeSettings, ZooSettings

RNG = np.random.default_rng(3)
PARTS = (slice(0, 100), slice(100, 130), slice(130, 400))
GROW = GrowSettings(3, 0.1, 1.0, 1.0, 9, 1.0)


def quiet(*_):
    return None


def session(rows=900, banks=3, grids=2, folds=1, spoil=lambda world: None, **changes):
    bank, grid, labels = pooled(rows)
    where = np.random.default_rng(5)
    world = {
        "bank": bank,
        "grid": grid,
        "labels": labels,
        "held_out": np.arange(rows) % 5 == 0,
        "bank_of": where.integers(0, banks, rows),
        "grid_of": where.integers(0, grids, rows) if grids else np.full(rows, -1),
    }
    spoil(world)
    return LearnerSession(
        network(**world), ZooSettings(folds=folds, bins=24, ramps=8, fine_below=0, **changes), quiet
    ), world


def tree_inputs(rows=400):
    values = RNG.normal(size=(rows, 4))
    values[RNG.random(values.shape) < 0.1] = np.nan
    binning, _ = merge_bins([sketch(values)], 16, 8, list("abcd"), "bank")
    residual, curvature = RNG.normal(size=(2, rows)), RNG.uniform(0.05, 0.25, (2, rows))
    return binning.codes(values), binning, residual, curvature


def grown(parts, residual, curvature, binning, settings=GROW, pairs=None):
    nodes = [TreeRows(codes, binning) for codes, _ in parts]
    for node, (_, rows) in zip(nodes, parts, strict=True):
        node.start(residual[:, rows], curvature[:, rows])

    def ask(level, trees):
        for node in nodes:
            if level:
                node.descend(level - 1, trees)
        return np.sum([node.histogram(level) for node in nodes], axis=0)

    p = binning.n_features
    pairs = np.ones((p, p), dtype=bool) if pairs is None else pairs
    return grow(ask, len(residual), binning.starts, settings, pairs, np.random.default_rng(0))


def test_trees_from_summed_histograms_are_those_of_pooled_rows():
    codes, binning, residual, curvature = tree_inputs()
    whole = grown([(codes, slice(None))], residual, curvature, binning)
    parts = grown([(codes[p], p) for p in PARTS], residual, curvature, binning)
    for name in ("feature", "cut", "missing_left"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))
    assert np.allclose(whole.value, parts.value, atol=1e-12)
    assert (whole.feature >= 0).sum() > 8


def test_a_leaf_is_the_ridge_newton_step_of_its_rows():
    codes, binning, residual, curvature = tree_inputs()
    tree = grown([(codes, slice(None))], residual, curvature, binning)
    leaves = tree.leaves(codes, binning.size - 1)
    for m in range(2):
        for leaf in np.unique(leaves[m]):
            rows = leaves[m] == leaf
            expected = 0.1 * residual[m, rows].sum() / (curvature[m, rows].sum() + 1.0)
            assert tree.value[m, leaf] == pytest.approx(expected, abs=1e-9)
    assert np.allclose(tree.predict(codes, binning.size - 1), sum(tree.value[m, leaves[m]] for m in range(2)))


def test_paths_of_pair_trees_use_only_allowed_pairs():
    codes, binning, residual, curvature = tree_inputs()
    pairs = np.eye(4, dtype=bool)
    pairs[0, 1] = pairs[1, 0] = True
    settings = GrowSettings(4, 0.1, 0.1, 0.5, 2, 1.0)
    tree = grown([(codes, slice(None))], residual, curvature, binning, settings, pairs)
    for m in range(2):
        for leaf in range(16):
            node, used = 15 + leaf, set()
            while node:
                node = (node - 1) // 2
                used.add(int(tree.feature[m, node]))
            assert used - {-1} <= {0, 1} or len(used - {-1}) == 1


def test_gradients_grams_and_blend_sums_add_up():
    values, residual = RNG.normal(size=(400, 4)), RNG.normal(size=(3, 400))
    binning, encoder = merge_bins([sketch(values)], 16, 6, list("abcd"), "bank")
    basis = Basis(encoder, binning.coarse(4), ((0, 2),))
    columns, curvature, folds = basis.columns(values), RNG.random(400), np.eye(2)[RNG.integers(0, 2, 400)].T
    gradients = [gradient_of(columns[p], residual[:, p]) for p in PARTS]
    grams = [grams_of(columns[p], curvature[p], folds[:, p]) for p in PARTS]
    assert np.allclose(sum(gradients), gradient_of(columns, residual), atol=1e-9)
    assert np.allclose(sum(grams), grams_of(columns, curvature, folds), rtol=1e-5, atol=1e-4)
    labels, logits, w = RNG.integers(0, 2, 400), RNG.normal(size=(2, 400)), np.array([0.4, 0.5, 0.1])
    parts = [BlendSums.of(w, logits[:, p], labels[p]) for p in PARTS]
    whole = BlendSums.of(w, logits, labels)
    assert np.allclose(sum(parts[1:], parts[0]).hessian, whole.hessian)
    assert np.allclose(sum(parts[1:], parts[0]).gradient, whole.gradient)


@pytest.mark.parametrize(("banks", "grids"), [(4, 0), (1, 1), (3, 2)])
def test_newton_across_any_network_reaches_the_pooled_optimum(banks, grids):
    found, world = session(banks=banks, grids=grids)
    bases = [Basis(side.encoder, side.binning.coarse(4), ((0, 1),)) for side in found.sides]
    rounds = 12 if not grids else 25
    betas, _ = newton(found, bases, (4.0,), rounds, None, "test")
    training = ~world["held_out"]
    sides = [world["bank"], world["grid"]][: len(bases)]
    columns = np.hstack([b.columns(v[training]) for b, v in zip(bases, sides, strict=True)]).astype(np.float64)
    penalty, labels = np.concatenate([b.penalty(4.0) for b in bases]), world["labels"][training]

    def loss(beta):
        z = columns @ beta
        gradient = columns.T @ (1 / (1 + np.exp(-z)) - labels) + penalty * beta
        return np.sum(np.logaddexp(0, z) - labels * z) + 0.5 * np.sum(penalty * beta**2), gradient

    best = scipy.optimize.minimize(loss, np.zeros(columns.shape[1]), jac=True, method="L-BFGS-B", tol=1e-14)
    ours = np.concatenate([b[0] for b in betas])
    assert loss(ours)[0] == pytest.approx(best.fun, rel=1e-6 if not grids else 2e-5)


def test_evidence_from_residual_sums_is_the_textbook_formula():
    bad, good = np.array([30.0, 5.0, 0.0]), np.array([70.0, 95.0, 0.0])
    rate = bad.sum() / (bad + good).sum()
    sums = np.stack([bad - (bad + good) * rate, (bad + good) * rate * (1 - rate)], axis=-1)[None]
    found = weights_of_evidence(sums, rate)[0]
    smooth = 20.0
    expected = np.log(((bad + smooth * rate) / (good + smooth * (1 - rate))) / (rate / (1 - rate)))
    assert np.allclose(found, expected)
    assert found[2] == 0.0


FEW_PAIR_TREES = replace(PAIR_TREES, max_rounds=3)
LEARNERS = {
    "scorecard": Scorecard,
    "additive": lambda: Additive(ConvexSettings((4.0,), 1, 4, 2, 3)),
    "trees": lambda: BoostedTrees(TreeSettings(GROW, 0.8, 4, 4, 3), "trees"),
    "trees level by level": lambda: BoostedTrees(TreeSettings(GROW, 0.8, 4, 4, 3, coarse=False), "trees"),
    "pair_trees": lambda: BoostedTrees(FEW_PAIR_TREES, "pair trees", {"bank": ((0, 1),), "grid": ((0, 1),)}),
    "networks": lambda: Networks(NetworkSettings(hidden=8, max_rounds=4, batch=128)),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_gains_from_grid_companies_that_serve_only_some_customers(name):
    def partly(world):
        world["grid_of"][::6] = -1

    found, world = session(folds=3, spoil=partly)
    functions = LEARNERS[name]().fit(found)
    found.keep("it", functions)
    alone, _ = session(grids=0, folds=3)
    alone.keep("it", LEARNERS[name]().fit(alone))
    joint, bank_only = (Evaluation(s).held_out(["it"], {"it": np.array([1.0, 0.0])})["it"] for s in (found, alone))
    assert joint.rows == bank_only.rows == 180
    assert joint.auc > bank_only.auc
    again = [function_of(f.to_arrays()) for f in functions]
    for old, new, values in zip(functions, again, (world["bank"], world["grid"]), strict=True):
        assert np.array_equal(old.member_logits(values), new.member_logits(values))


def test_the_blend_prefers_the_better_learner_and_stays_near_equal_on_few_rows():
    labels = RNG.integers(0, 2, 4_000)
    good, poor = (labels - 0.5) * 2 + RNG.normal(size=4_000), RNG.normal(size=4_000)
    many = best_weights(lambda w: BlendSums.of(w, np.array([good, poor]), labels), 2)
    few = best_weights(lambda w: BlendSums.of(w, np.array([good, poor])[:, :4], labels[:4]), 2)
    assert many[0] > 1.0
    assert 0.0 <= many[1] < 0.1
    assert np.allclose(few[:2], 0.5, atol=0.15)


def test_a_common_value_has_a_bin_of_its_own_and_missing_another():
    column = np.concatenate([np.full(300, -9.0), RNG.uniform(40, 90, 700)])[:, None]
    binning, _ = merge_bins([sketch(column)], 16, 8, ["x"], "bank")
    codes = binning.codes(np.array([[-9.0], [40.0], [math.nan], [1e9]]))[:, 0]
    assert codes[0] == 0
    assert codes[1] >= 1
    assert codes[2] == binning.size - 1
    assert codes[3] == len(binning.cuts[0])
    constant, _ = merge_bins([sketch(np.full((50, 1), 7.0))], 16, 8, ["x"], "bank")
    assert constant.size == 2
    assert Binning((np.arange(20.0),)).coarse(5).size == 6


def test_words_become_columns_from_counts_alone():
    words = np.array(["a"] * 30 + ["b"] * 20 + ["rare"] * 3 + [None] * 2, dtype=object)
    table = RawTable(("n", "w"), np.column_stack([np.arange(55.0), np.full(55, np.nan)]), {1: words})
    rows = np.ones(55, dtype=bool)
    found = merge_levels(table.columns, [table.level_counts(rows), table.level_counts(rows)])
    assert found.counts == {1: {"a": 60, "b": 40}}
    assert found.names == ("n", "w=b")
    expanded = found.expand(table)
    assert expanded[:, 1].tolist()[:31] == [0.0] * 30 + [1.0]
    assert np.isnan(expanded[53:, 1]).all()


def test_bad_networks_name_what_is_wrong():
    def one_class(world):
        world["labels"][:] = 0

    def strangers(world):
        first = np.arange(900) < 450
        world["bank_of"] = np.where(first, 0, -1)
        world["grid_of"] = np.where(first, -1, 0)

    with pytest.raises(CorruptData, match="one class only"):
        session(spoil=one_class)
    with pytest.raises(NoOverlap):
        session(spoil=strangers)
    cards = {f"bank-{b}": Content(config={"role": "bank", "columns": ["b0", "b1", "b2"][: 3 - b]}) for b in range(2)}
    with pytest.raises(SchemaMismatch, match="bank-1: columns differ from those of bank-0: b2"):
        side_of("bank", cards)


def test_a_sum_that_is_not_finite_names_node_and_column():
    bank, grid, labels = pooled(400)
    held_out = np.arange(400) % 5 == 0
    seats = network(bank, grid, labels, held_out, np.arange(400) % 2, np.zeros(400, dtype=int))
    session = LearnerSession(seats, ZooSettings(folds=2, bins=12, ramps=6), lambda *_: None)
    basis = Basis(session.banks.encoder, session.banks.binning.coarse(3), ((0, 2),))
    names = session.banks.categories.names
    owners = [column_behind(basis, k, names) for k in range(basis.width)]
    assert owners[0] == "(constant)"
    assert owners[1:].count("b1") == len(session.banks.encoder.edges[1])
    assert owners.count("b0 × b2") == basis.coarse.size**2
    spoilt = {"array": "gradient", "place": (1, owners.index("b2")), "node": "bank-1"}
    failure = TrainingFailed("bank-1 returned non-finite numbers in gradient", **spoilt)
    named = with_column(failure, session.banks, basis)
    assert named.detail.endswith("in gradient, column b2")
    assert named.context["column"] == "b2"
    spoilt = {"array": "histogram", "place": (0, 0, int(session.banks.binning.starts[1]), 0), "node": "bank-1"}
    assert with_column(TrainingFailed("x", **spoilt), session.banks, None).context["column"] == "b1"


def test_a_nan_gradient_stops_the_run_with_its_node(monkeypatch):
    bank, grid, labels = pooled(400)
    seats = network(bank, grid, labels, np.arange(400) % 5 == 0, np.arange(400) % 2, np.zeros(400, dtype=int))
    exact = apps.gradient_of

    def spoilt(columns, residual):
        found = exact(columns, residual)
        found[:, 3] = np.nan
        return found

    monkeypatch.setattr(apps, "gradient_of", spoilt)
    with pytest.raises(TrainingFailed, match="bank-0 returned non-finite numbers in gradient, column b0"):
        train_zoo(seats, ZooSettings(folds=2, bins=12, ramps=6), lambda *_: None, ("additive",))


def test_a_coarse_block_is_the_mean_of_what_the_nodes_grow():
    """Two banks with the same rows grow the same trees, so their mean is what one of them would grow alone."""
    bank, grid, labels = pooled(400)
    held_out = np.arange(400) % 5 == 0
    settings = ZooSettings(folds=2, repeats=(), bins=12, ramps=6)
    trees = TreeSettings(GROW, 0.8, 3, 2, 3)

    def fitted(copies):
        values, twice = np.tile(bank, (copies, 1)), np.tile(labels, copies)
        bank_of, nobody = np.repeat(np.arange(copies), 400), np.full(400 * copies, -1)
        seats = network(values, np.tile(grid, (copies, 1)), twice, np.tile(held_out, copies), bank_of, nobody)
        opened = LearnerSession(seats, settings, lambda *_: None)
        (function,) = BoostedTrees(trees, "trees").fit(opened)
        return function.member_logits(bank), opened.board.traffic.exchanges

    (alone, _), (both, exchanges) = fitted(1), fitted(2)
    assert np.allclose(alone, both, atol=1e-9)
    # Opening, levels, sketch, bins, start; two messages a block and bank; the last losses.
    assert exchanges == 2 * (6 + 2 * 2 + 1)
