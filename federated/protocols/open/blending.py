"""From the zoo's learners to fitted models: blends written as scorers, calibrated out of fold and audited."""

from __future__ import annotations

from dataclasses import dataclass

from federated.models.encoding.ramps import FloatArray
from federated.models.served.calibration import NONE, chosen, isotonic, platt
from federated.models.served.scorer import PartyScorer
from federated.models.served.tables import tabulated
from federated.nodes.schema import FeatureSchema
from federated.protocols.core.candidates import FittedModel, measured_of
from federated.protocols.open.evaluation import Evaluation
from federated.protocols.open.run import ADDITIVE, ZooResult
from federated.protocols.open.session import LearnerSession

SMALLEST_WEIGHT = 1e-6


@dataclass(frozen=True, slots=True)
class Blender:
    """Makes models of the blends of one trained session. `cut_off` is the lowest score that is approved."""

    session: LearnerSession
    result: ZooResult
    schema: FeatureSchema
    cut_off: int

    def blend(self, name: str) -> FittedModel:
        """Scorers, calibration and held-out figures of one of the blends."""
        weights, names = self.result.blends[name], list(self.result.functions)
        learners = tuple(n for n, w in zip(names, weights, strict=False) if w > SMALLEST_WEIGHT)
        sides = len(self.session.sides)
        bank, grid = self._scorer(weights, 0), self._scorer(weights, 1) if sides > 1 else None
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
        return FittedModel(
            learners, bank, grid, calibration, own, measured_of(self.schema, self.cut_off, audited, figures)
        )

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
