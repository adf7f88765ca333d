"""The attacks find what is there to be found, and claim nothing where there is nothing."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from federated.privacy.attacks.canaries import audited, direction, gaussian_epsilon
from federated.privacy.attacks.membership import attacked, confidence, likelihood_ratios
from federated.privacy.differential.accountant import Release, epsilon_of


def world(shift, models=40, rows=300, seed=0):
    rng = np.random.default_rng(seed)
    member = rng.random((models, rows)) < 0.5
    seen = rng.normal(size=rows) * 5 + rng.normal(size=(models, rows)) + shift * member
    return seen, member


def test_members_that_are_remembered_are_found():
    seen, member = world(1.5)
    ratios = likelihood_ratios(seen, member)
    found = attacked(ratios, member)
    # Two unit normals 1.5 apart: AUC Φ(1.5/√2) = 0.856.
    assert found.auc == pytest.approx(0.856, abs=0.02)
    assert found.auc == pytest.approx(np.mean([roc_auc_score(m, r) for r, m in zip(ratios, member, strict=True)]))
    assert found.tpr_at_1_percent > 0.1
    assert found.tpr_at_1_percent > found.tpr_at_01_percent > 0.0
    assert attacked(ratios, member, np.arange(50)).records == 50


def test_where_nothing_is_remembered_the_attack_is_a_coin():
    seen, member = world(0.0)
    found = attacked(likelihood_ratios(seen, member), member)
    assert abs(found.auc - 0.5) < 4 * found.auc_error
    assert found.tpr_at_1_percent < 0.02


def test_the_target_is_no_shadow_of_its_own():
    seen, member = world(1.5)
    ratios = likelihood_ratios(seen, member)
    other = np.ones(len(seen), dtype=bool)
    other[7] = False
    inside = np.array([seen[other & member[:, j], j].mean() for j in range(5)])
    outside = np.array([seen[other & ~member[:, j], j].mean() for j in range(5)])
    gap = (seen[7, :5] - outside) ** 2 - (seen[7, :5] - inside) ** 2
    assert np.all(np.sign(gap) == np.sign(ratios[7, :5]))


def test_confidence_is_towards_the_true_label():
    assert confidence(np.array([2.0, 2.0]), np.array([1, 0])).tolist() == [2.0, -2.0]


@pytest.mark.parametrize("multiplier", [1.0, 2.0])
def test_an_audit_of_a_gaussian_stays_below_what_is_true_and_comes_near(multiplier):
    rng = np.random.default_rng(3)
    inside, outside = rng.normal(size=(2, 20_000))
    found = audited(inside + 1 / multiplier, outside, 1e-5)
    true = gaussian_epsilon(1 / multiplier, 1e-5)
    assert 0.8 * true < found.gaussian <= true <= epsilon_of([Release(multiplier)], 1e-5)
    assert 0.0 < found.epsilon <= true


def test_an_audit_of_nothing_finds_nothing_and_of_everything_much():
    rng = np.random.default_rng(5)
    same = audited(*rng.normal(size=(2, 2_000)), 1e-5)
    assert same.epsilon < 0.2
    apart = audited(rng.normal(size=2_000) + 50, rng.normal(size=2_000), 1e-5)
    assert apart.epsilon > 5
    assert gaussian_epsilon(0.0, 1e-5) == 0.0


def test_fishers_direction_tells_two_clouds_apart():
    rng = np.random.default_rng(6)
    shift = np.array([1.0, 0.0, -1.0])
    inside, outside = rng.normal(size=(400, 3)) + shift, rng.normal(size=(400, 3))
    along = direction(inside, outside)
    assert np.dot(along, shift) / np.linalg.norm(along) / np.linalg.norm(shift) > 0.9
