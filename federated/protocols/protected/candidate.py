"""What is measured of a fitted protected model, and what is registered of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from federated.models.encoding.principal import PrincipalColumns
from federated.models.encoding.ramps import FloatArray
from federated.models.served.calibration import NONE, Calibration, drawn_in, isotonic, platt
from federated.models.served.metrics import ScoreHistogram
from federated.models.served.scaling import logit_of
from federated.models.served.scorer import PartyScorer
from federated.models.served.tables import tabulated
from federated.nodes.schema import FeatureSchema
from federated.protocols.core.candidates import FittedModel, Measured, mean_measured, measured_of
from federated.protocols.protected.evaluation import Counted, judged
from federated.protocols.protected.operator import ProtectedTraining

LEARNER = "random_leaves"


def scorer_of(columns: PrincipalColumns, beta: FloatArray, bands: FloatArray) -> PartyScorer:
    """A function of a side's columns, written out as tables."""
    basis, parts = columns.basis, [(1.0, function) for function in columns.functions(beta)]
    return PartyScorer(tabulated(parts, basis.binning, basis.encoder.reference), bands)


@dataclass(frozen=True, slots=True)
class CountedRows:
    """What is known of rows held out of a fitted model; `seed` is that of labels drawn for them."""

    counted: Counted
    schema: FeatureSchema
    cut_off: int
    seed: int

    @staticmethod
    def of(run: ProtectedTraining, schema: FeatureSchema, cut_off: int) -> CountedRows:
        """By all segments of the schema. Raises what a node refuses with, `AggregationFailed`."""
        segments = [(s.name, str(k), party.role) for party in (schema.bank, schema.grid) for s in party.segments
                    for k in range(len(s.groups))]  # fmt: skip
        # The lowest score that is approved is half a point wide on either side.
        counted = judged(run, segments, (logit_of(cut_off) + logit_of(cut_off - 1)) / 2)
        return CountedRows(counted, schema, cut_off, run.settings.seed)

    def measured(self, others: Sequence[CountedRows]) -> Measured:
        """Figures of the model, calibrated by rows held out of those of other folds: uncalibrated where it is alone."""
        counts = [other.counted.expected() for other in others]
        calibration, held_out, fits = calibration_of(counts), self.counted, {"none": NONE}
        if others:
            together = sum(counts, ScoreHistogram.empty())
            fits |= {"platt": platt(together), "isotonic": isotonic(together)}
        drawn, odds = [], held_out.odds()
        for draw, labels in enumerate(held_out.drawn(self.seed)):
            eces = {method: ScoreHistogram.of(fitted(held_out.logit), labels).ece() for method, fitted in fits.items()}
            histograms = held_out.histograms(calibration, labels, odds, draw)
            drawn.append(measured_of(self.schema, self.cut_off, histograms, eces))
        return mean_measured(drawn)


def calibration_of(folds: Sequence[ScoreHistogram]) -> Calibration:
    """Platt's line on counts of rows held out of the models of these folds (`Counted.expected`), as far as they can say
    that it is another than the models'; none without any.

    It is that of a model fitted in the same way on all these rows: each row's logit is of a model that had not seen it
    (Niculescu-Mizil, Caruana, "Predicting Good Probabilities With Supervised Learning", ICML 2005, section 4).
    """
    return drawn_in(sum(folds, ScoreHistogram.empty())) if folds else NONE


def served_fit(run: ProtectedTraining, calibration: Calibration) -> FittedModel:
    """A fitted model's functions, which nodes keep. Raises what a node refuses with, `AggregationFailed`."""
    own, theirs = run.own_function(), run.concealed() if run.joint else None
    return FittedModel((LEARNER,), own, theirs, calibration, {})
