"""Groups beside each other: a flag needs a low ratio and more than chance."""

import pytest
from hand_made import manifest

from federated.governance.manifest import SegmentFigures
from federated.governance.monitoring.fairness import fairness


def group(name, rows, approved, defaults=0, approved_good=0, segment="size", probability=0.1):
    return SegmentFigures(segment, name, rows, defaults, approved, approved_good, probability, 0.1, 0.01, 0.7)


def test_a_group_is_compared_with_the_most_approved():
    small, medium = sorted(fairness(manifest().segments[:2]), key=lambda each: each.approval_rate)
    assert (small.group, small.benchmark, medium.benchmark) == ("small", "medium", "medium")
    assert small.impact_ratio == pytest.approx(330 / 480)
    assert medium.impact_ratio == 1.0
    assert small.opportunity_difference == pytest.approx(300 / 480 - 450 / 540)
    assert small.calibration_gap == pytest.approx(0.21 - 120 / 600)
    assert (small.auc, small.flagged, medium.flagged) == (0.76, True, False)


def test_the_p_value_is_the_pooled_two_proportion_test():
    # Worked by hand: pooled 0.55, spread 0.070356, z = 1.421338.
    one, _ = fairness([group("a", 100, 50), group("b", 100, 60)])
    assert one.p_value == pytest.approx(0.155218, abs=1e-6)


def test_a_low_ratio_by_chance_is_not_flagged_nor_is_a_sure_but_small_difference():
    low, _ = fairness([group("a", 30, 14), group("b", 30, 19)])
    assert low.impact_ratio < 0.8
    assert not low.flagged
    sure, _ = fairness([group("a", 100_000, 50_000), group("b", 100_000, 55_000)])
    assert sure.p_value < 1e-6
    assert not sure.flagged


def test_too_few_rows_are_not_measured_and_set_no_benchmark():
    tiny, other, third = fairness([group("a", 29, 29), group("b", 100, 50), group("c", 100, 40)])
    assert tiny.too_few
    assert (tiny.approval_rate, tiny.impact_ratio, tiny.calibration_gap, tiny.auc) == (None,) * 4
    assert other.benchmark == third.benchmark == "b"


def test_a_group_alone_has_nothing_to_be_compared_with():
    (alone,) = fairness([group("a", 100, 50)])
    assert alone.approval_rate == 0.5
    assert (alone.benchmark, alone.impact_ratio, alone.p_value, alone.flagged) == (None, None, None, False)


def test_nobody_approved_and_nobody_paid_are_missing_not_zero():
    first, second = fairness([group("a", 100, 0, defaults=100), group("b", 100, 0, defaults=100)])
    for each in (first, second):
        assert (each.impact_ratio, each.opportunity_difference, each.p_value) == (None, None, 1.0)
        assert not each.flagged


def test_segments_are_compared_within_themselves():
    rows = fairness(manifest().segments)
    assert [(r.segment, r.group) for r in rows] == [
        ("district", "gusu"),
        ("district", "sip"),
        ("size", "medium"),
        ("size", "small"),
    ]
    assert rows[1].benchmark is None
    assert fairness([]) == ()
