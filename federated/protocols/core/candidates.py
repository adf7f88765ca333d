"""From fitted models to a version that could be registered, and held-out figures of models that were fitted as it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

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
COUNTS = ("rows", "defaults", "approved", "approved_good")


@dataclass(frozen=True, slots=True)
class Measured:
    """Held-out figures of one calibrated model: metrics, expected calibration error by method of calibration, by
    segment, and customers by score band."""

    metrics: Metrics
    ece: dict[str, float]
    segments: tuple[SegmentFigures, ...]
    score_bands: tuple[int, ...]


class HeldOut(Protocol):
    """What is known of customers held out of one fold's model."""

    def measured(self, others: Sequence[Any], /) -> Measured:
        """Figures of the model; `others` are those held out of the same model of other folds."""
        ...


@dataclass(frozen=True, slots=True)
class KnownFigures:
    """Figures of a model that was calibrated within its fold."""

    figures: Measured

    def measured(self, _: Sequence[Any], /) -> Measured:
        """The figures, whatever other folds say."""
        return self.figures


@dataclass(frozen=True, slots=True)
class FittedModel:
    """What one session came to: banks' function, that of grid companies' columns unless banks fitted alone, and its
    calibrations."""

    learners: tuple[str, ...]
    bank: PartyScorer | KeptFunction
    grid: PartyScorer | HiddenFunction | None
    calibration: Calibration
    own: dict[str, Calibration]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that could be registered: fitted with nobody held out. `offered` says whether with grid companies."""

    learners: tuple[str, ...]
    model: ScoringModel
    offered: str = JOINT

    @property
    def exact(self) -> bool:
        """Whether all reasons are closed-form Shapley values."""
        return self.model.joint_bank.exact and self.model.joint_grid.exact


def measured_of(
    schema: FeatureSchema,
    cut_off: int,
    audited: Mapping[tuple[str, str], ScoreHistogram],
    ece: dict[str, float],
) -> Measured:
    """Figures from held-out histograms by (segment, group number), ("all", "0") among them."""
    whole = audited["all", "0"]
    groups = {s.name: s.groups for party in (schema.bank, schema.grid) for s in party.segments}
    segments = [
        segment_figures(name, groups[name][int(group)] if name in groups else group, histogram, cut_off)
        for (name, group), histogram in sorted(audited.items())
        if name != "all"
    ]
    return Measured(whole.metrics(), ece, tuple(segments), score_bands(whole))


def mean_measured(drawn: Sequence[Measured]) -> Measured:
    """The mean of figures of the same rows under several labels drawn for them; counts are whole again."""
    first, segments = drawn[0], []
    for i, of in enumerate(first.segments):
        numbers = {field.name: [getattr(each.segments[i], field.name) for each in drawn] for field in fields(of)}
        means = {name: _mean(values) for name, values in numbers.items() if name not in ("segment", "group")}
        segments.append(replace(of, **means))
    metrics = {f.name: _mean([getattr(each.metrics, f.name) for each in drawn]) for f in fields(Metrics)}
    bands = tuple(_mean([each.score_bands[k] for each in drawn]) for k in range(len(first.score_bands)))
    return Measured(Metrics(**metrics), _mean_eces(drawn), tuple(segments), bands)


def pooled(folds: Sequence[Measured]) -> Measured:
    """Figures of models of several folds, whose held-out customers are other ones: counts add up, and rates are means,
    those of a group weighted by its rows."""
    groups: dict[tuple[str, str], list[SegmentFigures]] = {}
    for each in folds:
        for segment in each.segments:
            groups.setdefault((segment.segment, segment.group), []).append(segment)
    means = {f.name: float(np.mean([getattr(each.metrics, f.name) for each in folds])) for f in fields(Metrics)}
    metrics: dict[str, Any] = means | {"rows": sum(each.metrics.rows for each in folds)}
    bands = np.sum([each.score_bands for each in folds], axis=0).tolist()
    segments = tuple(_pooled_group(parts) for _, parts in sorted(groups.items()))
    return Measured(Metrics(**metrics), _mean_eces(folds), segments, tuple(bands))


def _pooled_group(parts: Sequence[SegmentFigures]) -> SegmentFigures:
    rows = np.array([part.rows for part in parts])
    sums: dict[str, Any] = {name: sum(getattr(part, name) for part in parts) for name in COUNTS}
    rates: dict[str, Any] = {
        name: float(rows @ np.array([getattr(part, name) for part in parts]) / rows.sum())
        for name in ("mean_probability", "brier", "ece")
    }
    ranked = [(part.rows, part.auc) for part in parts if part.auc is not None]
    auc = sum(count * each for count, each in ranked) / sum(count for count, _ in ranked) if ranked else None
    return replace(parts[0], **sums, **rates, auc=auc)


def _mean_eces(each: Sequence[Measured]) -> dict[str, float]:
    return {name: float(np.mean([one.ece[name] for one in each])) for name in each[0].ece}


def _mean(values: Sequence[Any]) -> Any:
    """The mean, a whole number of whole ones, None where some are missing."""
    if any(value is None for value in values):
        return None
    mean = float(np.mean(values))
    return round(mean) if all(isinstance(value, int) for value in values) else mean


def offered(joint: Measured, alone: Measured) -> str:
    """`JOINT`, or why not: a joint model that is worse on held-out customers than its companion is not offered."""
    losses = joint.metrics.brier, alone.metrics.brier
    if losses[0] <= losses[1]:
        return JOINT
    return f"bank_only: held-out Brier {losses[0]:.5f} with grid companies, {losses[1]:.5f} without"


def candidate_of(joint: FittedModel, alone: FittedModel, offer: str) -> Candidate:
    """The version that a joint model and a bank-only companion make together.

    Where another `offer` than `JOINT` is made it scores with the companion alone, whatever a grid company says.
    """
    grid = joint.grid
    assert grid is not None
    if offer != JOINT:
        only = alone.bank
        model = ScoringModel(only, grid.silent(), only, alone.calibration, alone.calibration, alone.own)
        return Candidate(alone.learners, model, offer)
    model = ScoringModel(joint.bank, grid, alone.bank, joint.calibration, alone.calibration, joint.own)
    return Candidate(joint.learners, model)


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
