"""From a fitted model to a version that could be registered: scorers, calibration, held-out figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from federated.errors import CorruptData
from federated.governance.manifest import SegmentFigures
from federated.governance.weights import ScoringModel
from federated.models.served.calibration import Calibration
from federated.models.served.hidden import HiddenFunction
from federated.models.served.kept import KeptFunction
from federated.models.served.metrics import CELLS, LOGIT_BOUND, Metrics, ScoreHistogram
from federated.models.served.scaling import SCORE_BANDS, logit_of, score_of
from federated.models.served.scorer import PartyScorer
from federated.nodes.schema import FeatureSchema

JOINT = "joint"


@dataclass(frozen=True, slots=True)
class Measured:
    """Held-out figures of one calibrated model: metrics, by segment, by score band, and what calibration changed."""

    metrics: Metrics
    calibration: dict[str, Any]
    segments: tuple[SegmentFigures, ...]
    score_bands: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FittedModel:
    """What one session came to: banks' function, that of grid companies' columns unless banks fitted alone, its
    calibrations, and what was measured of it."""

    learners: tuple[str, ...]
    bank: PartyScorer | KeptFunction
    grid: PartyScorer | HiddenFunction | None
    calibration: Calibration
    own: dict[str, Calibration]
    measured: Measured


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that could be registered, and what was measured of exactly these functions on held-out customers."""

    learners: tuple[str, ...]
    model: ScoringModel
    measured: Measured
    alone_bands: tuple[int, ...]
    offered: str = JOINT

    @property
    def exact(self) -> bool:
        """Whether all reasons are closed-form Shapley values."""
        return self.model.joint_bank.exact and self.model.joint_grid.exact


def measured_of(
    schema: FeatureSchema,
    cut_off: int,
    audited: Mapping[tuple[str, str], ScoreHistogram],
    calibration: dict[str, Any],
) -> Measured:
    """Figures from held-out histograms by (segment, group number), ("all", "0") among them."""
    whole = audited["all", "0"]
    groups = {s.name: s.groups for party in (schema.bank, schema.grid) for s in party.segments}
    segments = [
        segment_figures(name, groups[name][int(group)] if name in groups else group, histogram, cut_off)
        for (name, group), histogram in sorted(audited.items())
        if name != "all"
    ]
    return Measured(whole.metrics(), calibration, tuple(segments), score_bands(whole))


def mean_measured(drawn: Sequence[Measured]) -> Measured:
    """The mean of figures of the same rows under several labels drawn for them; counts are whole again."""
    first, segments = drawn[0], []
    for i, of in enumerate(first.segments):
        numbers = {field.name: [getattr(each.segments[i], field.name) for each in drawn] for field in fields(of)}
        means = {name: _mean(values) for name, values in numbers.items() if name not in ("segment", "group")}
        segments.append(replace(of, **means))
    metrics = {f.name: _mean([getattr(each.metrics, f.name) for each in drawn]) for f in fields(Metrics)}
    eces = {name: _mean([each.calibration["ece"][name] for each in drawn]) for name in first.calibration["ece"]}
    bands = tuple(_mean([each.score_bands[k] for each in drawn]) for k in range(len(first.score_bands)))
    return Measured(Metrics(**metrics), first.calibration | {"ece": eces}, tuple(segments), bands)


def _mean(values: Sequence[Any]) -> Any:
    """The mean, a whole number of whole ones, None where some are missing."""
    if any(value is None for value in values):
        return None
    mean = float(np.mean(values))
    return round(mean) if all(isinstance(value, int) for value in values) else mean


def candidate_of(joint: FittedModel, alone: FittedModel) -> Candidate:
    """The version that a joint model and a bank-only companion make together.

    A joint model that is worse on held-out customers than its companion is not offered: the version then scores with
    the companion alone, whatever a grid company says, and `offered` tells why.
    """
    grid = joint.grid
    assert grid is not None
    losses = joint.measured.metrics.brier, alone.measured.metrics.brier
    if losses[0] > losses[1]:
        only = alone.bank
        model = ScoringModel(only, grid.silent(), only, alone.calibration, alone.calibration, alone.own)
        why = f"bank_only: held-out Brier {losses[0]:.5f} with grid companies, {losses[1]:.5f} without"
        return Candidate(alone.learners, model, alone.measured, alone.measured.score_bands, why)
    model = ScoringModel(joint.bank, grid, alone.bank, joint.calibration, alone.calibration, joint.own)
    return Candidate(joint.learners, model, joint.measured, alone.measured.score_bands)


def segment_figures(segment: str, group: str, histogram: ScoreHistogram, cut_off: int) -> SegmentFigures:
    """Counts and figures of one group from the histogram of its calibrated logits."""
    good, bad = histogram.counts
    approved = np.arange(CELLS) <= _last_cell(cut_off)
    rows = int(good.sum() + bad.sum())
    figures = SegmentFigures(
        segment=segment,
        group=group,
        rows=rows,
        defaults=int(bad.sum()),
        approved=int((good + bad)[approved].sum()),
        approved_good=int(good[approved].sum()),
        mean_probability=float(histogram.probability.sum() / rows),
        brier=histogram.squared / rows,
        ece=histogram.ece(),
    )
    try:
        return replace(figures, auc=histogram.auc())
    except CorruptData:
        return figures


def _last_cell(cut_off: int) -> int:
    """The cell of the highest logit that still scores `cut_off` points."""
    logit = logit_of(cut_off) + (logit_of(cut_off - 1) - logit_of(cut_off)) / 2
    return int((logit + LOGIT_BOUND) / (2 * LOGIT_BOUND) * CELLS)


def score_bands(histogram: ScoreHistogram) -> tuple[int, ...]:
    """Customers by band of `SCORE_BANDS`."""
    cells = np.flatnonzero(histogram.counts.sum(axis=0))
    scores = [score_of((cell + 0.5) / CELLS * 2 * LOGIT_BOUND - LOGIT_BOUND) for cell in cells.tolist()]
    bands = np.searchsorted(SCORE_BANDS, scores, side="right")
    counts = np.bincount(bands, weights=histogram.counts.sum(axis=0)[cells], minlength=len(SCORE_BANDS) + 1)
    return tuple(int(n) for n in counts)
