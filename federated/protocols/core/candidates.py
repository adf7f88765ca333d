"""From trained learners to versions that could be registered: scorers, calibration, held-out figures, references."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from federated.errors import CorruptData, TrainingFailed
from federated.governance.manifest import FeatureReference, SegmentFigures
from federated.governance.weights import ScoringModel
from federated.models.encoding.ramps import FloatArray
from federated.models.served.calibration import (
    NONE,
    Calibration,
    chosen,
    isotonic,
    platt,
)
from federated.models.served.metrics import (
    CELLS,
    LOGIT_BOUND,
    Metrics,
    ScoreHistogram,
)
from federated.models.served.scaling import SCORE_BANDS, logit_of, score_of
from federated.models.served.scorer import PartyScorer
from federated.models.served.tables import tabulated
from federated.nodes.schema import FeatureSchema
from federated.protocols.core.evaluation import Evaluation
from federated.protocols.core.session import ZooSession
from federated.protocols.open.run import ADDITIVE, ZooResult

REFERENCE_BINS = 10
SMALLEST_WEIGHT = 1e-6


@dataclass(frozen=True, slots=True)
class Measured:
    """Held-out figures of one calibrated blend: metrics, by segment, by score band, and what calibration changed."""

    metrics: Metrics
    calibration: dict[str, Any]
    segments: tuple[SegmentFigures, ...]
    score_bands: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Blend:
    """One blend of a session: a scorer a side (banks first), its calibrations, and what was measured of it."""

    learners: tuple[str, ...]
    scorers: tuple[PartyScorer, ...]
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

    @property
    def exact(self) -> bool:
        """Whether all reasons are closed-form Shapley values."""
        return self.model.joint_bank.exact and self.model.joint_grid.exact


@dataclass(frozen=True, slots=True)
class Blender:
    """Makes versions from the blends of one trained session. `cut_off` is the lowest score that is approved."""

    session: ZooSession
    result: ZooResult
    schema: FeatureSchema
    cut_off: int

    def blend(self, name: str) -> Blend:
        """Scorers, calibration and held-out figures of one of the blends."""
        weights, names = self.result.blends[name], list(self.result.functions)
        learners = tuple(n for n, w in zip(names, weights, strict=False) if w > SMALLEST_WEIGHT)
        scorers = tuple(self._scorer(weights, side) for side in range(len(self.session.sides)))
        asked = Evaluation(self.session)
        parts = asked.out_of_fold(names, weights)
        calibration = chosen(parts)
        own = asked.own_calibrations(names, weights, calibration)
        audited = asked.audit(names, weights, calibration, own)
        counted = sum(parts[1:], parts[0])
        eces = {
            method: asked.audit(names, weights, fitted, {})["all", "0"].ece()
            for method, fitted in (("none", NONE), ("platt", platt(counted)), ("isotonic", isotonic(counted)))
        }
        figures = {"method": calibration.method, "own": sorted(own), "ece": eces}
        return Blend(learners, scorers, calibration, own, measured_of(self.schema, self.cut_off, audited, figures))

    def _scorer(self, weights: FloatArray, side: int) -> PartyScorer:
        parts = {
            name: (float(w), functions[side])
            for (name, functions), w in zip(self.result.functions.items(), weights, strict=False)
            if w > SMALLEST_WEIGHT
        }
        where = self.session.sides[side]
        # The constant of the blend belongs to the banks.
        constant = 0.0 if side else float(weights[-1])
        additive = [part for name, part in parts.items() if name in ADDITIVE]
        tables = tabulated(additive, where.binning, where.encoder.reference, constant)
        return PartyScorer(tables, where.bands, tuple(part for name, part in parts.items() if name not in ADDITIVE))


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


def candidate_of(joint: Blend, alone: Blend) -> Candidate:
    """The version that a joint blend and a bank-only companion make together."""
    bank, grid = joint.scorers
    model = ScoringModel(bank, grid, alone.scorers[0], joint.calibration, alone.calibration, joint.own)
    return Candidate(joint.learners, model, joint.measured, alone.measured.score_bands)


def segment_figures(segment: str, group: str, histogram: ScoreHistogram, cut_off: int) -> SegmentFigures:
    """Counts and figures of one group from the histogram of its calibrated logits."""
    good, bad = histogram.counts
    approved = np.arange(CELLS) <= _last_cell(cut_off)
    rows = int(good.sum() + bad.sum())
    found = SegmentFigures(
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
        return replace(found, auc=histogram.metrics().auc)
    except CorruptData:
        return found


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


def references(session: ZooSession) -> dict[str, dict[str, FeatureReference]]:
    """How training rows fell into bins of every column, by role and column: what drift is measured against."""
    found: dict[str, dict[str, FeatureReference]] = {}
    for side in session.sides:
        coarse, counts = Evaluation(session).reference(side, REFERENCE_BINS)
        columns = side.categories.names
        if len(columns) != len(counts):
            raise TrainingFailed("nodes counted other columns than were agreed")
        found[side.role] = {}
        for column, cuts, row in zip(columns, coarse.cuts, counts, strict=True):
            # Bins beyond a column's own cuts are empty; missing values are counted last.
            kept = [*row[: len(cuts) + 1].tolist(), int(row[-1])]
            found[side.role][column] = FeatureReference(tuple(cuts.tolist()), tuple(kept))
    return found
