"""From a fitted protected model to a version that could be registered."""

from __future__ import annotations

from federated.models.encoding.principal import PrincipalColumns
from federated.models.encoding.ramps import FloatArray
from federated.models.served.calibration import NONE, isotonic, platt
from federated.models.served.metrics import ScoreHistogram
from federated.models.served.scaling import logit_of
from federated.models.served.scorer import PartyScorer
from federated.models.served.tables import tabulated
from federated.nodes.schema import FeatureSchema
from federated.protocols.core.candidates import FittedModel, mean_measured, measured_of
from federated.protocols.protected.evaluation import judged
from federated.protocols.protected.operator import ProtectedTraining

LEARNER = "random_leaves"


def scorer_of(columns: PrincipalColumns, beta: FloatArray, bands: FloatArray) -> PartyScorer:
    """A function of a side's columns, written out as tables."""
    basis, parts = columns.basis, [(1.0, function) for function in columns.functions(beta)]
    return PartyScorer(tabulated(parts, basis.binning, basis.encoder.reference), bands)


def protected_blend(run: ProtectedTraining, schema: FeatureSchema, cut_off: int) -> FittedModel:
    """A fitted model's scorers, its calibration from rows set aside, and its figures on rows held out.

    Raises what a node refuses with, `AggregationFailed`.
    """
    segments = [(s.name, str(k), party.role) for party in (schema.bank, schema.grid) for s in party.segments
                for k in range(len(s.groups))]  # fmt: skip
    # The lowest score that is approved is half a point wide on either side.
    counted_rows = judged(run, segments, (logit_of(cut_off) + logit_of(cut_off - 1)) / 2)
    calibration, held_out = counted_rows.calibration(), counted_rows.held_out
    fits = {"none": NONE}
    if counted_rows.set_aside is not None:
        expected = counted_rows.set_aside.expected()
        fits |= {"platt": platt(expected), "isotonic": isotonic(expected)}
    drawn, odds = [], held_out.odds()
    for draw, labels in enumerate(held_out.drawn(run.settings.seed)):
        eces = {method: ScoreHistogram.of(fitted(held_out.logit), labels).ece() for method, fitted in fits.items()}
        figures = {"method": calibration.method, "own": [], "ece": eces}
        drawn.append(measured_of(schema, cut_off, held_out.histograms(calibration, labels, odds, draw), figures))
    own, theirs = run.own_function(), run.concealed() if run.joint else None
    return FittedModel((LEARNER,), own, theirs, calibration, {}, mean_measured(drawn))
