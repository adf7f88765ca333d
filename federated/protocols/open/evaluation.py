"""What is asked about finished learners: blend weights, held-out and out-of-fold histograms, calibrations, audits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from federated.models.encoding.ramps import FloatArray
from federated.models.served.blend import BlendSums, best_weights
from federated.models.served.calibration import NONE, Calibration
from federated.models.served.metrics import Metrics, ScoreHistogram
from federated.protocols.core.messages import Arrays, Content, prefixed
from federated.protocols.core.session import turned
from federated.protocols.open.session import LearnerSession


class Evaluation:
    """Questions to the banks of a session about learners that were kept under a name (`LearnerSession.keep`)."""

    def __init__(self, session: LearnerSession) -> None:
        self._board, self._folds = session.board, session.settings.folds
        self._banks = session.banks.orgs
        self._grids = session.sides[1].orgs if len(session.sides) > 1 else ()

    def blend(self, names: Sequence[str]) -> FloatArray:
        """Weights of kept learners, the constant last, chosen out of fold."""

        def ask(weights: FloatArray) -> BlendSums:
            content = Content({"weights": weights}, {"names": list(names)})
            answers = self._board.ask("query.blend", dict.fromkeys(self._banks, content)).values()
            sums = [
                BlendSums(
                    np.asarray(c.arrays["gradient"], float),
                    np.asarray(c.arrays["hessian"], float),
                    float(np.asarray(c.arrays["loss"], float)[0]),
                )
                for c in answers
            ]
            return sum(sums[1:], sums[0])

        return best_weights(ask, len(names))

    def held_out(self, names: Sequence[str], blends: Mapping[str, FloatArray]) -> dict[str, Metrics]:
        """Metrics on all banks' held-out rows, by blend."""
        counted = self.histograms(names, blends, calibrated=False)
        metrics = {}
        for blend in blends:
            parts = [by_blend[blend] for by_blend in counted.values()]
            metrics[blend] = sum(parts[1:], parts[0]).metrics()
        return metrics

    def calibrate(self, names: Sequence[str], weights: FloatArray) -> None:
        """Have every bank fit its own calibration of one blend and keep it."""
        content = Content({"weights": weights}, {"names": list(names)})
        self._board.ask("query.calibrate", dict.fromkeys(self._banks, content))

    def histograms(
        self, names: Sequence[str], blends: Mapping[str, FloatArray], calibrated: bool
    ) -> dict[str, dict[str, ScoreHistogram]]:
        """Held-out score histograms by bank and blend, with each bank's own calibration if it is asked for."""
        content = Content(prefixed("blend", blends), {"names": list(names), "calibrated": int(calibrated)})
        answers = self._board.ask("query.held_out", dict.fromkeys(self._banks, content))
        return {
            org: {blend: ScoreHistogram.from_cells(c.under(blend)) for blend in blends} for org, c in answers.items()
        }

    def out_of_fold(self, names: Sequence[str], weights: FloatArray) -> list[ScoreHistogram]:
        """Histograms of one blend's logits out of fold, one an inner fold, added up over banks."""
        content = Content({"weights": weights}, {"names": list(names)})
        answers = self._board.ask("query.out_of_fold", dict.fromkeys(self._banks, content)).values()
        histograms = [ScoreHistogram.empty() for _ in range(self._folds)]
        for k in range(len(histograms)):
            for cells in (a.under(str(k)) for a in answers):
                histograms[k] = histograms[k] + ScoreHistogram.from_cells(cells) if cells else histograms[k]
        return histograms

    def own_calibrations(
        self, names: Sequence[str], weights: FloatArray, network: Calibration
    ) -> dict[str, Calibration]:
        """Banks' own calibrations on top of the network's, of those whose customers differ significantly."""
        content = Content({"weights": weights} | network.to_arrays("network"), {"names": list(names)})
        answers = self._board.ask("query.own", dict.fromkeys(self._banks, content))
        fitted = {org: Calibration.from_arrays("own", a.arrays) for org, a in answers.items()}
        return {org: calibration for org, calibration in fitted.items() if calibration.method != "none"}

    def audit(
        self, names: Sequence[str], weights: FloatArray, network: Calibration, own: Mapping[str, Calibration]
    ) -> dict[tuple[str, str], ScoreHistogram]:
        """Held-out histograms of calibrated logits by (segment, group number), ("all", "0") and ("bank", its id) too.

        For this, grid companies tell each bank the groups of its held-out customers by their own columns.
        """
        told: dict[str, Arrays] = {org: {} for org in self._banks}
        if self._grids:
            marks = self._board.ask("query.groups", dict.fromkeys(self._banks, Content()))
            passed_on = turned("marks", {org: c.under("marks") for org, c in marks.items()}, self._grids)
            answers = self._board.ask("query.groups", {org: Content(m) for org, m in passed_on.items()})
            for grid, content in answers.items():
                for name, codes in content.arrays.items():
                    segment, bank = name.split("/")
                    told[bank][f"groups/{segment}/{grid}"] = codes
        requests = {}
        for org in self._banks:
            arrays = {"weights": weights} | network.to_arrays("network") | own.get(org, NONE).to_arrays("own")
            requests[org] = Content(arrays | told[org], {"names": list(names)})
        histograms: dict[tuple[str, str], ScoreHistogram] = {}
        for org, content in self._board.ask("query.audit", requests).items():
            for key in sorted({name.rsplit("/", 1)[0] for name in content.arrays}):
                segment, group = key.split("/")
                histogram = ScoreHistogram.from_cells(content.under(key))
                histograms[segment, group] = histograms.get((segment, group), ScoreHistogram.empty()) + histogram
                if segment == "all":
                    histograms["bank", org] = histogram
        return histograms
