"""Inner folds over several repeats: who is left out where, and what that makes of out-of-fold logits."""

import numpy as np
import pytest

from federated.models.encoding.binning import Binning
from federated.models.learners.boosting import TreeRows, Trees
from federated.models.learners.convex import NewtonSystems
from federated.protocols.core.rows import inner_folds, left_out, out_of_fold
from federated.protocols.open.settings import ZooSettings

RNG = np.random.default_rng(8)
LABELS = (RNG.random(203) < 0.2).astype(np.int64)
TRAINING = RNG.random(203) < 0.8
FOLDS, REPEATS = 5, 3
INNER = inner_folds(LABELS, TRAINING, FOLDS, REPEATS, 7)


def test_every_repeat_partitions_the_training_rows_by_class():
    for repeat in range(REPEATS):
        own = INNER[repeat]
        assert np.array_equal(own >= 0, TRAINING)
        assert set(own[TRAINING].tolist()) == set(range(repeat * FOLDS, (repeat + 1) * FOLDS))
        for label in (0, 1):
            counts = np.bincount(own[TRAINING & (label == LABELS)] - repeat * FOLDS, minlength=FOLDS)
            assert counts.max() - counts.min() <= 1
    assert not np.array_equal(INNER[0] % FOLDS, INNER[1] % FOLDS)
    assert np.array_equal(INNER[:1], inner_folds(LABELS, TRAINING, FOLDS, 1, 7))


def test_an_out_of_fold_logit_is_the_mean_of_the_members_that_did_not_fit_the_row():
    logits = RNG.normal(size=(FOLDS * REPEATS, 203))
    found = out_of_fold(logits, INNER)
    for row in np.flatnonzero(TRAINING)[:20]:
        assert found[row] == pytest.approx(np.mean([logits[INNER[r, row], row] for r in range(REPEATS)]))
    assert np.all(found[~TRAINING] == 0)
    one = out_of_fold(logits[:FOLDS], INNER)
    assert one[TRAINING] == pytest.approx(logits[INNER[0, TRAINING], np.flatnonzero(TRAINING)])
    assert left_out(INNER, np.arange(FOLDS * REPEATS))[:, TRAINING].sum(axis=0).tolist() == [REPEATS] * TRAINING.sum()


def test_few_rows_get_more_repeats_smaller_batches_and_fewer_pairs():
    settings = ZooSettings(repeats=((100, 4), (1_000, 2)))
    assert [settings.repeats_for(rows) for rows in (99, 100, 999, 1_000)] == [4, 2, 2, 1]
    assert ZooSettings(folds=1).repeats_for(10) == 1
    assert [settings.network_for(rows).batch for rows in (100, 8_000, 24_000)] == [32, 200, 512]
    assert [settings.convex_for(rows).pairs for rows in (100, 850, 24_000)] == [0, 2, 8]


def test_a_newton_system_of_repeats_leaves_out_its_own_fold_only():
    folds = RNG.normal(size=(4, 6, 3))
    gram = np.einsum("kri,krj->kij", folds, folds)
    # Two repeats of two folds each over the same rows: the second swaps a part of them.
    grams = np.array([gram[0] + gram[1], gram[2] + gram[3], gram[0] + gram[2], gram[1] + gram[3]])
    systems = NewtonSystems(grams, np.ones((1, 3)), repeats=2)
    gradient = RNG.normal(size=(4, 3))
    expected = [np.linalg.solve(gram.sum(axis=0) - own + np.eye(3), g) for own, g in zip(grams, gradient, strict=True)]
    assert np.allclose(systems.step(gradient, np.zeros((4, 3))), -np.array(expected))


def test_histograms_hold_only_the_bins_that_a_feature_has():
    binning = Binning((np.array([0.5]), np.arange(20.0), np.zeros(0)))
    values = np.array([[0.0, 3.5, 1.0], [1.0, np.nan, np.nan], [np.nan, -1.0, 2.0]])
    assert binning.starts.tolist() == [0, 3, 25, 27]
    rows = TreeRows(binning.codes(values), binning)
    rows.start(np.array([[1.0, 2.0, 4.0]]), np.array([[0.1, 0.2, 0.3]]))
    counted = rows.histogram(0)[0, 0, :, 0]
    assert np.flatnonzero(counted).tolist() == [0, 1, 2, 3, 7, 24, 25, 26]
    assert counted[[0, 1, 2, 3, 7, 24, 25, 26]].tolist() == [1, 2, 4, 4, 1, 2, 5, 2]
    trees = Trees(np.zeros((2, 1)), np.zeros((2, 1)), np.ones((2, 1), bool), np.arange(4.0).reshape(2, 2))
    assert trees.first(1).value.tolist() == [[0.0, 1.0]]
