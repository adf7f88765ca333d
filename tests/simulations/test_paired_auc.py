"""The paired AUC against counting every pair, and its error against drawing customers again."""

import numpy as np
import pytest

from simulations.experiments.credit_zoo.paired import paired_auc

RNG = np.random.default_rng(3)


def scored(rows=400):
    labels = (RNG.random(rows) < 0.25).astype(np.int64)
    signal = labels + RNG.normal(size=rows)
    return labels, np.round(signal + RNG.normal(size=rows), 1), np.round(signal + RNG.normal(size=rows), 1)


def counted(labels, scores):
    bad, good = scores[labels == 1][:, None], scores[labels == 0][None]
    return float(((bad > good) + 0.5 * (bad == good)).mean())


def test_both_aucs_count_every_pair_of_customers_and_ties_half():
    labels, ours, theirs = scored()
    found = paired_auc(labels, ours, theirs)
    assert (found.ours, found.theirs) == pytest.approx((counted(labels, ours), counted(labels, theirs)))
    assert found.difference == pytest.approx(found.ours - found.theirs)


def test_the_error_is_that_of_other_customers():
    labels, ours, theirs = scored()
    drawn = []
    for _ in range(400):
        rows = RNG.integers(0, len(labels), len(labels))
        again = paired_auc(labels[rows], ours[rows], theirs[rows])
        drawn.append(again.difference)
    assert paired_auc(labels, ours, theirs).standard_error == pytest.approx(np.std(drawn), rel=0.15)


def test_only_more_than_two_errors_count_as_a_difference():
    labels, ours, _ = scored()
    assert paired_auc(labels, ours, ours).sign == 0
    assert paired_auc(labels, ours, -ours).sign == 1
    assert paired_auc(labels, RNG.normal(size=len(labels)), ours).sign == -1
