"""From the zoo's learners to fitted models: blends written as scorers, calibrated out of fold and audited."""

from __future__ import annotations

from dataclasses import dataclass

from federated.models.encoding.ramps import FloatArray
from federated.models.served.calibration import NONE, Calibration, chosen, isotonic, platt
from federated.models.served.metrics import ScoreHistogram
from federated.models.served.scorer import PartyScorer
from federated.models.served.tables import tabulated
from federated.nodes.schema import FeatureSchema
from federated.protocols.core.candidates import FittedModel, Measured, measured_of
from federated.protocols.open.evaluation import Evaluation
from federated.protocols.open.run import ADDITIVE, ZooResult
from federated.protocols.open.session import LearnerSession

SMALLEST_WEIGHT = 1e-6


@dataclass(frozen=True, slots=True)
class Blender:
    """Makes models of the blends of one trained session, and measures them."""

    session: LearnerSession
    result: ZooResult

    def model(self, name: str) -> FittedModel:
        """Scorers and calibration of one of the blends."""
        weights, names = self.result.blends[name], list(self.result.functions)
        learners = tuple(n for n, w in zip(names, weights, strict=False) if w > SMALLEST_WEIGHT)
        sides = len(self.session.sides)
        bank, grid = self._scorer(weights, 0), self._scorer(weights, 1) if sides > 1 else None
        calibration, own, _ = self._calibrated(name)
        return FittedModel(learners, bank, grid, calibration, own)

    def measured(self, name: str, schema: FeatureSchema, cut_off: int) -> Measured:
        """Held-out figures of one of the blends, calibrated. `cut_off` is the lowest score that is approved."""
        weights, names, asked = self.result.blends[name], list(self.result.functions), Evaluation(self.session)
        calibration, own, counted = self._calibrated(name)
        audited = asked.audit(names, weights, calibration, own)
        eces = {
            method: asked.audit(names, weights, fitted, {})["all", "0"].ece()
            for method, fitted in (("none", NONE), ("platt", platt(counted)), ("isotonic", isotonic(counted)))
        }
        return measured_of(schema, cut_off, audited, eces)

    def _calibrated(self, name: str) -> tuple[Calibration, dict[str, Calibration], ScoreHistogram]:
        """The calibration of a blend, banks' own on top of it, and the counts out of fold that it was fitted on."""
        weights, names, asked = self.result.blends[name], list(self.result.functions), Evaluation(self.session)
        parts = asked.out_of_fold(names, weights)
        calibration = chosen(parts)
        return calibration, asked.own_calibrations(names, weights, calibration), sum(parts[1:], parts[0])

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
