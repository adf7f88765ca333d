"""Fairness by segment, from a version's held-out counts: who is approved, who of those that pay, and at which risk.

A group's approval rate below four fifths of the highest group's is the US rule of thumb for adverse impact; the same
paragraph says that small numbers that are not statistically significant are no evidence (29 CFR 1607.4(D), written for
hiring, used by analogy for lending). So a flag needs both. P-values are of one comparison each and not corrected for
the number of groups. Equal opportunity compares approvals among those that
paid (Hardt, Price and Srebro, "Equality of opportunity in supervised learning", NeurIPS 2016).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter

from federated.governance.manifest import SegmentFigures

FOUR_FIFTHS = 0.8
SIGNIFICANCE = 0.05
ROWS_MIN = 30


@dataclass(frozen=True, slots=True)
class GroupFairness:
    """One group beside the one of its segment with the highest approval rate, its `benchmark`.

    Shares and differences are 0–1, this group's minus the benchmark's. None means not measured: the group has fewer
    than `ROWS_MIN` rows (`too_few`), its segment has no benchmark, or nobody in it paid. `calibration_gap` is mean
    probability minus default rate: above zero, the group is thought riskier than it was. `flagged`: the ratio is under
    four fifths and the difference is more than chance.
    """

    segment: str
    group: str
    rows: int
    too_few: bool = False
    benchmark: str | None = None
    approval_rate: float | None = None
    impact_ratio: float | None = None
    p_value: float | None = None
    opportunity_difference: float | None = None
    calibration_gap: float | None = None
    auc: float | None = None
    flagged: bool = False


def fairness(segments: Iterable[SegmentFigures]) -> tuple[GroupFairness, ...]:
    """Every group of every segment, in order of segment and group."""
    ordered = sorted(segments, key=attrgetter("segment", "group"))
    return tuple(row for _, groups in groupby(ordered, key=attrgetter("segment")) for row in _segment(tuple(groups)))


def _segment(groups: Sequence[SegmentFigures]) -> list[GroupFairness]:
    measured = [each for each in groups if each.rows >= ROWS_MIN]
    # A segment with one measured group has nothing to be compared with.
    best = max(measured, key=_approval_rate) if len(measured) > 1 else None
    return [_group(each, best) for each in groups]


def _group(of: SegmentFigures, best: SegmentFigures | None) -> GroupFairness:
    if of.rows < ROWS_MIN:
        return GroupFairness(of.segment, of.group, of.rows, too_few=True)
    own = GroupFairness(
        of.segment,
        of.group,
        of.rows,
        approval_rate=_approval_rate(of),
        calibration_gap=of.mean_probability - of.defaults / of.rows,
        auc=of.auc,
    )
    return own if best is None else _compared(own, of, best)


def _compared(own: GroupFairness, of: SegmentFigures, best: SegmentFigures) -> GroupFairness:
    highest, here, there = _approval_rate(best), _opportunity(of), _opportunity(best)
    ratio = _approval_rate(of) / highest if highest else None
    p_value = _two_proportions(of.approved, of.rows, best.approved, best.rows)
    return replace(
        own,
        benchmark=best.group,
        impact_ratio=ratio,
        p_value=p_value,
        opportunity_difference=here - there if here is not None and there is not None else None,
        flagged=ratio is not None and ratio < FOUR_FIFTHS and p_value < SIGNIFICANCE,
    )


def _approval_rate(of: SegmentFigures) -> float:
    return of.approved / of.rows


def _opportunity(of: SegmentFigures) -> float | None:
    """Approved share of those that paid."""
    paid = of.rows - of.defaults
    return of.approved_good / paid if paid else None


def _two_proportions(a: int, n: int, b: int, m: int) -> float:
    """Two-sided p-value of the pooled z-test that a/n and b/m are draws of one proportion."""
    pooled = (a + b) / (n + m)
    spread = math.sqrt(pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m))
    return math.erfc(abs(a / n - b / m) / spread / math.sqrt(2.0)) if spread else 1.0
