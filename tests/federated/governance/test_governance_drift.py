"""The stability index says drift only when it is large and not chance."""

import math

import numpy as np
import pytest

from federated.governance.monitoring.drift import SHIFT, Drift, Verdict, drift, score_counts
from federated.models.served.scaling import GRADE_FLOORS, SCORE_BANDS, SCORE_MAX, SCORE_MIN

SHARES = np.array([0.5, 1, 4, 9, 14, 20, 21, 15, 9, 5, 1.5]) / 100
WORSE = np.array([3, 6, 12, 17, 18, 17, 13, 7, 4, 2, 1]) / 100


def drawn(rng, shares, rows, times):
    return rng.multinomial(rows, shares, size=times)


def test_every_score_is_in_one_band_and_bands_keep_grades_apart():
    counts = score_counts(range(SCORE_MIN, SCORE_MAX + 1))
    assert len(counts) == len(SCORE_BANDS) + 1
    assert sum(counts) == SCORE_MAX - SCORE_MIN + 1
    assert {floor for _, floor in GRADE_FLOORS} <= {SCORE_MIN, *SCORE_BANDS}


def test_scores_are_counted_at_the_edges():
    counts = score_counts([SCORE_MIN, 419, 420, 539, 540, SCORE_MAX])
    assert sum(counts) == 6
    assert (counts[0], counts[1], counts[4], counts[5], counts[-1]) == (2, 1, 1, 1, 1)
    assert score_counts([]) == (0,) * (len(SCORE_BANDS) + 1)


def test_the_index_is_the_text_books():
    got = drift([300, 500, 200], [200, 500, 300])
    p, q = np.array([300.5, 500.5, 200.5]) / 1001.5, np.array([200.5, 500.5, 300.5]) / 1001.5
    assert got.psi == pytest.approx(sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True)))
    assert got.psi == pytest.approx(drift([200, 500, 300], [300, 500, 200]).psi)


@pytest.mark.parametrize(("reference_rows", "rows"), [(6_000, 1_000), (1_500, 3_000), (20_000, 20_000)])
def test_without_change_p_values_are_uniform(reference_rows, rows):
    rng = np.random.default_rng(7)
    pairs = zip(drawn(rng, SHARES, reference_rows, 2_000), drawn(rng, SHARES, rows, 2_000), strict=True)
    found = np.sort([drift(a, b).p_value for a, b in pairs])
    # Kolmogorov's distance from the uniform law: 0.0364 is exceeded once in a hundred.
    assert np.abs(found - (np.arange(2_000) + 0.5) / 2_000).max() < 0.0364


def test_small_samples_raise_no_more_false_alarms_than_promised():
    rng = np.random.default_rng(8)
    pairs = list(zip(drawn(rng, SHARES, 1_000, 2_000), drawn(rng, SHARES, 120, 2_000), strict=True))
    found = [drift(a, b) for a, b in pairs]
    assert np.mean([each.psi > SHIFT for each in found]) > 0.02
    assert np.mean([each.significant for each in found]) < 0.015
    assert np.mean([each.verdict is Verdict.STABLE for each in found]) > 0.985


def test_a_worse_population_is_found():
    rng = np.random.default_rng(9)
    pairs = zip(drawn(rng, SHARES, 3_000, 500), drawn(rng, WORSE, 300, 500), strict=True)
    assert np.mean([drift(a, b).verdict is Verdict.DRIFTED for a, b in pairs]) > 0.99


def test_both_size_and_significance_are_asked_for():
    rows = np.array([1, 1, -1, -1]) * 0.01 + 0.25
    huge = drift([250_000] * 4, (rows * 1_000_000).astype(int))
    assert huge.significant
    assert huge.verdict is Verdict.STABLE
    assert drift([25, 25, 25, 25], [40, 10, 40, 10]).verdict is Verdict.DRIFTED
    assert drift([25, 25, 25, 24], [40, 10, 40, 10]).verdict is Verdict.TOO_FEW
    assert Drift(500, 500, 0.15, 0.001).verdict is Verdict.WATCH
    assert Drift(500, 500, 0.30, 0.02).verdict is Verdict.STABLE


def test_empty_bands_are_finite_and_nothing_is_no_drift():
    moved = drift([500, 500, 0, 0], [0, 0, 500, 500])
    assert math.isfinite(moved.psi)
    assert moved.verdict is Verdict.DRIFTED
    assert drift([500, 500, 0], [500, 500, 0]) == Drift(1_000, 1_000, 0.0, 1.0)
    for nothing in (drift([], []), drift([0, 0], [5, 5]), drift([200, 0], [300, 0])):
        assert (nothing.psi, nothing.p_value) == (0.0, 1.0)
    with pytest.raises(ValueError, match="different bands"):
        drift([1, 2], [1, 2, 3])
